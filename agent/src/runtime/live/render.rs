//! A view, drawn. Pure: the same view, state and size give the same cells.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table};

use super::gallery;
use super::model::{Header, Host, Row, View};
use super::saturation::{OfHost, OfService};
use super::state::{Column, State, Table as Shown};
use super::text;
use crate::protocol::Role;

pub(super) const FAINT: Style = Style::new().add_modifier(Modifier::DIM);
pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
pub(super) const ALARM: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const WARNING: Style = Style::new().fg(Color::Yellow);

/// Draws all of it.
pub(super) fn render(view: &View, state: &State, warning: Option<&str>, frame: &mut Frame<'_>) {
    let areas = Layout::vertical([
        Constraint::Length(3),
        Constraint::Fill(1),
        Constraint::Length(u16::from(warning.is_some())),
        Constraint::Length(1),
    ]);
    let [top, middle, warned, bottom] = areas.areas(frame.area());
    frame.render_widget(Paragraph::new(header(view, top.width)), top);
    if state.help {
        frame.render_widget(Paragraph::new(HELP), middle);
    } else if state.table == Shown::Traces {
        gallery::draw(view, state, middle, frame);
    } else if state.rows(view).is_empty() {
        frame.render_widget(Paragraph::new(EMPTY).style(FAINT), middle);
    } else {
        table(view, state, middle, frame);
    }
    if let Some(warning) = warning {
        let line = text::cut(warning, usize::from(warned.width));
        frame.render_widget(Paragraph::new(line).style(WARNING), warned);
    }
    frame.render_widget(Paragraph::new(footer(view, state)), bottom);
}

fn header(view: &View, width: u16) -> Text<'static> {
    let Header { host, uptime, capture, seen, reported, lost, ring, cpu, rss } = &view.header;
    let dot = || Span::styled("  ·  ", FAINT);
    let mut first =
        vec![Span::styled("steth", BOLD), Span::raw(format!(" on {}", text::cut(host, 40)))];
    first.extend([dot(), Span::raw(text::cut(capture, 60))]);
    first.extend([dot(), Span::raw(format!("up {}", text::uptime(*uptime)))]);
    if width >= 80 {
        let cost = format!("agent {} of a core, {}", text::percent(*cpu), text::bytes(*rss));
        first.extend([dot(), Span::raw(cost)]);
    }
    let told = |name: &str, count: u64| Span::raw(format!("{name} {}", text::whole(count)));
    let mut second = vec![told("seen", *seen), dot()];
    if width >= 50 {
        second.extend([told("reported", *reported), dot()]);
    }
    second.push(told("lost", *lost).style(if *lost > 0 { ALARM } else { Style::new() }));
    if width >= 60 {
        second.extend([dot(), Span::raw(format!("ring {}", text::percent(*ring)))]);
    }
    Text::from(vec![Line::from(first), Line::from(second), host_line(&view.host, width)])
}

/// What the host uses and waits for; what is saturated has a mark that needs no colour. What tells
/// least is left out first.
fn host_line(host: &Host, width: u16) -> Line<'static> {
    let Host { cpu, wait, memory, disk, pressure, drops, retransmits, accept, oom } = *host;
    let marks = OfHost::of(host);
    let share = |part: Option<f64>| part.map_or_else(|| "-".to_owned(), text::percent);
    let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), text::rate);
    let mut spans = vec![Span::styled("host", BOLD)];
    for (name, is_so) in [("oom", oom), ("accept", accept)] {
        if is_so {
            spans.push(Span::styled(format!("  {name}!"), ALARM));
        }
    }
    let mut tell = |name: &str, told: String, marked: bool, least: u16| {
        if width >= least {
            spans.push(Span::styled(format!("  {name} "), FAINT));
            spans.push(marked_text(told, marked));
        }
    };
    tell("cpu", share(cpu), marks.cpu, 0);
    tell("wait", share(wait), marks.wait, 30);
    tell("mem", share(memory), marks.memory, 40);
    tell("disk", share(disk), marks.disk, 50);
    let [of_cpu, of_memory, of_io] = pressure;
    let [cpu_marked, memory_marked, io_marked] = marks.pressure;
    tell("psi cpu", share(of_cpu), cpu_marked, 110);
    tell("psi mem", share(of_memory), memory_marked, 110);
    tell("psi io", share(of_io), io_marked, 110);
    if width < 110 {
        let worst = pressure.into_iter().flatten().reduce(f64::max);
        tell("psi", share(worst), marks.pressure.contains(&true), 60);
    }
    tell("drop/s", rate(drops), marks.drops, 90);
    tell("retx/s", rate(retransmits), marks.retransmits, 70);
    Line::from(spans)
}

fn marked_text(told: String, marked: bool) -> Span<'static> {
    if marked { Span::styled(told + "!", ALARM) } else { Span::raw(told) }
}

