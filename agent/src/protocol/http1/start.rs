//! Where a message is to begin: bytes are kept until its head is whole, or cannot become one.

use super::body::Body;
use super::conversation::{Answering, Conversation, Cx, Open, Phase, Way};
use super::counters::Count;
use super::head::{self, Head, Request};
use crate::event::Timestamp;
use crate::protocol::{Kept, Method, Role, Sink};

/// Turns of noise after which the connection is told no more of.
const NOISE: u8 = 4;

impl Conversation {
    /// Bytes where a head was to come. Gives how many were taken.
    pub(super) fn start<S: Sink>(
        &mut self,
        way: Way,
        data: &[u8],
        first: Timestamp,
        last: Timestamp,
        cx: &mut Cx<'_, S>,
    ) -> usize {
        let limit = cx.limits.head;
        let side = self.side(way);
        let held = side.stream.held().len();
        if held == 0 {
            // Empty lines before a message are to be passed over (RFC 9112, section 2.2).
            let blank = data.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            if blank > 0 {
                cx.note.get_or_insert(Count::Continued);
                return blank;
            }
            side.checked = 0;
            if let Some(head) = head::end(data, 0).and_then(|end| data.get(..end)) {
                self.head(way, head, first, last, cx);
                return head.len();
            }
        }
        let room = data.get(..limit.saturating_sub(held)).unwrap_or(data);
        side.stream.hold(room, first);
        if held > 0
            && let Some(end) = head::end(side.stream.held(), held.saturating_sub(3))
        {
            let since = side.stream.held_since();
            let kept = side.stream.take_held();
            self.head(way, kept.get(..end).unwrap_or(&kept), since, last, cx);
            return end.saturating_sub(held);
        }
        let len = side.stream.held().len();
        if len >= limit {
            self.cut(way, Count::HeadTooLong, cx);
        } else if len >= 2 * side.checked {
            side.checked = len;
            self.check(way, cx);
        }
        cx.note.get_or_insert(Count::Continued);
        room.len()
    }

    /// Gives up a head that cannot become one.
    fn check<S: Sink>(&mut self, way: Way, cx: &mut Cx<'_, S>) {
        let stream = &mut self.side(way).stream;
        let held = stream.held();
        let (garbage, method) = match way {
            Way::Ask if head::is_http2(held) => {
                cx.note = Some(Count::Http2);
                return self.close_ears(cx);
            }
            Way::Ask => match head::request(held) {
                Head::Garbage(method) => (true, method),
                _ => (false, None),
            },
            Way::Answer => (matches!(head::answer(held), Head::Garbage(_)), None),
        };
        if garbage {
            let since = stream.held_since();
            let bytes = stream.take_held().len();
            self.garbage(way, since, method, bytes, cx);
        }
    }

    /// A head, whole.
    fn head<S: Sink>(
        &mut self,
        way: Way,
        data: &[u8],
        first: Timestamp,
        last: Timestamp,
        cx: &mut Cx<'_, S>,
    ) {
        match way {
            Way::Ask if head::is_http2(data) => {
                cx.note = Some(Count::Http2);
                self.close_ears(cx);
            }
            Way::Ask => match head::request(data) {
                Head::Whole(request) => {
                    self.ask(&request, first, request.body(), cx);
                }
                Head::Bad(request) | Head::Cut(request) => {
                    cx.counters.bump(Count::BadHead);
                    self.ask(&request, first, Body::Turn, cx);
                }
                Head::Garbage(method) => self.garbage(way, first, method, data.len(), cx),
                Head::Little => self.garbage(way, first, None, data.len(), cx),
            },
            Way::Answer => match head::answer(data) {
                Head::Whole(answer) => self.answer(&answer, None, first, last, cx),
                Head::Bad(answer) | Head::Cut(answer) => {
                    self.answer(&answer, Some(Count::BadHead), first, last, cx);
                }
                Head::Garbage(_) | Head::Little => self.garbage(way, first, None, data.len(), cx),
            },
        }
    }

