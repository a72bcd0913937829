//! A pair judged by itself: the way nearly all exchanges take. Nothing is kept, nothing allocated.

use agent_common::{limit, record};

use super::body::{Body, Took};
use super::fault;
use super::head::{Answer, Head, Request};
use super::memo::Memo;
use crate::event::{ConnId, End, Pair, Pid, Timestamp, Turn, flag};
use crate::protocol::{Course, Exchange, Method, Opened, Role, Steps};

/// What a pair is when nothing of its connection has to be remembered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Judged<'a> {
    /// One exchange, whole.
    Whole(Exchange<'a>),
    /// One exchange whose answer has begun, and whose end cannot be told from the capture.
    Unsure(Exchange<'a>),
    /// One exchange whose answer has not begun or is not whole.
    Open(Exchange<'a>),
    /// Anything else.
    Other,
}

/// The role of the process in a pair.
pub(super) fn role(flags: u8) -> Role {
    if flags & flag::SERVER == 0 { Role::Client } else { Role::Server }
}

/// The process that a pair is counted for: who answered, or who asked.
pub(super) fn pid(pair: &Pair<'_>) -> Pid {
    let answers = pair.header.flags & flag::SERVER != 0 && pair.header.answer_tgid != 0;
    Pid(if answers { pair.header.answer_tgid } else { pair.header.ask_tgid })
}

/// Whether the socket ended with the pair.
pub(super) fn is_over(pair: &Pair<'_>) -> bool {
    matches!(pair.end, End::Closed | End::Failed)
}

/// The size of a turn. The end of a stream takes a place in its numbering (RFC 9293, section 3.4):
/// a turn that is seen whole and is one longer than its bytes is not.
pub(super) fn size(turn: &Turn, seen: &[u8], room: usize, over: bool) -> u64 {
    let seen_bytes = seen.len() as u64;
    let off_by_end = over && seen.len() < room && turn.bytes == seen_bytes + 1;
    if off_by_end { seen_bytes } else { turn.bytes.max(seen_bytes) }
}

/// Whether the last bytes of the answer end a chunked body; none where they are not known.
pub(super) fn ending(pair: &Pair<'_>, trailer: bool) -> Option<bool> {
    let len = usize::from(pair.header.tail_len).min(pair.header.tail.len());
    let tail = pair.header.tail.get(pair.header.tail.len() - len..).unwrap_or_default();
    let bare: &[u8] = b"\r\n0\r\n\r\n";
    match tail.len() {
        0 => None,
        _ if tail.ends_with(bare) || (trailer && tail.ends_with(b"\r\n\r\n")) => Some(true),
        // Too little to tell from.
        n if n < bare.len() => None,
        _ => Some(false),
    }
}

/// Judges a pair by itself.
pub(super) fn judge<'a>(pair: &Pair<'a>, memo: &mut Memo) -> Judged<'a> {
    let header = pair.header;
    let over = is_over(pair);
    let (request, cut) = match memo.request(pair.ask) {
        Head::Whole(request) => (request, false),
        Head::Cut(request) if request.target.is_some() && pair.end != End::Handover => {
            (request, true)
        }
        _ => return Judged::Other,
    };
    let asked = size(&header.ask, pair.ask, limit::ASK_HEAD, over);
    let request_body = asked.saturating_sub(request.len as u64);
    let ends = over || pair.end == End::Swept;
    let body = pair.ask.get(request.len..).unwrap_or_default();
    let request_body = match request.body() {
        _ if request.framing.is_odd() => return Judged::Other,
        // The rest of the head is not its body.
        _ if cut && request.framing.encoding.is_none() => {
            request_body.min(request.framing.length.unwrap_or(0))
        }
        _ if cut => request_body,
        Body::Length(length) if request_body == length || (over && slack(request_body, length)) => {
            length
        }
        Body::Length(length) if ends && request_body < length => request_body,
        Body::Chunked(mut chunks) => match chunks.take(body) {
            Took::Ended(len) if request_body == len as u64 => request_body,
            Took::All if ends => request_body,
            _ => return Judged::Other,
        },
        _ => return Judged::Other,
    };
    let unanswered = header.flags & flag::ANSWERED == 0;
    let last = if header.answer.last == 0 { header.ask.last } else { header.answer.last };
    let exchange = Exchange {
        conn: ConnId(header.conn),
        pid: pid(pair),
        role: role(header.flags),
        method: request.method,
        path: request.path(),
        authority: request.authority(),
        version: request.version,
        status: None,
        fault: None,
        begun: Timestamp(header.ask.first),
        ended: Timestamp(last.max(header.ask.first)),
        request_body,
        response_body: 0,
        peer: header.peer,
        lines: request.lines,
        position: Some(header.ask.start),
        course: Course {
            asked_by: header.ask_tid,
            answered_by: if unanswered { 0 } else { header.answer_tid },
            answered: (!unanswered).then_some(Timestamp(header.answer.first)),
            routine: header.routine,
            same: header.flags & flag::SAME != 0,
            taken: Timestamp(header.ask.last),
            steps: steps(header),
            why: pair.why,
        },
    };
    if unanswered {
        let failed = Exchange { fault: over.then(|| fault::fault(header.errno)), ..exchange };
        return Judged::Open(failed);
    }
    answered(pair, &request, &exchange, memo)
}

