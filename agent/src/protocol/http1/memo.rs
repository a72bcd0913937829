//! Heads read before: keep-alive clients ask the same again, and servers answer the same within a
//! second. A head that begins with the very bytes of a whole one read before is that one.
//!
//! A direct-mapped table of fixed size; a head that is not there costs one short comparison.

use agent_common::limit;

use super::head::{self, Answer, Framing, Head, Request};
use super::target::Target;
use crate::protocol::{Authority, Lines, Method, Version};

/// Places for each of requests and answers; a power of two.
const PLACES: usize = 128;

/// Where in its head a text stands.
#[derive(Clone, Copy, Debug)]
struct Span(u16, u16);

impl Span {
    fn of(head: &[u8], text: &str) -> Option<Self> {
        let start = (text.as_ptr() as usize).checked_sub(head.as_ptr() as usize)?;
        let end = start + text.len();
        (end <= head.len()).then_some(())?;
        Some(Self(u16::try_from(start).ok()?, u16::try_from(end).ok()?))
    }

    fn text(self, head: &[u8]) -> Option<&str> {
        str::from_utf8(head.get(usize::from(self.0)..usize::from(self.1))?).ok()
    }
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    method: Method,
    path: Span,
    authority: Option<(Span, Option<u16>)>,
    version: Option<Version>,
    framing: Framing,
    /// No line names a trace.
    bare: bool,
}

#[derive(Clone, Debug)]
struct Place<T, const N: usize> {
    /// A head: its bytes, how many, and what it is.
    bytes: [u8; N],
    len: usize,
    /// Whether it is whole; one that was cut is only the same if nothing follows it.
    whole: bool,
    read: Option<T>,
}

impl<T: Copy, const N: usize> Place<T, N> {
    fn find(&self, data: &[u8]) -> Option<T> {
        let read = self.read?;
        let known = self.bytes.get(..self.len)?;
        (data.starts_with(known) && (self.whole || data.len() == self.len)).then_some(read)
    }

    fn keep(&mut self, head: &[u8], whole: bool, read: T) {
        if let Some(place) = self.bytes.get_mut(..head.len()) {
            place.copy_from_slice(head);
            self.len = head.len();
            self.whole = whole;
            self.read = Some(read);
        }
    }
}

/// Heads read before.
#[derive(Debug)]
pub(super) struct Memo {
    asks: Box<[Place<Asked, { limit::ASK_HEAD }>]>,
    answers: Box<[Place<Answer, { limit::ANSWER_HEAD }>]>,
}

impl Memo {
    pub(super) fn new() -> Self {
        let ask = Place { bytes: [0; limit::ASK_HEAD], len: 0, whole: false, read: None };
        let answer = Place { bytes: [0; limit::ANSWER_HEAD], len: 0, whole: false, read: None };
        Self { asks: vec![ask; PLACES].into(), answers: vec![answer; PLACES].into() }
    }

    /// [`head::request`], by memory where it can be.
    pub(super) fn request<'a>(&mut self, data: &'a [u8]) -> Head<Request<'a>> {
        let Some(place) = self.asks.get_mut(place(data, 4, data.len() as u64)) else {
            return head::request(data);
        };
        if let Some(asked) = place.find(data)
            && let Some(request) = asked.on(data, place.len)
        {
            return Head::Whole(request);
        }
        let read = head::request(data);
        if let Head::Whole(request) = read
            && let Some(head) = data.get(..request.len)
            && let Some(asked) = Asked::of(head, &request)
        {
            place.keep(head, true, asked);
        }
        read
    }

    /// [`head::answer`], by memory where it can be. `from` tells servers apart.
    pub(super) fn answer(&mut self, data: &[u8], from: u64) -> Head<Answer> {
        let Some(place) = self.answers.get_mut(place(data, 2, from)) else {
            return head::answer(data);
        };
        if let Some(answer) = place.find(data) {
            return if place.whole { Head::Whole(answer) } else { Head::Cut(answer) };
        }
        let read = head::answer(data);
        if let Head::Whole(answer) | Head::Cut(answer) = read
            && let Some(head) = data.get(..answer.len)
        {
            place.keep(head, matches!(read, Head::Whole(_)), answer);
        }
        read
    }
}

impl Asked {
    fn of(head: &[u8], request: &Request<'_>) -> Option<Self> {
        let authority = match request.authority() {
            Some(Authority { host, port }) => Some((Span::of(head, host)?, port)),
            None => None,
        };
        // A path that is no part of the head ("/" of an absolute target without one) is not kept.
        let path = Span::of(head, request.target?.path)?;
        let Request { method, version, framing, lines, .. } = *request;
        Some(Self { method, path, authority, version, framing, bare: lines.is_bare() })
    }

    fn on(self, data: &[u8], len: usize) -> Option<Request<'_>> {
        let Self { method, path, authority, version, framing, bare } = self;
        let host = match authority {
            Some((span, port)) => Some(Authority { host: span.text(data)?, port }),
            None => None,
        };
        let target = Some(Target { path: path.text(data)?, authority: None });
        let lines = Lines::new(data.get(..len)?, false).seen(bare);
        Some(Request { method, target, host, version, framing, lines, len })
    }
}

/// The place of a head by its first words.
fn place(data: &[u8], words: usize, seed: u64) -> usize {
    let mut mixed = seed;
    for word in data.as_chunks::<8>().0.iter().take(words) {
        mixed = (mixed ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^= mixed >> 29;
    }
    usize::try_from(mixed % PLACES as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_would_be_read() {
        let mut memo = Memo::new();
        let mut check = |data: &[u8]| {
            for _ in 0..3 {
                let (got, want) = (memo.request(data), head::request(data));
                match (got, want) {
                    (Head::Whole(got), Head::Whole(want)) => {
                        assert_eq!((got.path(), got.authority()), (want.path(), want.authority()));
                        assert_eq!((got.method, got.version), (want.method, want.version));
                        assert_eq!((got.framing, got.len), (want.framing, want.len));
                    }
                    _ => assert_eq!(got, want),
                }
                assert_eq!(memo.answer(data, 1), head::answer(data));
            }
        };
        let heads: [&[u8]; 9] = [
            b"GET /a?b HTTP/1.1\r\nHost: h:1\r\n\r\n",
            b"GET /a?b HTTP/1.1\r\nHost: h:2\r\n\r\n",
            b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
            b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz",
            b"GET http://a:1 HTTP/1.1\r\nHost: b\r\n\r\n",
            b"\r\n\r\nCONNECT h:443 HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r",
        ];
        heads.iter().chain(heads.iter().rev()).for_each(|head| check(head));
        for cut in 0..heads[2].len() {
            check(&heads[2][..cut]);
        }
    }
}
