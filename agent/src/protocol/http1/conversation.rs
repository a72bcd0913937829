//! One connection that does not keep to one request and one answer a pair: both directions as
//! streams, and the requests that await their answers.
//!
//! Each direction is in one of three phases:
//!
//! | phase | bytes | a gap |
//! | --- | --- | --- |
//! | `Start` | a head, kept until it is whole | the head is cut: the message ends by the turn |
//! | `Body` | counted until the framing says it ended | counted; chunks may lose their framing |
//! | `Lost` | passed over until a turn begins with a first line | passed over |
//!
//! Requests are answered in order. An answer whose end cannot be seen ends when the next request
//! begins, or when the next turn of answers begins with a status line.

use std::collections::VecDeque;

use super::Limits;
use super::body::{Body, Took};
use super::counters::{Count, Counters};
use super::head;
use crate::event::{ConnId, Peer, Pid, Timestamp, Why};
use crate::flow::{Capture, Stream};
use crate::protocol::{
    Authority, Course, Exchange, Fault, Kept, Method, Role, Sink, Steps, Verdict, Version,
};

/// Bytes of one turn after which silence may mean more of it.
const CARRIED: u64 = agent_common::limit::SEGMENT_LARGE as u64;

/// Which of the two is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Ask,
    Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Start,
    Body(Body),
    Lost,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) stream: Stream,
    pub(super) phase: Phase,
    /// Position of the first byte of the head that is coming, or came last.
    pub(super) at: u64,
    /// Length of the kept head when it was last read to see whether it can become one.
    pub(super) checked: usize,
}

impl Side {
    /// Whether a body of known length is not whole.
    pub(super) fn wants(&self) -> bool {
        matches!(self.phase, Phase::Body(Body::Length(_)))
    }
}

/// A thread that moved bytes; 0 where it is not known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hand {
    pub(super) tid: u32,
    /// How often it had slept.
    pub(super) sleeps: u32,
    /// It would have waited for them.
    pub(super) waits: bool,
}

/// What is known of an exchange between its begin and its end.
pub(super) fn course(asked: Hand, begun: Timestamp, answering: &Answering) -> Course {
    let why = answering.why.filter(|(since, _)| *since == begun);
    Course {
        asked_by: asked.tid,
        answered_by: answering.hand.tid,
        answered: answering.begun,
        routine: 0,
        same: false,
        taken: Timestamp::default(),
        steps: Steps {
            asked: asked.sleeps,
            answered: answering.hand.sleeps,
            waits: asked.waits,
            opened: None,
        },
        why: why.map_or_else(Why::default, |(_, why)| why),
    }
}

/// A request that awaits its answer, or the end of it.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) method: Method,
    pub(super) path: Box<str>,
    pub(super) host: Option<Box<str>>,
    pub(super) port: Option<u16>,
    pub(super) version: Option<Version>,
    pub(super) begun: Timestamp,
    pub(super) pid: Pid,
    /// Who moved its first bytes.
    pub(super) hand: Hand,
    pub(super) body: u64,
    /// The most that the body can be, where the head's end was not seen: what it said until there.
    pub(super) declared: Option<u64>,
    /// Lines of its head that are wanted.
    pub(super) lines: Kept,
    /// Where it began, if that was seen.
    pub(super) position: Option<u64>,
}

impl Open {
    pub(super) fn weight(&self) -> usize {
        let host = self.host.as_ref().map_or(0, |host| host.len());
        size_of::<Self>() + self.path.len() + host + self.lines.weight()
    }
}

/// The answer in progress; it belongs to the first of the open requests, if it was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answering {
    pub(super) status: Option<u16>,
    pub(super) version: Option<Version>,
    pub(super) body: u64,
    /// What a head that was not seen whole said of the body's length.
    pub(super) declared: Option<u64>,
    /// Whether a trailer section is announced.
    pub(super) trailer: bool,
    /// Whether the last bytes known end a chunked body, if any are known.
    pub(super) ending: Option<bool>,
    pub(super) asked: bool,
    /// The process that answers, where it is known.
    pub(super) pid: Option<Pid>,
    /// Who moved its first bytes.
    pub(super) hand: Hand,
    /// When they had crossed.
    pub(super) begun: Option<Timestamp>,
    /// Where the time went until then, from when on.
    pub(super) why: Option<(Timestamp, Why)>,
}

