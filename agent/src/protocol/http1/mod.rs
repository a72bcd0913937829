//! HTTP/1.0 and HTTP/1.1: pairs and segments of a connection to exchanges.
//!
//! A pair that is one request with its answer is judged by itself and leaves nothing behind
//! (`pair`). Everything else goes through one machine a connection (`conversation`), to which a
//! pair is just two captures. Bodies are counted, never kept.

mod answer;
mod body;
mod conversation;
mod counters;
mod fault;
mod head;
mod memo;
mod pair;
mod start;
mod sweep;
mod target;
#[cfg(test)]
mod tests;

pub use counters::{COUNTS, Count, Counters};
pub use sweep::{InFlight, OpenConnection};

use agent_common::limit;
use agent_common::record;

use self::answer::Over;
use self::conversation::{Conversation, Cx, Hand, Way, course};
use self::memo::Memo;
use self::pair::Judged;
use self::sweep::{Shown, Sweep};
use super::{Begun, Role, Sink, Wanted};
use crate::event::{ConnId, Direction, End, Event, Pair, Pid, Segment, Timestamp, flag};
use crate::flow::{Bounds, Capture, Table};

/// What the stage may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head that is still coming.
    pub head: usize,
    /// Requests that await answers on one connection.
    pub pipeline: usize,
    /// Bytes of what is kept of those.
    pub waiting: usize,
    /// Connections that something has to be remembered of.
    pub connections: usize,
    /// Bytes of all that.
    pub bytes: usize,
    /// Open exchanges that are remembered because a sweep has shown them.
    pub swept: usize,
    /// What of a request's head is kept until its answer is whole; none if nobody reads it.
    pub lines: Option<Wanted>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 64 * 1024,
            pipeline: 1024,
            waiting: 256 * 1024,
            connections: 16 * 1024,
            bytes: 8 << 20,
            swept: 32 * 1024,
            lines: None,
        }
    }
}

/// The stage.
#[derive(Debug)]
pub struct Http1 {
    limits: Limits,
    counters: Counters,
    conversations: Table<Conversation>,
    sweep: Sweep,
    memo: Memo,
}

impl Http1 {
    /// A stage that holds no more than `limits`.
    pub fn new(limits: Limits) -> Self {
        let bounds = Bounds { connections: limits.connections, bytes: limits.bytes };
        Self {
            limits,
            counters: Counters::default(),
            conversations: Table::new(bounds),
            sweep: Sweep::new(limits.swept),
            memo: Memo::new(),
        }
    }

    /// What was done with everything so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes one event; those that say nothing of a connection's bytes are passed over.
    pub fn event(&mut self, event: &Event<'_>, sink: &mut impl Sink) {
        match event {
            Event::Pair(pair) if pair.end == End::Swept => self.swept(pair, sink),
            Event::Pair(pair) => self.pair(pair, sink),
            Event::Segment(segment) => self.segment(segment, sink),
            Event::Close(close) => self.close(close, sink),
            Event::Progress(close) => self.progress(close, sink),
            Event::ConnectFailed(_)
            | Event::Carried(_)
            | Event::Joint(_)
            | Event::Exec(_)
            | Event::Fork(_)
            | Event::Exit(_) => {}
        }
    }

    fn pair(&mut self, pair: &Pair<'_>, sink: &mut impl Sink) {
        self.counters.bump(Count::Pairs);
        let conn = ConnId(pair.header.conn);
        if self.sweep.was_reported(conn, pair.header.seq) {
            self.counters.bump(Count::Reported);
            return;
        }
        if self.conversations.contains(conn) || pair.end == End::Handover {
            return self.converse(pair, sink);
        }
        match pair::judge(pair, &mut self.memo) {
            Judged::Whole(exchange) | Judged::Unsure(exchange) => {
                self.counters.bump(Count::Requests);
                self.counters.bump(Count::Exchanges);
                sink.exchange(&exchange);
            }
            Judged::Open(exchange) if pair::is_over(pair) => {
                self.counters.bump(Count::Requests);
                self.counters.bump(Count::Exchanges);
                sink.exchange(&exchange);
            }
            Judged::Open(_) | Judged::Other => self.converse(pair, sink),
        }
    }

