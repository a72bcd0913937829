//! What a sweep over open connections shows: exchanges that are whole though nothing followed them,
//! requests that hang, and connections that are open.
//!
//! A sweep reads the kernel's state and does not change it, so the same pair comes again when it
//! ends. What was reported from a sweep is remembered until then. When there is no room to remember,
//! nothing is reported from sweeps: a late count is better than a double one.

use super::conversation::{Conversation, Phase};
use crate::event::{ConnId, Nanos, Peer, Pid, Timestamp};
use crate::flow::ConnMap;
use crate::protocol::{Authority, Course, Exchange, Kept, Method, Role, Version, Wanted};

/// An answer whose end cannot be told has ended when it did not move for so long.
pub(super) const STILL: Nanos = Nanos(1_000_000_000);

/// A request that is not answered yet, or not wholly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// The connection.
    pub conn: ConnId,
    /// The process.
    pub pid: Pid,
    /// Its side.
    pub role: Role,
    /// What was asked for.
    pub method: Method,
    /// The host it was sent to by its own word.
    pub host: Option<Box<str>>,
    /// The port it was sent to by its own word.
    pub port: Option<u16>,
    /// The other end.
    pub peer: Peer,
    /// Since when.
    pub since: Timestamp,
    /// The request target's path.
    pub path: Box<str>,
    /// Lines of its head that are wanted.
    pub lines: Kept,
    /// The version it was asked in.
    pub version: Option<Version>,
    /// Bytes of its body so far.
    pub body: u64,
    /// Where it began, if that was seen.
    pub position: Option<u64>,
    /// Who moved it.
    pub course: Course,
}

impl InFlight {
    fn new(exchange: &Exchange<'_>, lines: Option<&Wanted>) -> Self {
        let Exchange { conn, pid, role, method, path, authority, .. } = *exchange;
        Self {
            conn,
            pid,
            role,
            method,
            host: authority.map(|authority| authority.host.into()),
            port: authority.and_then(|authority| authority.port),
            peer: exchange.peer,
            since: exchange.begun,
            // Nobody reads it where nobody wants lines.
            path: lines.map(|_| path.into()).unwrap_or_default(),
            lines: lines.map(|lines| exchange.lines.kept(lines)).unwrap_or_default(),
            version: exchange.version,
            body: exchange.request_body,
            position: exchange.position,
            course: exchange.course,
        }
    }

    /// The exchange as far as it has come by `now`.
    pub fn exchange(&self, now: Timestamp) -> Exchange<'_> {
        Exchange {
            conn: self.conn,
            pid: self.pid,
            role: self.role,
            method: self.method,
            path: &self.path,
            authority: self.host.as_deref().map(|host| Authority { host, port: self.port }),
            version: self.version,
            status: None,
            fault: None,
            begun: self.since,
            ended: now.max(self.since),
            request_body: self.body,
            response_body: 0,
            peer: self.peer,
            lines: self.lines.lines(),
            position: self.position,
            course: self.course,
        }
    }
}

/// A connection that a client holds open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenConnection {
    /// The connection.
    pub conn: ConnId,
    /// The process.
    pub pid: Pid,
    /// Whether a request is in flight on it.
    pub active: bool,
    /// The host its last request was sent to by its own word.
    pub host: Option<Box<str>>,
    /// The port its last request was sent to by its own word.
    pub port: Option<u16>,
    /// The other end.
    pub peer: Peer,
}

/// A pair that a sweep has reported, or may report when it stands still.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    seq: u32,
    missed: u8,
    seen: bool,
    /// None once it is reported; else how far the answer had come, and when that was first seen.
    still: Option<(u64, Timestamp)>,
}

/// What a pair is that a sweep showed with its heads: they do not come along while it stands still.
#[derive(Debug)]
struct Noted {
    seq: u32,
    seen: bool,
    active: bool,
    request: InFlight,
}

/// What becomes of a pair that a sweep shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Report it.
    Report,
    /// It was reported, or cannot be yet.
    Known,
    /// It may still move.
    Wait,
    /// There is no room to remember it.
    Full,
}

/// The state of sweeps.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    now: Timestamp,
    remembered: ConnMap<Remembered>,
    noted: ConnMap<Noted>,
    in_flight: Vec<InFlight>,
    connections: Vec<OpenConnection>,
    limit: usize,
}

impl Sweep {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn begin(&mut self, now: Timestamp) {
        self.now = now;
        self.in_flight.clear();
        self.connections.clear();
        for remembered in self.remembered.values_mut() {
            remembered.seen = false;
        }
        for noted in self.noted.values_mut() {
            noted.seen = false;
        }
    }

    /// Forgets connections that two sweeps did not show. One may be too few: an end that was written
    /// before the sweep may not have been read yet.
    pub(super) fn end(&mut self) {
        self.remembered.retain(|_, remembered| {
            remembered.missed =
                if remembered.seen { 0 } else { remembered.missed.saturating_add(1) };
            remembered.missed < 2
        });
        self.noted.retain(|_, noted| noted.seen);
    }