/// The columns that fit, the dispensable ones left out first.
fn columns(table: Shown, width: u16) -> &'static [Column] {
    use Column::{
        Cpu, DiskWait, Errors, InFlight, Memory, P50, P95, P99, Rate, Retransmits, Role, Route,
        Service, Throttled, Wait,
    };
    match (table, width) {
        (Shown::Routes, 150..) => &[
            Service,
            Role,
            Route,
            Rate,
            Errors,
            P50,
            P95,
            P99,
            InFlight,
            Cpu,
            Wait,
            Throttled,
            Memory,
            DiskWait,
            Retransmits,
        ],
        (Shown::Routes, 100..) => &[Service, Role, Route, Rate, Errors, P50, P95, P99, InFlight],
        (Shown::Routes, 80..) => &[Service, Role, Route, Rate, Errors, P50, P99],
        (Shown::Routes, 60..) => &[Service, Route, Rate, Errors, P99],
        (Shown::Routes, 40..) => &[Route, Rate, Errors, P99],
        (Shown::Routes, _) => &[Route, Rate],
        (Shown::Services, 110..) => &[
            Service,
            Role,
            Rate,
            Errors,
            P50,
            P95,
            P99,
            InFlight,
            Cpu,
            Wait,
            Throttled,
            Memory,
            DiskWait,
            Retransmits,
        ],
        (Shown::Services, 80..) => {
            &[Service, Rate, Errors, P99, Cpu, Wait, Throttled, Memory, DiskWait, Retransmits]
        }
        (Shown::Services, 60..) => &[Service, Rate, P99, Cpu, Wait, Throttled, Memory],
        (Shown::Services, 40..) => &[Service, Rate, Cpu, Wait, Memory],
        (Shown::Services, _) => &[Service, Cpu, Wait],
        (Shown::Traces, _) => &[],
    }
}

fn title(column: Column) -> &'static str {
    match column {
        Column::Service => "SERVICE",
        Column::Role => "ROLE",
        Column::Route => "ROUTE",
        Column::Rate => "REQ/S",
        Column::Errors => "ERR",
        Column::P50 => "P50",
        Column::P95 => "P95",
        Column::P99 => "P99",
        Column::InFlight => "OPEN",
        Column::Cpu => "CPU",
        Column::Wait => "WAIT",
        Column::Throttled => "THR",
        Column::Memory => "MEM",
        Column::DiskWait => "IO",
        Column::Retransmits => "RETX",
    }
}

fn constraint(column: Column) -> Constraint {
    match column {
        Column::Service => Constraint::Fill(2),
        Column::Route => Constraint::Fill(3),
        Column::Role | Column::Errors | Column::InFlight => Constraint::Length(6),
        Column::Cpu
        | Column::Wait
        | Column::Throttled
        | Column::Memory
        | Column::DiskWait
        | Column::Retransmits => Constraint::Length(5),
        Column::Rate => Constraint::Length(9),
        Column::P50 | Column::P95 | Column::P99 => Constraint::Length(8),
    }
}

fn is_number(column: Column) -> bool {
    !matches!(column, Column::Service | Column::Role | Column::Route)
}

fn table(view: &View, state: &State, area: Rect, frame: &mut Frame<'_>) {
    let columns = columns(state.table, area.width);
    let rows = state.select(state.rows(view));
    if rows.is_empty() {
        let none = format!("\nNothing matches \"{}\". Esc clears the filter.", state.filter);
        frame.render_widget(Paragraph::new(none).style(FAINT), area);
        return;
    }
    let room = usize::from(area.height.saturating_sub(1));
    let first = state.scroll.min(rows.len().saturating_sub(room));
    // Fill columns share what is left: what is beyond is cut with a mark, not just clipped.
    let widths = Layout::horizontal(columns.iter().map(|column| constraint(*column)))
        .spacing(1)
        .split(Rect { height: 1, ..area });
    let shown = rows.into_iter().skip(first).take(room).map(|row| {
        TableRow::new(
            columns
                .iter()
                .zip(widths.iter())
                .map(|(column, width)| cell(row, *column, usize::from(width.width))),
        )
    });
    let head = TableRow::new(columns.iter().map(|column| {
        let mark = if state.descending { "▼" } else { "▲" };
        let sorted = *column == state.sort;
        let name = if sorted { format!("{}{mark}", title(*column)) } else { title(*column).into() };
        aligned(name, *column, if sorted { BOLD } else { FAINT })
    }));
    let widths = columns.iter().map(|column| constraint(*column));
    frame.render_widget(Table::new(shown, widths).header(head).column_spacing(1), area);
}

fn aligned(text: String, column: Column, style: Style) -> Cell<'static> {
    let alignment = if is_number(column) { Alignment::Right } else { Alignment::Left };
    Cell::from(Line::styled(text, style).alignment(alignment))
}

