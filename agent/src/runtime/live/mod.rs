//! The live view: a table of what is going on, for a person at a terminal.
//!
//! [`model::View`]s come in once a second, keys at any time; [`state::State`] says what is looked at
//! and `render` draws it. This file holds what touches the terminal and nothing else.

pub mod feed;
mod gallery;
pub mod meter;
pub mod model;
mod render;
mod saturation;
pub mod state;
pub(super) mod text;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event};
use tokio::sync::watch;

use super::log::Ring;
use model::View;
use state::{Effect, State};

/// How long a new view or the end may wait while no key is pressed.
const PATIENCE: Duration = Duration::from_millis(100);

/// Why there is no live view.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The terminal refused.
    #[error("the terminal cannot be drawn on: {0}; run with --no-live for a daemon and its log")]
    Terminal(#[from] io::Error),
}

/// Draws what `views` says until a key or the end of its sender ends it. Blocks: it wants a thread
/// of its own. The terminal is as it was afterwards, after a panic as well.
pub fn run(mut views: watch::Receiver<Arc<View>>, log: &Ring) -> Result<(), LiveError> {
    let mut terminal = ratatui::try_init()?;
    let _restored = Restored;
    let mut looked_at = State::default();
    let mut view = Arc::clone(&views.borrow_and_update());
    let mut warnings = log.written();
    let mut stale = true;
    loop {
        if stale {
            let warning = log.last_warning();
            terminal.draw(|frame| render::render(&view, &looked_at, warning.as_deref(), frame))?;
        }
        stale = false;
        if event::poll(PATIENCE)? {
            stale = true;
            if let Event::Key(key) = event::read()?
                && looked_at.press(key, looked_at.count(&view)) == Effect::Quit
            {
                return Ok(());
            }
        }
        match views.has_changed() {
            Err(_) => return Ok(()),
            Ok(true) if !looked_at.paused => {
                view = Arc::clone(&views.borrow_and_update());
                stale = true;
            }
            Ok(_) => {}
        }
        stale |= std::mem::replace(&mut warnings, log.written()) != warnings;
    }
}

/// Gives the terminal back when it goes out of scope.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        // There is nobody left to tell: the terminal itself is what failed.
        let _ = ratatui::try_restore();
    }
}

#[cfg(test)]
mod tests;
