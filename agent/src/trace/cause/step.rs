//! What exchanges come apart into: one step of one exchange, by one thread, at one moment.

use super::Id;
use super::habit::Kind;
use crate::event::{ConnId, Timestamp};
use crate::protocol::Role;
use crate::trace::window::At;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A connection was opened for it.
    Opened,
    /// Its first bytes crossed.
    Asked,
    /// Its answer's first bytes crossed.
    Answered,
    /// Its answer's last bytes crossed, or its connection ended.
    Over,
}

/// One step of one exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) time: Timestamp,
    pub(super) id: Id,
    pub(super) role: Role,
    pub(super) step: Step,
    /// 0 where it is not known.
    pub(super) tid: u32,
    /// The goroutine, where there are such; 0 where it is not known.
    pub(super) routine: u32,
    /// When it had moved the last bytes of what was asked.
    pub(super) taken: Timestamp,
    /// The connection.
    pub(super) conn: ConnId,
    /// How often the thread had slept.
    pub(super) stretch: u32,
    /// The request was read by a call that would have waited.
    pub(super) waits: bool,
    /// The thread that opened the connection for it; 0 if none did.
    pub(super) opened: u32,
    /// What kind of call it is.
    pub(super) kind: Kind,
    /// Where the exchange is in the window, if it is there already.
    pub(super) at: Option<At>,
}