/// What an event brings besides its bytes.
pub(super) struct Cx<'a, S> {
    pub(super) conn: ConnId,
    /// The process that moved the bytes.
    pub(super) pid: Pid,
    /// The thread that did.
    pub(super) hand: Hand,
    /// Where the time went between the first bytes of a pair, and when it began; of the first answer in it.
    pub(super) why: Option<(Timestamp, Why)>,
    pub(super) limits: &'a Limits,
    pub(super) counters: &'a mut Counters,
    pub(super) sink: &'a mut S,
    /// Why the event brought no request, if it brought none.
    pub(super) note: Option<Count>,
}

/// The state of one connection.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub(super) struct Conversation {
    pub(super) role: Role,
    pub(super) peer: Peer,
    /// The process that moved bytes last.
    pub(super) pid: Pid,
    pub(super) ask: Side,
    pub(super) answer: Side,
    pub(super) queue: VecDeque<Open>,
    pub(super) answering: Option<Answering>,
    /// Whether the body in progress on the asking side is that of the last open request.
    pub(super) asking: bool,
    /// Bytes that are no request have come, since then, and nobody answered them.
    pub(super) noise: Option<(Timestamp, Option<Method>)>,
    pub(super) noises: u8,
    /// Nothing of the connection was understood so far, and it is older than the observation.
    pub(super) late: bool,
    /// A tunnel, another protocol, or noise.
    pub(super) opaque: bool,
    /// Its records are segments.
    pub(super) followed: bool,
    /// A Unix socket: nothing tells that it was closed.
    pub(super) unix: bool,
    /// The kernel side was asked to carry more of it.
    full: bool,
    /// The pair that would come next, when it is not followed.
    pub(super) next: u32,
    pub(super) mark: Mark,
    /// The place of the last request on it, for connections that are idle.
    pub(super) place: Option<(Box<str>, Option<u16>)>,
    pub(super) weight: usize,
}

/// What sweeps have seen of the connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    /// Sweeps in a row that did not show it.
    pub(super) missed: u8,
    /// Shown by the sweep in progress.
    pub(super) seen: bool,
    /// Shown by a sweep before: sweeps may not reach all kinds of sockets, or all namespaces.
    pub(super) shown: bool,
    /// When a sweep last showed it, and how far both directions had come, with the times of that.
    pub(super) progress: Option<(Timestamp, [(u64, Timestamp); 2])>,
}

impl Conversation {
    pub(super) fn new(role: Role, peer: Peer, late: bool) -> Self {
        let side = || Side { stream: Stream::default(), phase: Phase::Start, at: 0, checked: 0 };
        Self {
            role,
            peer,
            pid: Pid::default(),
            ask: side(),
            answer: side(),
            queue: VecDeque::new(),
            answering: None,
            asking: false,
            noise: None,
            noises: 0,
            late,
            opaque: false,
            followed: false,
            unix: false,
            full: false,
            next: 0,
            mark: Mark::default(),
            place: None,
            weight: 0,
        }
    }

    /// Begins in the middle: nothing is a head until a turn begins with one.
    pub(super) fn lose(&mut self) {
        self.ask.phase = Phase::Lost;
        self.answer.phase = Phase::Lost;
    }

    pub(super) fn side(&mut self, way: Way) -> &mut Side {
        match way {
            Way::Ask => &mut self.ask,
            Way::Answer => &mut self.answer,
        }
    }

    /// Whether nothing has to be remembered for what comes next.
    pub(super) fn is_at_rest(&self) -> bool {
        let rests = |side: &Side| side.phase == Phase::Start && side.stream.held().is_empty();
        let idle = self.queue.is_empty() && self.noise.is_none();
        idle && rests(&self.ask) && rests(&self.answer) && !self.opaque && !self.followed
    }

    /// Whether all that is remembered is a request's body that ends by the turn.
    pub(super) fn is_loose(&self) -> bool {
        let idle = self.queue.is_empty() && self.answering.is_none() && self.noise.is_none();
        let ended = matches!(self.ask.phase, Phase::Body(Body::Turn) | Phase::Start);
        idle && ended && self.answer.phase == Phase::Start && !self.opaque && !self.followed
    }

    /// Bytes of memory held.
    pub(super) fn weight(&self) -> usize {
        let held = self.ask.stream.weight() + self.answer.stream.weight();
        size_of::<Self>() + self.weight + held
    }