fn cell(row: &Row, column: Column, width: usize) -> Cell<'static> {
    let Row { service, role, route, rate, errors, p50, p95, p99, in_flight, usage } = row;
    let marks = OfService::of(usage);
    let plain = Style::new();
    let alarm = |marked: bool| if marked { ALARM } else { plain };
    let share = text::threads;
    let (text, style) = match column {
        Column::Service if marks.any() => return marked_name(service, marks, width),
        Column::Service => (text::cut(service, width), BOLD),
        Column::Role if *role == Role::Server => ("server".to_owned(), plain),
        Column::Role => ("client".to_owned(), FAINT),
        Column::Route => (text::cut(route, width), plain),
        Column::Rate => (text::rate(*rate), plain),
        Column::Errors => (text::percent(*errors), if *errors > 0.0 { ALARM } else { FAINT }),
        Column::P50 => (text::seconds(*p50), plain),
        Column::P95 => (text::seconds(*p95), plain),
        Column::P99 => (text::seconds(*p99), plain),
        Column::InFlight => (in_flight.map_or_else(|| "-".to_owned(), text::whole), plain),
        Column::Cpu => (share(usage.cpu), plain),
        Column::Wait => (share(usage.wait), alarm(marks.wait)),
        Column::Throttled => (share(usage.throttled), alarm(marks.throttled)),
        Column::Memory => (text::memory(usage.memory), alarm(marks.memory)),
        Column::DiskWait => (share(usage.disk_wait), alarm(marks.disk_wait)),
        Column::Retransmits => {
            let rate = usage.retransmits.map_or_else(|| "-".to_owned(), text::rate);
            (rate, alarm(marks.retransmits))
        }
    };
    aligned(text, column, style)
}

/// A service of which something is saturated; what has no column of its own in words behind it.
fn marked_name(service: &str, marks: OfService, width: usize) -> Cell<'static> {
    let mut behind = String::new();
    for (name, is_so) in [(" oom", marks.oom), (" accept", marks.accept)] {
        // The name matters more than what is behind it.
        if is_so && behind.len() + name.len() + 6 <= width {
            behind.push_str(name);
        }
    }
    let name = text::cut(service, width.saturating_sub(behind.len() + 1));
    Cell::from(Line::from(vec![
        Span::styled("!", ALARM),
        Span::styled(name, BOLD),
        Span::styled(behind, ALARM),
    ]))
}

const EMPTY: &str = "
No HTTP/1 request seen yet.

Every plaintext HTTP/1 request that a process on this host serves or makes shows up here.
Try, in another terminal:

  python3 -m http.server 8000 &
  curl http://127.0.0.1:8000/

Still nothing? `steth check` says what works on this host and what does not.";

const HELP: &str = "
  Tab u       by route; by service with what it uses and waits for; traces
  /           show only what contains a text; Enter keeps it, Esc clears it
  s  ← →      sort by the next or previous column; the same again turns it round
  1 to 9      sort by that column
  n r e l i   sort by name, rate, errors, latency (p99), open requests
  ↑ ↓ PgUp PgDn Home End   move
  p  Space    hold the view, go on
  q  Ctrl-C   quit

  Rates, errors and percentiles are those of the last second.
  OPEN: requests the service has begun and not ended, on all its routes.
  CPU, WAIT, THR, IO: threads of the service that ran, waited for a processor,
  for its CPU quota, for a disk: 100% is one thread all the time. The host's
  `wait` is that of each processor. RETX: segments sent again a second.
  ! saturated: PSI, WAIT, IO above 10%; THR above 0; the host's cpu, disk above
  90%; memory above 95% or its limit met; drops, RETX above 1/s; for 30 seconds,
  a client turned away by a full accept queue, a process killed for memory.
  Traces: the newest that failed, then the slowest; the marked one below, each
  span with what its time went into, if that is measured: CPU, Run queue,
  Throttled, Disk, Network, Lock, Sleep, Other. Where spans are sent to nobody,
  they are made for this view alone and stay in memory.
  seen = reported + lost; `/status` says what was lost and why.";

fn footer(view: &View, state: &State) -> Line<'static> {
    if state.editing {
        return Line::from(vec![
            Span::styled("filter: ", BOLD),
            Span::raw(state.filter.clone()),
            Span::styled("█", FAINT),
            Span::styled("   Enter keep   Esc clear", FAINT),
        ]);
    }
    let mut spans =
        vec![Span::styled("q quit   Tab more   / filter   s sort   p hold   ? help", FAINT)];
    if !state.filter.is_empty() {
        let (count, all) = match state.table {
            Shown::Traces => (state.traces(view).len(), view.traces().count()),
            Shown::Routes | Shown::Services => {
                let rows = state.rows(view);
                (state.select(rows).len(), rows.len())
            }
        };
        let told = format!("   \"{}\": {count} of {all} rows", state.filter);
        spans.push(Span::styled(told, BOLD));
    }
    if state.paused {
        spans.push(Span::styled("   HELD", WARNING));
    }
    Line::from(spans)
}
