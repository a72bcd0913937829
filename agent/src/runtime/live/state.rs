//! What is looked at, and what each key does to it. Pure: no terminal, no clock.

use std::cmp::Ordering;
use std::sync::Arc;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::{Row, View};
use crate::runtime::traces::Trace;

/// A column of the table, in the order they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Whose.
    Service,
    /// Which side.
    Role,
    /// The route.
    Route,
    /// Requests a second.
    Rate,
    /// Part that failed.
    Errors,
    /// Half are faster.
    P50,
    /// 95 % are faster.
    P95,
    /// 99 % are faster.
    P99,
    /// Begun and not ended.
    InFlight,
    /// Processors used.
    Cpu,
    /// Waited for a processor.
    Wait,
    /// Waited for the quota.
    Throttled,
    /// Memory held.
    Memory,
    /// Waited for a disk.
    DiskWait,
    /// Sent again.
    Retransmits,
}

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// RED, a row a service, role and route.
    Routes,
    /// RED and USE, a row a service.
    Services,
    /// The newest errors and the slowest traces, one of them as a waterfall.
    Traces,
}

impl Table {
    /// Its columns, in order: those that it can be sorted by.
    pub fn columns(self) -> &'static [Column] {
        use Column::{
            Cpu, DiskWait, Errors, InFlight, Memory, P50, P95, P99, Rate, Retransmits, Role, Route,
            Service, Throttled, Wait,
        };
        match self {
            Self::Routes => &[Service, Role, Route, Rate, Errors, P50, P95, P99, InFlight],
            Self::Services => &[
                Service,
                Rate,
                Errors,
                P99,
                Cpu,
                Wait,
                Throttled,
                Memory,
                DiskWait,
                Retransmits,
                P50,
                P95,
                InFlight,
                Role,
            ],
            Self::Traces => &[],
        }
    }
}

impl Column {
    /// Names read best from A, numbers from the largest.
    fn is_text(self) -> bool {
        matches!(self, Self::Service | Self::Role | Self::Route)
    }
}

/// What a key asks of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Go on.
    None,
    /// End.
    Quit,
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is turned by a key of its own")]
pub struct State {
    /// The rows are in the order of this column.
    pub sort: Column,
    /// Largest, or last by name, first.
    pub descending: bool,
    /// Only rows in which this text occurs.
    pub filter: String,
    /// Keys go into the filter.
    pub editing: bool,
    /// Rows above the first one shown.
    pub scroll: usize,
    /// Views that come in are left aside.
    pub paused: bool,
    /// What the keys do is shown.
    pub help: bool,
    /// What the rows are of.
    pub table: Table,
}

impl Default for State {
    fn default() -> Self {
        Self {
            sort: Column::Rate,
            descending: true,
            filter: String::new(),
            editing: false,
            scroll: 0,
            paused: false,
            help: false,
            table: Table::Routes,
        }
    }
}

/// Rows a page key moves by.
const PAGE: usize = 10;
/// Longest filter.
const FILTER: usize = 64;

impl State {
    /// What `key` does, `rows` being how many there are.
    pub fn press(&mut self, key: KeyEvent, rows: usize) -> Effect {
        if key.kind == KeyEventKind::Release {
            return Effect::None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Effect::Quit;
        }
        if self.editing {
            self.edit(key.code);
            return Effect::None;
        }
        match key.code {
            KeyCode::Char('q') => return Effect::Quit,
            KeyCode::Char('/') => self.editing = true,
            KeyCode::Char('?' | 'h') => self.help = !self.help,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Esc => (self.help, self.filter) = (false, String::new()),
            KeyCode::Char('s') | KeyCode::Right => self.sort_by(self.stepped(1)),
            KeyCode::Left => self.sort_by(self.stepped(self.table.columns().len() - 1)),
            KeyCode::Tab | KeyCode::Char('u') => self.turn(),
            KeyCode::Char('n') => self.sort_by(Column::Service),
            KeyCode::Char('r') => self.sort_by(Column::Rate),
            KeyCode::Char('e') => self.sort_by(Column::Errors),
            KeyCode::Char('l') => self.sort_by(Column::P99),
            KeyCode::Char('i') => self.sort_by(Column::InFlight),
            KeyCode::Char(digit @ '1'..='9') => {
                let place = digit.to_digit(10).unwrap_or(1) as usize - 1;
                self.sort_by(self.table.columns().get(place).copied().unwrap_or(self.sort));
            }
            KeyCode::Down | KeyCode::Char('j') => self.scroll += 1,
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown => self.scroll += PAGE,
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.scroll = 0,
            KeyCode::End | KeyCode::Char('G') => self.scroll = rows,
            _ => {}
        }
        self.scroll = self.scroll.min(rows.saturating_sub(1));
        Effect::None
    }