    /// Takes a capture of one direction.
    pub(super) fn capture<S: Sink>(&mut self, way: Way, capture: &Capture<'_>, cx: &mut Cx<'_, S>) {
        if self.opaque {
            cx.note.get_or_insert(Count::Opaque);
            return;
        }
        self.pid = cx.pid;
        if capture.turn && !capture.data.is_empty() {
            self.turn(way, capture.data, cx);
        }
        let accepted = self.side(way).stream.accept(capture);
        self.gap(way, accepted.before, accepted.before_time, cx);
        let mut data = accepted.data;
        while !data.is_empty() && !self.opaque {
            let side = self.side(way);
            if side.phase == Phase::Start && side.stream.held().is_empty() {
                let behind = accepted.after.saturating_add(data.len() as u64);
                side.at = side.stream.end().unwrap_or_default().saturating_sub(behind);
            }
            let taken = match self.side(way).phase {
                Phase::Start => self.start(way, data, capture.first, capture.last, cx),
                Phase::Body(_) => self.body(way, data, capture.last, cx),
                Phase::Lost => {
                    cx.note.get_or_insert(Count::Continued);
                    data.len()
                }
            };
            data = data.get(taken..).unwrap_or_default();
        }
        self.gap(way, accepted.after, capture.last, cx);
    }

    /// Notes how far a direction has come by the word of the other's record. What is only counted
    /// is taken at once. A head is not given up for it: its bytes may be in a record on its way,
    /// when two threads are on the two directions.
    pub(super) fn claim<S: Sink>(
        &mut self,
        way: Way,
        end: u64,
        time: Timestamp,
        cx: &mut Cx<'_, S>,
    ) {
        let side = self.side(way);
        side.stream.claim(end, time);
        let Some((bytes, time)) = side.stream.claimed() else { return };
        let sure = match side.phase {
            Phase::Body(Body::Length(left)) => bytes.min(left),
            Phase::Body(_) if side.stream.carried() >= CARRIED => bytes,
            _ => 0,
        };
        if sure > 0 {
            side.stream.skip(sure, time);
            self.gap(way, sure, time, cx);
        }
    }

    /// Accounts for how far a direction has come, whatever is in the way.
    pub(super) fn reach<S: Sink>(
        &mut self,
        way: Way,
        end: u64,
        time: Timestamp,
        cx: &mut Cx<'_, S>,
    ) {
        let side = self.side(way);
        let bytes = side.stream.end().map_or(0, |at| end.saturating_sub(at));
        if bytes > 0 && !self.opaque {
            self.side(way).stream.skip(bytes, time);
            self.gap(way, bytes, time, cx);
        }
    }

    /// A turn begins: what could not be told to have ended may have.
    fn turn<S: Sink>(&mut self, way: Way, data: &[u8], cx: &mut Cx<'_, S>) {
        match way {
            Way::Ask => {
                if matches!(self.ask.phase, Phase::Lost | Phase::Body(Body::Turn))
                    && head::does_ask(data)
                {
                    self.ask.phase = Phase::Start;
                    self.asking = false;
                }
                // The last request was answered before its body came, and the body never did
                // (RFC 9110, section 10.1.1).
                if self.queue.is_empty() && self.ask.wants() && head::surely_asks(data) {
                    self.ask.phase = Phase::Start;
                    self.asking = false;
                }
            }
            Way::Answer if !head::may_answer(data) => {}
            Way::Answer => match self.answer.phase {
                Phase::Lost => self.answer.phase = Phase::Start,
                Phase::Body(Body::Turn | Body::Close)
                    if self.queue.len() > 1 || self.answering.is_some_and(|a| !a.asked) =>
                {
                    let last = self.answer.stream.last();
                    self.answered(last, cx);
                }
                _ => {}
            },
        }
    }

    /// `bytes` moved unseen.
    fn gap<S: Sink>(&mut self, way: Way, bytes: u64, time: Timestamp, cx: &mut Cx<'_, S>) {
        if bytes == 0 || self.opaque {
            return;
        }
        if self.side(way).phase == Phase::Start && !self.side(way).stream.held().is_empty() {
            self.cut(way, Count::HeadCut, cx);
        }
        let mut rest = bytes;
        if let Phase::Body(mut body) = self.side(way).phase {
            let over = body.skip(bytes);
            self.side(way).phase = Phase::Body(body);
            self.size(way, bytes - over.unwrap_or(0));
            match over {
                None => return,
                Some(over) => {
                    self.ended(way, time, cx);
                    rest = over;
                }
            }
        }
        if rest == 0 || self.side(way).phase == Phase::Lost {
            return;
        }
        match way {
            Way::Ask => {
                // Whether it is a request shows if somebody answers it.
                self.noise = Some((time, None));
                self.ask.phase = Phase::Lost;
            }
            Way::Answer => self.unseen(rest, cx),
        }
    }