    /// A pair on a connection of which something is remembered, or will have to be.
    fn converse(&mut self, pair: &Pair<'_>, sink: &mut impl Sink) {
        let Self { limits, counters, conversations, .. } = self;
        let header = pair.header;
        let conn = ConnId(header.conn);
        let now = Timestamp(header.ask.last.max(header.answer.last));
        let requests = counters.get(Count::Requests);
        let late = header.flags & flag::LATE != 0 && header.seq <= 1;
        let make = || Conversation::new(pair::role(header.flags), header.peer, late);
        let talk = conversations.entry(conn, now, make);
        let why = Some((Timestamp(header.ask.first), pair.why));
        let mut cx = Cx {
            conn,
            pid: pair::pid(pair),
            hand: Hand::default(),
            why,
            limits,
            counters,
            sink,
            note: None,
        };
        if !talk.followed && talk.next != 0 && talk.next != header.seq && !talk.opaque {
            talk.abandon(Count::LostSequence, &mut cx);
            *talk = Conversation::new(talk.role, talk.peer, false);
        }
        talk.next = header.seq.wrapping_add(1);
        take_pair(talk, pair, &mut cx);
        let note = cx.note;
        let over = pair::is_over(pair);
        let opaque = talk.opaque;
        let rests = talk.is_at_rest();
        let weight = talk.weight();
        conversations.settle(conn, now, weight);
        if over || rests {
            conversations.remove(conn);
        }
        if counters.get(Count::Requests) == requests {
            counters.bump(note.unwrap_or(if opaque { Count::Opaque } else { Count::Continued }));
        }
        self.make_room();
    }

    fn segment(&mut self, segment: &Segment<'_>, sink: &mut impl Sink) {
        let Self { limits, counters, conversations, .. } = self;
        counters.bump(Count::Segments);
        let header = segment.header;
        let conn = ConnId(header.conn);
        let now = Timestamp(header.time);
        let turn = header.flags & flag::TURN != 0;
        let talk = conversations.entry(conn, now, || {
            let late = header.flags & flag::LATE != 0;
            let mut talk = Conversation::new(sniff(segment), header.peer, late);
            talk.followed = true;
            if !turn {
                talk.lose();
            }
            talk
        });
        talk.followed = true;
        talk.unix = header.flags & flag::UNIX != 0;
        let way = way(talk.role, segment.direction);
        let other = if way == Way::Ask { Way::Answer } else { Way::Ask };
        let hand = Hand { tid: header.tid, sleeps: header.sleeps, waits: header.waits != 0 };
        let mut cx =
            Cx { conn, pid: Pid(header.tgid), hand, why: None, limits, counters, sink, note: None };
        talk.claim(other, header.other_end, Timestamp(header.other_time), &mut cx);
        let capture = Capture {
            start: header.start,
            end: header.end,
            data: segment.data,
            first: now,
            last: now,
            turn,
        };
        talk.capture(way, &capture, &mut cx);
        let note = cx.note;
        let weight = talk.weight();
        conversations.settle(conn, now, weight);
        match note {
            None | Some(Count::Continued) => {}
            Some(note) => counters.bump(note),
        }
        self.make_room();
    }

    fn close(&mut self, close: &record::Close, sink: &mut impl Sink) {
        let conn = ConnId(close.conn);
        self.sweep.forget(conn);
        let Self { limits, counters, conversations, .. } = self;
        let Some(mut talk) = conversations.remove(conn) else { return };
        let mut cx = Cx {
            conn,
            pid: Pid(close.tgid),
            hand: Hand::default(),
            why: None,
            limits,
            counters,
            sink,
            note: None,
        };
        let [ends_in, ends_out] = close.end;
        let [last_in, last_out] = close.last;
        for (direction, end, last) in
            [(Direction::In, ends_in, last_in), (Direction::Out, ends_out, last_out)]
        {
            let way = way(talk.role, direction);
            // The end of a stream takes a place in its numbering: one byte more is none, unless a
            // body is known to want it.
            let side = talk.side(way);
            let end = match side.stream.end() {
                Some(at) if end == at.saturating_add(1) && !side.wants() => at,
                _ => end,
            };
            talk.reach(way, end, Timestamp(last), &mut cx);
        }
        talk.close(Over { time: Timestamp(close.time), errno: close.errno }, &mut cx);
        if let Some(note) = cx.note.filter(|note| *note != Count::Continued) {
            counters.bump(note);
        }
    }

    /// Evicts until the budget is kept.
    fn make_room(&mut self) {
        while let Some((_, talk)) = self.conversations.evict() {
            self.counters.bump(Count::Evicted);
            self.counters.add(Count::LostEvicted, talk.queue.len());
        }
    }