    /// A head that ends unseen: what its first line says holds, its end is left to the turn.
    pub(super) fn cut<S: Sink>(&mut self, way: Way, why: Count, cx: &mut Cx<'_, S>) {
        let stream = &mut self.side(way).stream;
        let (since, last) = (stream.held_since(), stream.last());
        let held = stream.take_held();
        match way {
            Way::Ask => match head::request(&held) {
                Head::Whole(request) | Head::Cut(request) | Head::Bad(request) => {
                    cx.counters.bump(why);
                    if cx.limits.lines.is_some() && why == Count::HeadCut {
                        // What spans need may stand where nothing was carried.
                        self.want_full(cx);
                    }
                    self.ask(&request, since, Body::Turn, cx);
                    if let (None, Some(open)) = (request.framing.encoding, self.queue.back_mut()) {
                        // The rest of the head is not its body.
                        open.declared = Some(request.framing.length.unwrap_or(0));
                    }
                }
                Head::Garbage(method) => self.garbage(way, since, method, held.len(), cx),
                Head::Little => self.garbage(way, since, None, held.len(), cx),
            },
            Way::Answer => match head::answer(&held) {
                Head::Whole(answer) | Head::Cut(answer) | Head::Bad(answer) => {
                    self.answer(&answer, Some(why), since, last, cx);
                }
                Head::Garbage(_) => self.garbage(way, since, None, held.len(), cx),
                Head::Little => self.unseen(held.len() as u64, cx),
            },
        }
    }

    /// A request.
    pub(super) fn ask<S: Sink>(
        &mut self,
        request: &Request<'_>,
        begun: Timestamp,
        body: Body,
        cx: &mut Cx<'_, S>,
    ) {
        let framing = request.framing;
        if framing.encoding.is_some() && (framing.length.is_some() || framing.bad_length) {
            cx.counters.bump(Count::BothFramings);
        } else if framing.bad_length {
            cx.counters.bump(Count::BadLength);
        }
        let authority = request.authority();
        let host = authority.map(|a| Box::from(a.host));
        let port = authority.and_then(|a| a.port);
        if self.role == Role::Client {
            self.place = host.clone().map(|host| (host, port));
        }
        self.late = false;
        self.push(
            Open {
                method: request.method,
                path: request.path().into(),
                host,
                port,
                version: request.version,
                begun,
                pid: cx.pid,
                hand: cx.hand,
                body: 0,
                declared: None,
                lines: cx
                    .limits
                    .lines
                    .map_or_else(Kept::default, |wanted| request.lines.kept(&wanted)),
                position: Some(self.ask.at),
            },
            cx,
        );
        // What follows a CONNECT is the tunnel's, or nothing (RFC 9110, section 9.3.6).
        if request.method == Method::Connect {
            self.ask.phase = Phase::Lost;
        } else if !body.is_empty() {
            self.ask.phase = Phase::Body(body);
            self.asking = true;
        } else {
            self.ask.phase = Phase::Start;
        }
    }

    pub(super) fn push<S: Sink>(&mut self, open: Open, cx: &mut Cx<'_, S>) {
        if self.queue.len() == 1 && matches!(self.answer.phase, Phase::Body(Body::Turn)) {
            let last = self.answer.stream.last();
            self.answered(last, cx);
        }
        self.noise = None;
        self.noises = 0;
        cx.counters.bump(Count::Requests);
        self.weight += open.weight();
        self.queue.push_back(open);
        if self.queue.len() > cx.limits.pipeline || self.weight > cx.limits.waiting {
            self.abandon(Count::LostPipeline, cx);
            self.close_ears(cx);
        } else if self.queue.len() > 1 {
            self.want_full(cx);
        }
    }

    /// Bytes that are no head.
    fn garbage<S: Sink>(
        &mut self,
        way: Way,
        since: Timestamp,
        method: Option<Method>,
        bytes: usize,
        cx: &mut Cx<'_, S>,
    ) {
        self.side(way).phase = Phase::Lost;
        match way {
            Way::Ask => {
                self.noise = Some((since, method));
                cx.note = Some(if self.late { Count::Late } else { Count::Unparsed });
            }
            Way::Answer if self.queue.is_empty() => {
                cx.note = Some(if self.late { Count::Late } else { Count::Unasked });
            }
            Way::Answer => {
                cx.counters.bump(Count::NotHttp);
                self.answer.phase = Phase::Body(Body::Turn);
                self.answering = Some(Answering {
                    asked: true,
                    body: bytes as u64,
                    pid: Some(cx.pid),
                    ..Answering::default()
                });
                return;
            }
        }
        self.noises = self.noises.saturating_add(1);
        if self.noises >= NOISE && self.queue.is_empty() {
            self.close_ears(cx);
        }
    }
}