    /// Whether a pair that ended was reported while it was open.
    #[inline]
    pub(super) fn was_reported(&mut self, conn: ConnId, seq: u32) -> bool {
        if self.remembered.is_empty() {
            return false;
        }
        let Some(remembered) = self.remembered.get(&conn) else { return false };
        if remembered.seq > seq {
            return false;
        }
        let was = remembered.seq == seq && remembered.still.is_none();
        self.remembered.remove(&conn);
        was
    }

    /// The connection ended.
    pub(super) fn forget(&mut self, conn: ConnId) {
        if !self.remembered.is_empty() {
            self.remembered.remove(&conn);
        }
        if !self.noted.is_empty() {
            self.noted.remove(&conn);
        }
    }

    /// A connection is there: what was reported of it may not have been read yet.
    pub(super) fn see(&mut self, conn: ConnId) {
        if let Some(known) = self.remembered.get_mut(&conn) {
            known.seen = true;
        }
    }

    /// A pair whose answer is whole (`sure`), or may be.
    pub(super) fn show(&mut self, conn: ConnId, seq: u32, moved: u64, sure: bool) -> Shown {
        let now = self.now;
        let still = Some((moved, now));
        if let Some(known) = self.remembered.get_mut(&conn) {
            known.seen = true;
            if known.still.is_none() {
                // Reported, or an earlier one was whose own end is not read yet: only one is
                // remembered.
                return Shown::Known;
            }
            if known.seq != seq {
                (known.seq, known.still) = (seq, still);
            }
            if sure {
                known.still = None;
                return Shown::Report;
            }
            return match known.still {
                Some((before, since)) if before == moved && now.since(since) >= STILL => {
                    known.still = None;
                    Shown::Report
                }
                Some((before, _)) if before == moved => Shown::Wait,
                _ => {
                    known.still = still;
                    Shown::Wait
                }
            };
        }
        if self.remembered.len() >= self.limit {
            return Shown::Full;
        }
        let still = if sure { None } else { still };
        self.remembered.insert(conn, Remembered { seq, missed: 0, seen: true, still });
        if sure { Shown::Report } else { Shown::Wait }
    }

    /// Notes an exchange of a pair that is open, or whose connection is.
    pub(super) fn note(
        &mut self,
        exchange: &Exchange<'_>,
        seq: u32,
        active: bool,
        lines: Option<&Wanted>,
    ) {
        let request = InFlight::new(exchange, lines.filter(|_| active));
        self.tell(&request, active);
        let conn = exchange.conn;
        if self.noted.len() < self.limit || self.noted.contains_key(&conn) {
            self.noted.insert(conn, Noted { seq, seen: true, active, request });
        }
    }

    /// The same for a pair that came without heads, because it has not moved for a while.
    pub(super) fn recall(&mut self, conn: ConnId, seq: u32) {
        let Some(mut noted) = self.noted.remove(&conn) else { return };
        if noted.seq == seq {
            noted.seen = true;
            self.tell(&noted.request, noted.active);
            self.noted.insert(conn, noted);
        }
    }

    fn tell(&mut self, request: &InFlight, active: bool) {
        if active && self.in_flight.len() < self.limit {
            self.in_flight.push(request.clone());
        }
        if request.role == Role::Client && self.connections.len() < self.limit {
            let InFlight { conn, pid, port, peer, .. } = *request;
            let host = request.host.clone();
            self.connections.push(OpenConnection { conn, pid, active, host, port, peer });
        }
    }

    /// Notes the open requests of a conversation.
    pub(super) fn note_all(&mut self, conn: ConnId, pid: Pid, conversation: &Conversation) {
        let Conversation { role, peer, queue, place, .. } = conversation;
        for open in queue {
            if self.in_flight.len() < self.limit {
                self.in_flight.push(InFlight {
                    conn,
                    pid: open.pid,
                    role: *role,
                    method: open.method,
                    host: open.host.clone(),
                    port: open.port,
                    peer: *peer,
                    since: open.begun,
                    path: open.path.clone(),
                    lines: open.lines.clone(),
                    version: open.version,
                    body: open.body,
                    position: open.position,
                    course: Course { asked_by: open.hand.tid, ..Course::default() },
                });
            }
        }
        if *role == Role::Client && !conversation.opaque && self.connections.len() < self.limit {
            let active = !queue.is_empty() || matches!(conversation.answer.phase, Phase::Body(_));
            let (host, port) =
                place.clone().map_or((None, None), |(host, port)| (Some(host), port));
            self.connections.push(OpenConnection { conn, pid, active, host, port, peer: *peer });
        }
    }

    pub(super) fn in_flight(&self) -> &[InFlight] {
        &self.in_flight
    }

    pub(super) fn connections(&self) -> &[OpenConnection] {
        &self.connections
    }

    pub(super) fn remembered(&self) -> usize {
        self.remembered.len()
    }
}