    /// Begins a sweep: pairs that say [`End::Swept`] and [`Event::Progress`] follow, for all open
    /// connections. `now` is when the kernel's state was read. Between that reading and
    /// [`Http1::end_sweep`] no other event may be given, and between two sweeps all that were
    /// written before the first must be.
    pub fn begin_sweep(&mut self, now: Timestamp) {
        self.sweep.begin(now);
    }

    fn swept(&mut self, pair: &Pair<'_>, sink: &mut impl Sink) {
        self.counters.bump(Count::Swept);
        let conn = ConnId(pair.header.conn);
        self.sweep.see(conn);
        if let Some(talk) = self.conversations.get_mut(conn) {
            talk.mark.seen = true;
            if !talk.is_loose() {
                // What came before decides what this pair is: it waits for its end.
                tell(conn, talk, sink);
                return self.sweep.note_all(conn, pair::pid(pair), talk);
            }
        }
        let (seq, moved) = (pair.header.seq, pair.header.answer.bytes);
        let lines = self.limits.lines.as_ref();
        let (exchange, sure) = match pair::judge(pair, &mut self.memo) {
            Judged::Whole(exchange) => (exchange, true),
            Judged::Unsure(exchange) => (exchange, false),
            Judged::Open(exchange) => {
                sink.begun(&Begun::of(&exchange));
                return self.sweep.note(&exchange, seq, true, lines);
            }
            Judged::Other if pair.ask.is_empty() => return self.sweep.recall(conn, seq),
            Judged::Other => return,
        };
        let shown = self.sweep.show(conn, seq, moved, sure);
        if matches!(shown, Shown::Wait | Shown::Full) {
            sink.begun(&Begun::of(&exchange));
        }
        self.sweep.note(&exchange, seq, shown == Shown::Wait, lines);
        match shown {
            Shown::Report => {
                self.counters.bump(Count::Requests);
                self.counters.bump(Count::Exchanges);
                sink.exchange(&exchange);
            }
            Shown::Full => self.counters.bump(Count::SweepFull),
            Shown::Known | Shown::Wait => {}
        }
    }

    /// How far a followed connection has come. What this sweep says is acted on by the next one:
    /// records of the bytes may still be on their way.
    fn progress(&mut self, progress: &record::Close, sink: &mut impl Sink) {
        let now = self.sweep.now();
        let conn = ConnId(progress.conn);
        let Self { limits, counters, conversations, .. } = self;
        let Some(talk) = conversations.get_mut(conn) else { return };
        let mut cx = Cx {
            conn,
            pid: Pid(progress.tgid),
            hand: Hand::default(),
            why: None,
            limits,
            counters,
            sink,
            note: None,
        };
        let [ends_in, ends_out] = progress.end;
        let [last_in, last_out] = progress.last;
        let reached = [(ends_in, Timestamp(last_in)), (ends_out, Timestamp(last_out))];
        if let Some((since, before)) = talk.mark.progress {
            for (direction, (end, last)) in [Direction::In, Direction::Out].into_iter().zip(before)
            {
                let way = way(talk.role, direction);
                talk.reach(way, end, last, &mut cx);
            }
            if before == reached && now.since(since) >= sweep::STILL {
                talk.next_turn(&mut cx);
            }
        }
        let since = match talk.mark.progress {
            Some((since, before)) if before == reached => since,
            _ => now,
        };
        talk.mark.progress = Some((since, reached));
        talk.mark.seen = true;
        let weight = talk.weight();
        conversations.settle(conn, now, weight);
    }

    /// Ends a sweep.
    pub fn end_sweep(&mut self, sink: &mut impl Sink) {
        let Self { limits, conversations, counters, sweep, .. } = self;
        sweep.end();
        let gone = conversations.extract(|_, talk| {
            let mark = &mut talk.mark;
            mark.missed = if mark.seen { 0 } else { mark.missed.saturating_add(1) };
            mark.shown |= mark.seen;
            mark.seen = false;
            mark.missed >= 2 && (mark.shown || talk.opaque || talk.unix)
        });
        for (conn, mut talk) in gone {
            if talk.unix {
                // Of a Unix socket this is the only sign of its end.
                let time = talk.ask.stream.last().max(talk.answer.stream.last());
                let mut cx = Cx {
                    conn,
                    pid: talk.pid,
                    hand: Hand::default(),
                    why: None,
                    limits,
                    counters,
                    sink,
                    note: None,
                };
                talk.close(Over { time, errno: 0 }, &mut cx);
            } else {
                counters.add(Count::LostVanished, talk.queue.len());
            }
        }
        for (conn, talk) in conversations.iter().filter(|(_, talk)| talk.followed) {
            let pid = talk.queue.front().map_or(talk.pid, |open| open.pid);
            sweep.note_all(conn, pid, talk);
            tell(conn, talk, sink);
        }
    }

