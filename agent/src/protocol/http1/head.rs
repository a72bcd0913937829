//! Heads of requests and answers: `httparse`, and what of it an observer needs.
//!
//! A head may have been cut by the capture, or be malformed behind its first line: what the first
//! line says holds all the same, and how the message ends is then left to the turns.

use std::mem::MaybeUninit;

use httparse::{EMPTY_HEADER, Error, Header, Status};

use super::body::{Body, Chunks};
use super::target::{self, Target};
use crate::protocol::lines::may_name_a_trace;
use crate::protocol::{Authority, Lines, Method, Version};

/// Header lines read at first; heads with more are read again with room for as many as fit.
const LINES: usize = 64;
/// A token this long that is still not followed by a space is no method.
const TOKEN: usize = 32;
/// No header that matters has a longer name.
const NAME: usize = "transfer-encoding".len() + 1;

/// What bytes at the beginning of a message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head<T> {
    /// A head, whole.
    Whole(T),
    /// The beginning of a head, with as much of its first line as there is.
    Cut(T),
    /// A good first line, and something malformed behind it.
    Bad(T),
    /// Nothing yet: too little to say.
    Little,
    /// Nothing: no head begins so. A method, if one stands there.
    Garbage(Option<Method>),
}

/// What stands out in a head's framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Framing {
    /// Content-Length, if it is there and good.
    pub(super) length: Option<u64>,
    /// Content-Length is there and is not good.
    pub(super) bad_length: bool,
    /// Transfer-Encoding is there; whether chunked is its last coding.
    pub(super) encoding: Option<bool>,
    /// A trailer section is announced.
    pub(super) trailer: bool,
}

impl Framing {
    /// Whether a length is there and is no number, or stands beside an encoding.
    pub(super) fn is_odd(self) -> bool {
        self.bad_length || (self.encoding.is_some() && self.length.is_some())
    }
}

/// A request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// The path and what the target says of the authority; none if the target was not seen whole.
    pub(super) target: Option<Target<'a>>,
    pub(super) host: Option<Authority<'a>>,
    pub(super) version: Option<Version>,
    pub(super) framing: Framing,
    /// The head itself, as far as it was seen.
    pub(super) lines: Lines<'a>,
    /// Bytes of the head.
    pub(super) len: usize,
}

impl<'a> Request<'a> {
    /// The raw path; empty where none is known.
    pub(super) fn path(&self) -> &'a str {
        self.target.map_or("", |target| target.path)
    }

    /// Where the request was sent by its own word: the target before Host (RFC 9112, section 3.2.2).
    pub(super) fn authority(&self) -> Option<Authority<'a>> {
        self.target.and_then(|target| target.authority).or(self.host)
    }

    /// How the body is delimited, if the head is whole (RFC 9112, section 6.3).
    pub(super) fn body(&self) -> Body {
        match self.framing {
            Framing { encoding: Some(true), .. } => Body::Chunked(Chunks::START),
            Framing { encoding: Some(false), .. } | Framing { bad_length: true, .. } => Body::Turn,
            Framing { length, .. } => Body::Length(length.unwrap_or(0)),
        }
    }
}

/// An answer's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) version: Option<Version>,
    pub(super) status: u16,
    pub(super) framing: Framing,
    /// Bytes of the head.
    pub(super) len: usize,
}

impl Answer {
    /// Whether no body can follow, whatever the head says of one.
    pub(super) fn is_bare(&self, method: Option<Method>) -> bool {
        method == Some(Method::Head) || matches!(self.status, 100..=199 | 204 | 304)
    }

    /// How the body is delimited, if the head is whole (RFC 9112, section 6.3).
    pub(super) fn body(&self, method: Option<Method>) -> Body {
        if self.is_bare(method) {
            return Body::Length(0);
        }
        match self.framing {
            Framing { encoding: Some(true), .. } => Body::Chunked(Chunks::START),
            Framing { encoding: Some(false), .. } => Body::Close,
            Framing { bad_length: true, .. } => Body::Turn,
            Framing { length: Some(length), .. } => Body::Length(length),
            Framing { length: None, .. } => Body::Close,
        }
    }
}

