//! The pane of traces: a list of the newest errors and the slowest, and one of them as a waterfall.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::model::View;
use super::render::{ALARM, BOLD, FAINT};
use super::state::State;
use super::text;
use crate::runtime::traces::draw::{self, Tone};

/// Lines of the list: the rest is the waterfall's.
const LIST: u16 = 10;

/// Draws it.
pub(super) fn draw(view: &View, state: &State, area: Rect, frame: &mut Frame<'_>) {
    let traces = state.traces(view);
    if traces.is_empty() {
        frame.render_widget(Paragraph::new(EMPTY).style(FAINT), area);
        return;
    }
    let rows = u16::try_from(traces.len()).unwrap_or(u16::MAX);
    let list = rows.min(LIST).min(area.height.div_ceil(2)).max(1);
    let areas =
        Layout::vertical([Constraint::Length(list), Constraint::Length(1), Constraint::Fill(1)]);
    let [above, between, below] = areas.areas(area);
    let width = usize::from(area.width);
    let chosen = state.scroll.min(traces.len().saturating_sub(1));
    let first = (chosen + 1).saturating_sub(usize::from(list));
    let lines = traces.iter().enumerate().skip(first).take(usize::from(list));
    let lines = lines.map(|(place, trace)| {
        let is_chosen = place == chosen;
        let mark = if is_chosen { "> " } else { "  " };
        let style = if trace.failed() { ALARM } else { Style::new() };
        let style = if is_chosen { style.add_modifier(Modifier::REVERSED) } else { style };
        let line = text::cut(&format!("{mark}{}", draw::head(trace)), width);
        Line::styled(format!("{line:<width$}"), style)
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), above);
    let Some(trace) = traces.get(chosen) else { return };
    let title = text::cut(&format!("trace {}", trace.id), width);
    frame.render_widget(Paragraph::new(Line::styled(title, BOLD)), between);
    let drawn = draw::waterfall(trace, width).into_iter().map(|line| {
        let style = match line.tone {
            Tone::Head => BOLD,
            Tone::Plain => Style::new(),
            Tone::Error => ALARM,
            Tone::Why => FAINT,
        };
        Line::styled(line.text, style)
    });
    frame.render_widget(Paragraph::new(drawn.collect::<Vec<_>>()), below);
}

const EMPTY: &str = "
No trace to show yet, or none that matches the filter.

A trace is shown some seconds after its last request has ended: until then
the rest of it is waited for.";
