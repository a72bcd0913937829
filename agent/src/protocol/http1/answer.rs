//! The answering side of a [`Conversation`], and how a connection ends.

use super::body::Body;
use super::conversation::{Answering, Conversation, Cx, Open, Phase, Way};
use super::counters::Count;
use super::fault;
use super::head::{self, Answer, Head};
use crate::event::Timestamp;
use crate::protocol::{Kept, Method, Sink};

/// How a connection ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over {
    /// When.
    pub(super) time: Timestamp,
    /// The socket's error, or 0.
    pub(super) errno: u16,
}

impl Conversation {
    /// An answer's head. `flaw` says why its end, or what it says of its body, cannot be trusted.
    pub(super) fn answer<S: Sink>(
        &mut self,
        answer: &Answer,
        flaw: Option<Count>,
        first: Timestamp,
        last: Timestamp,
        cx: &mut Cx<'_, S>,
    ) {
        self.settle_ask(cx);
        if self.queue.is_empty()
            && let Some((since, method)) = self.noise.take()
            && !self.late
        {
            self.push_unread(since, method, cx);
        }
        if let Some(flaw) = flaw {
            cx.counters.bump(flaw);
        }
        let framing = answer.framing;
        if framing.encoding.is_some() && (framing.length.is_some() || framing.bad_length) {
            cx.counters.bump(Count::BothFramings);
        } else if framing.bad_length {
            cx.counters.bump(Count::BadLength);
        }
        let method = self.queue.front().map(|open| open.method);
        let interim = matches!(answer.status, 100..=199) && answer.status != 101;
        if interim && flaw.is_none() {
            cx.counters.bump(Count::Interim);
            cx.note.get_or_insert(Count::Continued);
            return;
        }
        if method.is_none() {
            cx.note = Some(if self.late { Count::Late } else { Count::Unasked });
        }
        let answering = Answering {
            status: Some(answer.status),
            version: answer.version,
            body: 0,
            declared: match flaw {
                Some(_) if answer.is_bare(method) => Some(0),
                Some(_) => framing.length,
                None => None,
            },
            trailer: framing.trailer,
            ending: None,
            asked: method.is_some(),
            pid: Some(cx.pid),
            hand: cx.hand,
            begun: Some(first),
            why: cx.why.take(),
        };
        let tunnel = method == Some(Method::Connect) && matches!(answer.status, 200..=299);
        if answer.status == 101 || tunnel {
            if answering.asked {
                self.report(&answering, last.max(first), None, cx);
            }
            cx.counters.bump(Count::Upgraded);
            self.close_ears(cx);
            return;
        }
        let body = if flaw.is_some() { Body::Turn } else { answer.body(method) };
        self.answering = Some(answering);
        self.answer.phase = Phase::Body(body);
        if body.is_empty() {
            self.answered(last, cx);
        }
    }

    /// An answer came before the asking head was whole: what was kept of it is all there will be.
    fn settle_ask<S: Sink>(&mut self, cx: &mut Cx<'_, S>) {
        let waits = self.ask.phase == Phase::Start && !self.ask.stream.held().is_empty();
        if waits && self.queue.is_empty() {
            self.cut(Way::Ask, Count::HeadCut, cx);
        }
    }

    /// A request of which nothing but perhaps the method could be read, and that is answered.
    fn push_unread<S: Sink>(
        &mut self,
        since: Timestamp,
        method: Option<Method>,
        cx: &mut Cx<'_, S>,
    ) {
        cx.counters.bump(Count::UnreadAnswered);
        self.push(
            Open {
                method: method.unwrap_or(Method::Other),
                path: "".into(),
                host: None,
                port: None,
                version: None,
                begun: since,
                pid: cx.pid,
                hand: cx.hand,
                body: 0,
                declared: None,
                lines: Kept::default(),
                position: None,
            },
            cx,
        );
    }