    /// Requests that were in flight when the last sweep looked.
    pub fn in_flight(&self) -> impl Iterator<Item = &InFlight> {
        self.sweep.in_flight().iter()
    }

    /// Connections that clients held open when the last sweep looked.
    pub fn connections(&self) -> impl Iterator<Item = &OpenConnection> {
        self.sweep.connections().iter()
    }

    /// Requests recognised that are neither reported nor lost yet.
    pub fn open(&self) -> u64 {
        self.conversations.iter().map(|(_, talk)| talk.queue.len() as u64).sum()
    }

    /// Connections that something is remembered of, exchanges a sweep has shown, and bytes.
    pub fn held(&self) -> (usize, usize, usize) {
        (self.conversations.len(), self.sweep.remembered(), self.conversations.bytes())
    }
}

/// Tells the requests of a conversation that are not over.
fn tell(conn: ConnId, talk: &Conversation, sink: &mut impl Sink) {
    for (place, open) in talk.queue.iter().enumerate() {
        // The answer in progress is the first's.
        let answering = talk.answering.filter(|_| place == 0).unwrap_or_default();
        sink.begun(&Begun {
            conn,
            pid: open.pid,
            role: talk.role,
            path: &open.path,
            begun: open.begun,
            peer: talk.peer,
            course: course(open.hand, open.begun, &answering),
        });
    }
}

/// Gives a pair's two turns to the machine, and its end.
fn take_pair<S: Sink>(talk: &mut Conversation, pair: &Pair<'_>, cx: &mut Cx<'_, S>) {
    let header = pair.header;
    let over = pair::is_over(pair);
    let handover = pair.end == End::Handover;
    for (way, turn, data, room) in [
        (Way::Ask, &header.ask, pair.ask, limit::ASK_HEAD),
        (Way::Answer, &header.answer, pair.answer, limit::ANSWER_HEAD),
    ] {
        if turn.bytes == 0 && data.is_empty() {
            continue;
        }
        let steps = header.steps;
        cx.hand = match way {
            Way::Ask => {
                Hand { tid: header.ask_tid, sleeps: steps.ask_sleeps, waits: header.waits != 0 }
            }
            Way::Answer => {
                Hand { tid: header.answer_tid, sleeps: steps.answer_sleeps, waits: false }
            }
        };
        let size = if handover { data.len() as u64 } else { pair::size(turn, data, room, over) };
        let capture = Capture {
            start: turn.start,
            end: turn.start.saturating_add(size),
            data,
            first: Timestamp(turn.first),
            last: Timestamp(turn.last),
            turn: true,
        };
        talk.capture(way, &capture, cx);
        if handover {
            talk.claim(way, turn.start.saturating_add(turn.bytes), Timestamp(turn.last), cx);
        }
    }
    if handover {
        talk.followed = true;
        talk.unix = header.flags & flag::UNIX != 0;
        return;
    }
    let trailer = talk.answering.is_some_and(|answering| answering.trailer);
    if let Some(ends) = pair::ending(pair, trailer) {
        talk.ending(ends, cx);
    }
    let last = header.ask.last.max(header.answer.last);
    match pair.end {
        End::Closed => talk.close(Over { time: Timestamp(last), errno: 0 }, cx),
        End::Failed => talk.close(Over { time: Timestamp(last), errno: header.errno }, cx),
        End::Next | End::Swept | End::Handover => {
            talk.next_turn(cx);
            if !talk.queue.is_empty() && !talk.opaque {
                talk.want_full(cx);
            }
        }
    }
}

/// Which side of the conversation a direction is.
fn way(role: Role, direction: Direction) -> Way {
    match (role, direction) {
        (Role::Server, Direction::In) | (Role::Client, Direction::Out) => Way::Ask,
        _ => Way::Answer,
    }
}

/// The role of the process on a connection that was not seen to begin: by the first bytes, and by
/// the kernel side's word where they do not say.
fn sniff(segment: &Segment<'_>) -> Role {
    let inward = segment.direction == Direction::In;
    match (head::may_ask(segment.data), head::may_answer(segment.data)) {
        (false, true) if inward => Role::Client,
        (false, true) => Role::Server,
        (true, false) if inward => Role::Server,
        (true, false) => Role::Client,
        _ => pair::role(segment.header.flags),
    }
}
