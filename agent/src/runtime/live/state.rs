//! What is looked at, and what each key does to it. Pure: no terminal, no clock.

use std::cmp::Ordering;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::Row;

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
}

impl Column {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Service,
        Self::Role,
        Self::Route,
        Self::Rate,
        Self::Errors,
        Self::P50,
        Self::P95,
        Self::P99,
        Self::InFlight,
    ];

    fn place(self) -> usize {
        Self::ALL.iter().position(|column| *column == self).unwrap_or(0)
    }

    fn stepped(self, step: usize) -> Self {
        let place = (self.place() + step) % Self::ALL.len();
        Self::ALL.get(place).copied().unwrap_or(Self::Rate)
    }

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
            KeyCode::Char('s') | KeyCode::Right => self.sort_by(self.sort.stepped(1)),
            KeyCode::Left => self.sort_by(self.sort.stepped(Column::ALL.len() - 1)),
            KeyCode::Char('n') => self.sort_by(Column::Service),
            KeyCode::Char('r') => self.sort_by(Column::Rate),
            KeyCode::Char('e') => self.sort_by(Column::Errors),
            KeyCode::Char('l') => self.sort_by(Column::P99),
            KeyCode::Char('i') => self.sort_by(Column::InFlight),
            KeyCode::Char(digit @ '1'..='9') => {
                let place = digit.to_digit(10).unwrap_or(1) as usize - 1;
                self.sort_by(Column::ALL.get(place).copied().unwrap_or(self.sort));
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

    /// The same column again turns the order round.
    fn sort_by(&mut self, column: Column) {
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
        }
    }
}