    /// Asks for more of each turn, once.
    pub(super) fn want_full<S: Sink>(&mut self, cx: &mut Cx<'_, S>) {
        if !self.full {
            self.full = true;
            cx.sink.verdict(cx.conn, Verdict::Full);
        }
    }

    /// Body bytes. Gives how many were taken.
    fn body<S: Sink>(
        &mut self,
        way: Way,
        data: &[u8],
        last: Timestamp,
        cx: &mut Cx<'_, S>,
    ) -> usize {
        cx.note.get_or_insert(Count::Continued);
        let Phase::Body(body) = &mut self.side(way).phase else { return data.len() };
        match body.take(data) {
            Took::All => {
                self.size(way, data.len() as u64);
                data.len()
            }
            Took::Ended(len) => {
                self.size(way, len as u64);
                self.ended(way, last, cx);
                len
            }
            Took::Broken => {
                *body = Body::Turn;
                cx.counters.bump(Count::BadChunk);
                self.size(way, data.len() as u64);
                data.len()
            }
        }
    }

    fn size(&mut self, way: Way, bytes: u64) {
        match (way, &mut self.answering, self.queue.back_mut()) {
            (Way::Ask, _, Some(open)) if self.asking => open.body = open.body.saturating_add(bytes),
            (Way::Answer, Some(answering), _) => {
                answering.body = answering.body.saturating_add(bytes);
            }
            _ => {}
        }
    }

    pub(super) fn ended<S: Sink>(&mut self, way: Way, time: Timestamp, cx: &mut Cx<'_, S>) {
        match way {
            Way::Ask => {
                self.ask.phase = Phase::Start;
                self.asking = false;
            }
            Way::Answer => self.answered(time, cx),
        }
    }

    /// The answer in progress is whole.
    pub(super) fn answered<S: Sink>(&mut self, time: Timestamp, cx: &mut Cx<'_, S>) {
        self.answer.phase = Phase::Start;
        if let Some(answering) = self.answering.take()
            && answering.asked
        {
            self.report(&answering, time, None, cx);
        }
    }

    /// Reports the first of the open requests.
    pub(super) fn report<S: Sink>(
        &mut self,
        answering: &Answering,
        ended: Timestamp,
        fault: Option<Fault>,
        cx: &mut Cx<'_, S>,
    ) {
        let Some(open) = self.queue.pop_front() else { return };
        self.weight -= open.weight();
        if self.queue.is_empty() {
            self.asking = false;
        }
        cx.counters.bump(Count::Exchanges);
        cx.sink.exchange(&Exchange {
            conn: cx.conn,
            pid: answering.pid.filter(|_| self.role == Role::Server).unwrap_or(open.pid),
            role: self.role,
            method: open.method,
            path: &open.path,
            authority: open.host.as_deref().map(|host| Authority { host, port: open.port }),
            version: answering.version.or(open.version),
            status: answering.status,
            fault,
            begun: open.begun,
            ended: ended.max(open.begun),
            request_body: open.declared.map_or(open.body, |n| n.min(open.body)),
            response_body: answering.declared.map_or(answering.body, |n| n.min(answering.body)),
            peer: self.peer,
            lines: open.lines.lines(),
            position: open.position,
            course: course(open.hand, open.begun, answering),
        });
    }

    /// The open requests are lost.
    pub(super) fn abandon<S>(&mut self, why: Count, cx: &mut Cx<'_, S>) {
        cx.counters.add(why, self.queue.len());
        self.queue.clear();
        self.weight = 0;
        self.answering = None;
        self.asking = false;
    }

    /// The connection is told no more of.
    pub(super) fn close_ears<S: Sink>(&mut self, cx: &mut Cx<'_, S>) {
        self.abandon(Count::LostTunnel, cx);
        self.opaque = true;
        self.noise = None;
        self.place = None;
        self.ask.stream.take_held();
        self.answer.stream.take_held();
        cx.sink.verdict(cx.conn, Verdict::Off);
    }
}