/// Where a head that begins in `data` ends; bytes before `from` are known to hold no end.
pub(super) fn end(data: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(next) = data.get(at..)?.iter().position(|b| *b == b'\n') {
        at += next + 1;
        match data.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// Whether a connection with this beginning speaks HTTP/2 without having asked (RFC 9113, 3.4).
pub(super) fn is_http2(data: &[u8]) -> bool {
    data.starts_with(b"PRI * HTTP/2.0\r\n")
}

/// Whether a request of a known method begins here, as far as can be seen.
pub(super) fn may_ask(data: &[u8]) -> bool {
    const METHODS: [&[u8]; 10] = [
        b"GET ",
        b"POST ",
        b"PUT ",
        b"HEAD ",
        b"DELETE ",
        b"OPTIONS ",
        b"PATCH ",
        b"QUERY ",
        b"TRACE ",
        b"CONNECT ",
    ];
    !data.is_empty() && METHODS.iter().any(|m| data.starts_with(m) || m.starts_with(data))
}

/// Whether a request begins here: of a known method, or with a whole first line.
pub(super) fn does_ask(data: &[u8]) -> bool {
    may_ask(data)
        || match request(data) {
            Head::Whole(request) | Head::Cut(request) | Head::Bad(request) => {
                request.version.is_some()
            }
            Head::Little | Head::Garbage(_) => false,
        }
}

/// Whether a request of a known method begins here, version and all.
pub(super) fn surely_asks(data: &[u8]) -> bool {
    match request(data) {
        Head::Whole(request) | Head::Cut(request) | Head::Bad(request) => {
            request.version.is_some() && request.method != Method::Other
        }
        Head::Little | Head::Garbage(_) => false,
    }
}

/// Whether an answer begins here, as far as can be seen.
pub(super) fn may_answer(data: &[u8]) -> bool {
    const FIRST: &[u8] = b"HTTP/1.";
    !data.is_empty() && (data.starts_with(FIRST) || FIRST.starts_with(data))
}

/// Reads a request's head.
pub(super) fn request(data: &[u8]) -> Head<Request<'_>> {
    let mut room = [const { MaybeUninit::uninit() }; LINES];
    let mut parsed = httparse::Request::new(&mut []);
    let read = parsed.parse_with_uninit_headers(data, &mut room);
    let seen = |len, cut| {
        let lines = Lines::new(data.get(..len).unwrap_or(data), cut);
        let method = parsed.method.map_or(Method::Other, Method::of);
        let target = parsed.path.map(|text| match method {
            Method::Connect => target::tunnel(text),
            _ => target::target(text),
        });
        let (version, framing) = (version(parsed.version), Framing::default());
        Request { method, target, host: None, version, framing, lines, len }
    };
    match read {
        Ok(Status::Complete(len)) => Head::Whole(asked(seen(len, false), named(parsed.headers))),
        Err(Error::TooManyHeaders) => {
            let mut room = vec![EMPTY_HEADER; room_for(data)];
            let mut parsed = httparse::Request::new(&mut room);
            match parsed.parse(data) {
                Ok(Status::Complete(len)) => {
                    Head::Whole(asked(seen(len, false), named(parsed.headers)))
                }
                Ok(Status::Partial) => Head::Cut(asked(seen(data.len(), true), lines(data))),
                Err(_) => Head::Bad(asked(seen(data.len(), true), lines(data))),
            }
        }
        Ok(Status::Partial) if parsed.method.is_some() => {
            Head::Cut(asked(seen(data.len(), true), lines(data)))
        }
        Ok(Status::Partial) if data.len() <= TOKEN => Head::Little,
        Err(_) if parsed.version.is_some() => Head::Bad(asked(seen(data.len(), true), lines(data))),
        _ => Head::Garbage(parsed.method.map(Method::of)),
    }
}

fn asked<'a>(seen: Request<'a>, lines: impl Iterator<Item = Line<'a>>) -> Request<'a> {
    let (mut host, mut bare) = (None, true);
    let lines = lines.inspect(|(name, _)| bare &= !may_name_a_trace(name));
    let framing = framing(lines, |value| host = host.or_else(|| target::authority(value)));
    Request { host, framing, lines: seen.lines.seen(bare), ..seen }
}

/// Reads an answer's head.
pub(super) fn answer(data: &[u8]) -> Head<Answer> {
    let mut room = [const { MaybeUninit::uninit() }; LINES];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let read = config.parse_response_with_uninit_headers(&mut parsed, data, &mut room);
    let Some(status) = parsed.code else {
        return if read.is_ok() { Head::Little } else { Head::Garbage(None) };
    };
    let version = version(parsed.version);
    let seen = |len, framing| Answer { version, status, framing, len };
    let whole = |len, headers| Head::Whole(seen(len, framing(named(headers), |_| {})));
    let part = || seen(data.len(), framing(lines(data), |_| {}));
    match read {
        Ok(Status::Complete(len)) => whole(len, parsed.headers),
        Ok(Status::Partial) => Head::Cut(part()),
        Err(Error::TooManyHeaders) => {
            let mut room = vec![EMPTY_HEADER; room_for(data)];
            let mut parsed = httparse::Response::new(&mut room);
            match parsed.parse(data) {
                Ok(Status::Complete(len)) => whole(len, parsed.headers),
                Ok(Status::Partial) => Head::Cut(part()),
                Err(_) => Head::Bad(part()),
            }
        }
        Err(_) => Head::Bad(part()),
    }
}

/// A header line: name, value.
type Line<'a> = (&'a [u8], &'a [u8]);

fn named<'a>(headers: &[Header<'a>]) -> impl Iterator<Item = Line<'a>> {
    headers.iter().map(|header| (header.name.as_bytes(), header.value))
}