    /// `bytes` of answers of which not even the beginning was seen.
    pub(super) fn unseen<S: Sink>(&mut self, bytes: u64, cx: &mut Cx<'_, S>) {
        if self.queue.len() == 1 {
            cx.counters.bump(Count::StatusUnseen);
            self.answering = Some(Answering {
                asked: true,
                body: bytes,
                pid: Some(cx.pid),
                ..Answering::default()
            });
            self.answer.phase = Phase::Body(Body::Turn);
        } else {
            // How many answers the bytes hold is not known: any pairing would be invented.
            self.abandon(Count::LostGap, cx);
            self.answer.phase = Phase::Lost;
        }
    }

    /// The last bytes of the answer are known: whether they end a chunked body.
    pub(super) fn ending<S: Sink>(&mut self, ends: bool, cx: &mut Cx<'_, S>) {
        if self.answer.phase != Phase::Body(Body::Turn) {
            return;
        }
        let last = self.answer.stream.last();
        match &mut self.answering {
            Some(_) if ends && self.queue.len() <= 1 => self.answered(last, cx),
            // Of a head that was not seen, not even this is known: whether there are chunks.
            Some(answering) if answering.status.is_some() => answering.ending = Some(ends),
            Some(_) | None => {}
        }
    }

    /// The next request begins: an answer whose end cannot be seen has ended.
    pub(super) fn next_turn<S: Sink>(&mut self, cx: &mut Cx<'_, S>) {
        if self.answer.phase == Phase::Body(Body::Turn) && self.queue.len() <= 1 {
            let last = self.answer.stream.last();
            self.answered(last, cx);
        }
        if self.ask.phase == Phase::Lost && self.queue.is_empty() {
            // The next pair begins with a turn of its own.
            self.noise = None;
        }
    }

    /// The connection ended: what was not answered never will be.
    pub(super) fn close<S: Sink>(&mut self, over: Over, cx: &mut Cx<'_, S>) {
        if self.opaque {
            return;
        }
        let fault = fault::fault(over.errno);
        self.settle_close(cx);
        if let Some(answering) = self.answering.take() {
            let short = answering.declared.is_some_and(|n| n > answering.body);
            let whole = match self.answer.phase {
                Phase::Body(Body::Close) => over.errno == 0,
                Phase::Body(Body::Turn) => {
                    over.errno == 0 && !short && answering.ending != Some(false)
                }
                _ => false,
            };
            let ended = self.answer.stream.last();
            if answering.asked {
                self.report(&answering, ended, (!whole).then_some(fault), cx);
            }
        }
        if self.answer.phase == Phase::Lost && self.answer.stream.end().is_some() {
            self.abandon(Count::LostGap, cx);
        }
        while !self.queue.is_empty() {
            self.report(&Answering::default(), over.time, Some(fault), cx);
        }
    }

    /// Heads that were still coming when the connection ended.
    fn settle_close<S: Sink>(&mut self, cx: &mut Cx<'_, S>) {
        if self.answer.phase == Phase::Start && !self.answer.stream.held().is_empty() {
            let held = self.answer.stream.take_held();
            self.settle_ask(cx);
            let read = match head::answer(&held) {
                Head::Whole(answer) | Head::Cut(answer) | Head::Bad(answer) => Some(answer),
                Head::Little | Head::Garbage(_) => None,
            };
            cx.counters.bump(Count::HeadCut);
            self.answering = Some(Answering {
                // An interim status is not the final one.
                status: read.map(|answer| answer.status).filter(|status| *status >= 200),
                version: read.and_then(|answer| answer.version),
                asked: !self.queue.is_empty(),
                ..Answering::default()
            });
        } else if self.ask.phase == Phase::Start && !self.ask.stream.held().is_empty() {
            let seen = match head::request(self.ask.stream.held()) {
                Head::Whole(request) | Head::Cut(request) | Head::Bad(request) => {
                    request.target.is_some()
                }
                Head::Little | Head::Garbage(_) => false,
            };
            if seen {
                self.cut(Way::Ask, Count::HeadCut, cx);
            } else {
                self.ask.stream.take_held();
                cx.note = Some(Count::Unparsed);
            }
        }
    }
}