    fn edit(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.editing = false,
            KeyCode::Esc => (self.editing, self.filter) = (false, String::new()),
            KeyCode::Backspace => _ = self.filter.pop(),
            KeyCode::Char(c) if self.filter.chars().count() < FILTER => self.filter.push(c),
            _ => {}
        }
        self.scroll = 0;
    }

    /// The next table, from its beginning, in an order that it has.
    fn turn(&mut self) {
        self.table = match self.table {
            Table::Routes => Table::Services,
            Table::Services => Table::Traces,
            Table::Traces => Table::Routes,
        };
        self.scroll = 0;
        let sorts = !self.table.columns().is_empty();
        if sorts && !self.table.columns().contains(&self.sort) {
            (self.sort, self.descending) = (Column::Rate, true);
        }
    }

    /// The rows of the table that is looked at.
    pub fn rows<'a>(&self, view: &'a View) -> &'a [Row] {
        match self.table {
            Table::Routes => &view.rows,
            Table::Services => &view.services,
            Table::Traces => &[],
        }
    }

    /// How much can be moved through.
    pub fn count(&self, view: &View) -> usize {
        match self.table {
            Table::Routes | Table::Services => self.rows(view).len(),
            Table::Traces => self.traces(view).len(),
        }
    }

    /// The traces that pass the filter, in order.
    pub fn traces<'a>(&self, view: &'a View) -> Vec<&'a Arc<Trace>> {
        let filter = self.filter.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&filter);
        let fits = |trace: &Trace| {
            filter.is_empty()
                || trace.spans.iter().any(|span| has(&span.service) || has(&span.name))
        };
        view.traces().filter(|trace| fits(trace)).collect()
    }

    fn stepped(&self, step: usize) -> Column {
        let columns = self.table.columns();
        if columns.is_empty() {
            return self.sort;
        }
        let place = columns.iter().position(|column| *column == self.sort).unwrap_or(0);
        columns.get((place + step) % columns.len()).copied().unwrap_or(Column::Rate)
    }

    /// The same column again turns the order round.
    fn sort_by(&mut self, column: Column) {
        if self.table == Table::Traces {
            return;
        }
        self.descending = if column == self.sort { !self.descending } else { !column.is_text() };
        self.sort = column;
        self.scroll = 0;
    }

    /// The rows that pass the filter, in order. Rows that are equal stand by name, so that nothing
    /// jumps about.
    pub fn select<'a>(&self, rows: &'a [Row]) -> Vec<&'a Row> {
        let filter = self.filter.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&filter);
        let mut rows: Vec<&Row> = rows
            .iter()
            .filter(|row| filter.is_empty() || has(&row.service) || has(&row.route))
            .collect();
        rows.sort_by(|a, b| {
            let order = self.compare(a, b);
            let order = if self.descending { order.reverse() } else { order };
            order.then_with(|| (&a.service, a.role, &a.route).cmp(&(&b.service, b.role, &b.route)))
        });
        rows
    }

    fn compare(&self, a: &Row, b: &Row) -> Ordering {
        let time = |a: Option<f64>, b: Option<f64>| a.unwrap_or(-1.0).total_cmp(&b.unwrap_or(-1.0));
        let (of_a, of_b) = (&a.usage, &b.usage);
        match self.sort {
            Column::Service => a.service.cmp(&b.service),
            Column::Role => a.role.cmp(&b.role),
            Column::Route => a.route.cmp(&b.route),
            Column::Rate => a.rate.total_cmp(&b.rate),
            Column::Errors => a.errors.total_cmp(&b.errors),
            Column::P50 => time(a.p50, b.p50),
            Column::P95 => time(a.p95, b.p95),
            Column::P99 => time(a.p99, b.p99),
            Column::InFlight => a.in_flight.cmp(&b.in_flight),
            Column::Cpu => time(of_a.cpu, of_b.cpu),
            Column::Wait => time(of_a.wait, of_b.wait),
            Column::Throttled => time(of_a.throttled, of_b.throttled),
            Column::Memory => of_a.memory.cmp(&of_b.memory),
            Column::DiskWait => time(of_a.disk_wait, of_b.disk_wait),
            Column::Retransmits => time(of_a.retransmits, of_b.retransmits),
        }
    }
}