/// The whole header lines of a head that is not whole, or not well formed.
fn lines(data: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut rest = data;
    let mut next = move || {
        let end = rest.iter().position(|b| *b == b'\n')?;
        let (line, after) = rest.split_at_checked(end + 1)?;
        rest = after;
        Some(line)
    };
    // The first line is the request's or the status.
    next();
    std::iter::from_fn(next).filter_map(|line| {
        let colon = line.iter().take(NAME).position(|b| *b == b':')?;
        Some((line.get(..colon)?, line.get(colon + 1..)?.trim_ascii()))
    })
}

/// The shortest line is `a:` with its end.
fn room_for(data: &[u8]) -> usize {
    data.len() / 3 + 1
}

fn version(minor: Option<u8>) -> Option<Version> {
    match minor? {
        0 => Some(Version::Http10),
        _ => Some(Version::Http11),
    }
}

fn framing<'a>(lines: impl Iterator<Item = Line<'a>>, mut host: impl FnMut(&'a str)) -> Framing {
    let mut framing = Framing::default();
    for (name, value) in lines {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if let Ok(text) = str::from_utf8(value) {
                    host(text);
                }
            }
            7 if name.eq_ignore_ascii_case(b"trailer") => framing.trailer = true,
            14 if name.eq_ignore_ascii_case(b"content-length") => length(&mut framing, value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                let last = value.rsplit(|b| *b == b',').map(<[u8]>::trim_ascii).next();
                let chunked = last.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
                framing.encoding = Some(chunked);
            }
            _ => {}
        }
    }
    framing
}