fn steps(header: &record::Pair) -> Steps {
    let record::Steps { opened, opened_tid, opened_sleeps, ask_sleeps, answer_sleeps } =
        header.steps;
    let connected = header.seq == 1 && opened != 0 && header.flags & flag::SERVER == 0;
    Steps {
        asked: ask_sleeps,
        answered: answer_sleeps,
        waits: header.waits != 0,
        opened: connected.then_some(Opened {
            at: Timestamp(opened),
            by: opened_tid,
            stretch: opened_sleeps,
        }),
    }
}

/// The end of a stream takes a place in its numbering: see [`size`].
fn slack(bytes: u64, length: u64) -> bool {
    bytes == length.saturating_add(1)
}

fn answered<'a>(
    pair: &Pair<'a>,
    request: &Request<'_>,
    exchange: &Exchange<'a>,
    memo: &mut Memo,
) -> Judged<'a> {
    let header = pair.header;
    let over = is_over(pair);
    let (answer, cut) = match memo.answer(pair.answer, u64::from(header.answer_tgid)) {
        Head::Whole(answer) => (answer, false),
        Head::Cut(answer) => (answer, true),
        _ => return Judged::Other,
    };
    if let 100..=199 = answer.status {
        return Judged::Other;
    }
    let framing = answer.framing;
    if framing.is_odd() {
        return Judged::Other;
    }
    let moved = size(&header.answer, pair.answer, limit::ANSWER_HEAD, over);
    let rest = moved.saturating_sub(answer.len as u64);
    let mut exchange =
        Exchange { status: Some(answer.status), version: answer.version, ..*exchange };
    if request.method == Method::Connect && matches!(answer.status, 200..=299) {
        return Judged::Other;
    }
    let (whole, size) = if cut {
        cut_end(pair, request, &answer, rest)
    } else {
        let body = pair.answer.get(answer.len..).unwrap_or_default();
        match answer.body(Some(request.method)) {
            Body::Length(length) if rest == length || (over && slack(rest, length)) => {
                (Some(true), length)
            }
            Body::Length(length) if rest < length => (Some(false), rest),
            Body::Chunked(mut chunks) => match chunks.take(body) {
                Took::Ended(len) if rest == len as u64 || (over && slack(rest, len as u64)) => {
                    (Some(true), len as u64)
                }
                Took::All if body.len() as u64 == rest => (Some(false), rest),
                Took::All => (ending(pair, framing.trailer), rest),
                Took::Ended(_) | Took::Broken => return Judged::Other,
            },
            Body::Close => (Some(pair.end == End::Closed), rest),
            Body::Length(_) | Body::Turn => return Judged::Other,
        }
    };
    exchange.response_body = size;
    match whole {
        Some(true) => Judged::Whole(exchange),
        None if pair.end != End::Failed => Judged::Unsure(exchange),
        _ => {
            exchange.fault = over.then(|| fault::fault(header.errno));
            Judged::Open(exchange)
        }
    }
}

/// Whether an answer whose head was not seen whole is whole, as far as what was seen of the head
/// and the last bytes tell, and the size of its body.
fn cut_end(
    pair: &Pair<'_>,
    request: &Request<'_>,
    answer: &Answer,
    rest: u64,
) -> (Option<bool>, u64) {
    let declared =
        if answer.is_bare(Some(request.method)) { Some(0) } else { answer.framing.length };
    let size = declared.map_or(rest, |n| n.min(rest));
    match answer.framing.encoding {
        Some(true) => (ending(pair, answer.framing.trailer), size),
        _ if declared.is_some_and(|n| n > rest) => (Some(false), size),
        _ => (None, size),
    }
}
