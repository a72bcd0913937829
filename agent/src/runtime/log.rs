//! The agent's own log: JSON for machines, text for people, always on standard error.
//!
//! While the live view has the screen, lines go to a bounded [`Ring`] instead. Libraries may warn
//! and no more, unless the agent's own level is stricter; a level for debugging shows the agent's
//! thoughts, not those of its HTTP stack.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::keys::{Log, LogFormat, LogLevel};

/// Where lines go.
#[derive(Clone, Debug)]
pub enum Sink {
    /// Standard error.
    Stderr,
    /// The ring, because the live view has the screen.
    Ring(Ring),
}

/// Starts the log of this process; once.
pub fn start(log: &Log, sink: Sink) -> Result<(), TryInitError> {
    let level = level(log.level);
    let libraries = level.min(LevelFilter::WARN);
    // It warns with all that a server said.
    let client = libraries.min(LevelFilter::ERROR);
    let targets = Targets::new().with_default(libraries);
    let targets = targets.with_target("kube_client", client).with_target("steth", level);
    let json = match log.format {
        LogFormat::Auto => !io::stderr().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let registry = tracing_subscriber::registry();
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match sink {
        Sink::Ring(ring) => registry.with(ring.with_filter(targets)).try_init(),
        Sink::Stderr if json => {
            let lines = lines.json().flatten_event(true).with_current_span(false);
            registry.with(lines.with_span_list(false).with_filter(targets)).try_init()
        }
        Sink::Stderr => {
            let lines = lines.with_ansi(io::stderr().is_terminal()).with_target(false);
            registry.with(lines.with_filter(targets)).try_init()
        }
    }
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Lines kept.
const LINES: usize = 200;
/// Characters kept of a line.
const LINE: usize = 500;

/// The last lines of the log, shared by those who write and the one who shows.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    lines: Arc<Mutex<Lines>>,
}

#[derive(Debug, Default)]
struct Lines {
    /// Newest last; whether it is a warning or worse.
    kept: VecDeque<(bool, String)>,
    written: u64,
}

impl Ring {
    /// The newest warning or error that is still kept.
    pub fn last_warning(&self) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.kept.iter().rev().find(|(grave, _)| *grave).map(|(_, line)| line.clone())
    }

    /// How many lines were ever written; tells whether there is anything to draw.
    pub fn written(&self) -> u64 {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).written
    }

    /// The warnings and errors that are kept, oldest first, to be told when the screen is free.
    pub fn warnings(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.kept.iter().filter(|(grave, _)| *grave).map(|(_, line)| line.clone()).collect()
    }

    fn push(&self, grave: bool, line: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.written += 1;
        if lines.kept.len() == LINES {
            lines.kept.pop_front();
        }
        lines.kept.push_back((grave, line));
    }
}

impl<S: Subscriber> Layer<S> for Ring {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let level = *event.metadata().level();
        let mut line = Line(format!("{level}"));
        event.record(&mut line);
        let Line(text) = line;
        self.push(level <= Level::WARN, text.chars().take(LINE).collect());
    }
}

/// One event as text: the message, then its fields.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value}"),
            name => write!(self.0, " {name}={value}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::{LINES, Ring};

    #[test]
    fn the_ring_keeps_the_last_lines_and_knows_the_last_warning() {
        let ring = Ring::default();
        let subscriber = tracing_subscriber::registry().with(ring.clone());
        tracing::subscriber::with_default(subscriber, || {
            assert_eq!(ring.last_warning(), None);
            tracing::warn!(queue = "export", size = 3, "collector is away");
            tracing::info!("nothing much");
            assert_eq!(
                ring.last_warning().as_deref(),
                Some("WARN collector is away queue=export size=3")
            );
            for _ in 0..LINES {
                tracing::info!("more");
            }
            assert_eq!(ring.last_warning(), None);
            tracing::error!("{}", "x".repeat(10_000));
        });
        assert_eq!(ring.written(), LINES as u64 + 3);
        assert!(ring.last_warning().is_some_and(|line| line.len() <= 500));
    }
}