/// Several equal values are one (RFC 9110, section 8.6).
fn length(framing: &mut Framing, value: &[u8]) {
    for part in value.split(|b| *b == b',') {
        let digits = part.trim_ascii();
        let number = str::from_utf8(digits)
            .ok()
            .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse::<u64>().ok());
        match (number, framing.length) {
            (Some(number), None) => framing.length = Some(number),
            (Some(number), Some(known)) if number == known => {}
            _ => framing.bad_length = true,
        }
    }
    if framing.bad_length {
        framing.length = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_framing_of_a_head() {
        let check = |lines: &str, expect: Body, bad: bool| {
            let text = format!("POST / HTTP/1.1\r\n{lines}\r\n");
            let Head::Whole(request) = request(text.as_bytes()) else { panic!("{lines:?}") };
            assert_eq!((request.body(), request.framing.bad_length), (expect, bad), "{lines:?}");
            assert_eq!(request.len, text.len());
        };
        let chunked = Body::Chunked(Chunks::START);
        check("", Body::Length(0), false);
        check("Content-Length: 5\r\n", Body::Length(5), false);
        check("content-length:5\r\nCONTENT-LENGTH: 5\r\n", Body::Length(5), false);
        check("Content-Length: 5, 5\r\n", Body::Length(5), false);
        check("Content-Length: 5\r\nContent-Length: 6\r\n", Body::Turn, true);
        check("Content-Length: 5, 6\r\nContent-Length: 5\r\n", Body::Turn, true);
        check("Content-Length: -5\r\n", Body::Turn, true);
        check("Content-Length: +5\r\n", Body::Turn, true);
        check("Content-Length: 0x5\r\n", Body::Turn, true);
        check("Content-Length:\r\n", Body::Turn, true);
        check("Content-Length: 18446744073709551616\r\n", Body::Turn, true);
        check("Content-Length: 18446744073709551615\r\n", Body::Length(u64::MAX), false);
        check("Transfer-Encoding: chunked\r\n", chunked, false);
        check("Transfer-Encoding: gzip, Chunked\r\n", chunked, false);
        check("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", chunked, false);
        check("Transfer-Encoding: chunked, gzip\r\n", Body::Turn, false);
        check("Transfer-Encoding: xchunked\r\n", Body::Turn, false);
        check("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunked, false);
        check("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunked, false);
    }

    #[test]
    fn reads_many_lines_and_cut_heads() {
        let many = "name:value\r\n".repeat(500);
        let whole = format!("GET /p?q HTTP/1.0\r\n{many}Host: h:8\r\nContent-Length: 3\r\n\r\n");
        let Head::Whole(head) = request(whole.as_bytes()) else { panic!() };
        assert_eq!(head.framing.length, Some(3));
        assert_eq!(head.authority(), Some(Authority { host: "h", port: Some(8) }));
        let Head::Cut(head) = request(&whole.as_bytes()[..whole.len() - 3]) else { panic!() };
        assert_eq!((head.path(), head.version), ("/p", Some(Version::Http10)));
        assert_eq!(head.host, Some(Authority { host: "h", port: Some(8) }));
        let Head::Cut(head) = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nDa") else {
            panic!()
        };
        assert_eq!((head.status, head.framing.length), (200, Some(3)));
    }

    #[test]
    fn tells_little_from_garbage() {
        assert_eq!(request(b"GE"), Head::Little);
        assert!(matches!(request(b"GET /verylon"), Head::Cut(Request { target: None, .. })));
        assert_eq!(request(b"GET /\r\n"), Head::Garbage(Some(Method::Get)));
        assert_eq!(request(b"GET / HTTP/2.0\r\n"), Head::Garbage(Some(Method::Get)));
        assert_eq!(request(b"\x16\x03\x01\x02"), Head::Garbage(None));
        assert_eq!(request(&[b'A'; 40]), Head::Garbage(None));
        assert!(matches!(request(b"GET / HTTP/1.1\r\nbad line\r\n\r\n"), Head::Bad(_)));
        assert_eq!(answer(b"HTT"), Head::Little);
        assert_eq!(answer(b"HTTP/1.1 2"), Head::Little);
        assert_eq!(answer(b"HTTP/2"), Head::Garbage(None));
        assert_eq!(answer(b"SSH-2.0-x"), Head::Garbage(None));
        assert!(matches!(answer(b"HTTP/1.1 200\r\n\r\n"), Head::Whole(Answer { status: 200, .. })));
    }

    #[test]
    fn finds_the_end_of_a_head() {
        let check =
            |text: &[u8], expect| assert_eq!(end(text, 0), expect, "{}", text.escape_ascii());
        check(b"A\r\n\r\nB", Some(5));
        check(b"A\n\nB", Some(3));
        check(b"A\r\nB\r\n\r", None);
        check(b"A\n\r\n", Some(4));
        check(b"", None);
    }
}
