//! Heads and bodies of HTTP/1.1, as much as a server and a client of our own need.

use std::io::{self, Read};

/// A stream with the bytes read beyond the last message.
#[derive(Debug)]
pub struct Messages<S> {
    stream: S,
    pending: Vec<u8>,
}

impl<S: Read> Messages<S> {
    /// Reads messages from `stream`.
    pub fn new(stream: S) -> Self {
        Self { stream, pending: Vec::new() }
    }

    /// The stream, to write to.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The next message's head; its body, as long as its Content-Length says, is read and dropped unless `has_body` denies it
    /// one, as an answer to HEAD has none. `None` at the end of the stream.
    pub fn next(&mut self, has_body: impl FnOnce(&str) -> bool) -> io::Result<Option<String>> {
        let head_end = loop {
            if let Some(at) = self.pending.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        };
        let head =
            String::from_utf8_lossy(self.pending.get(..head_end).unwrap_or_default()).into_owned();
        let body = if has_body(&head) { content_length(&head) } else { 0 };
        while self.pending.len() < head_end + body {
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.pending.drain(..head_end + body);
        Ok(Some(head))
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer)?;
        self.pending.extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

fn content_length(head: &str) -> usize {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_messages_one_after_the_other_with_their_bodies() {
        let stream = &b"A / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcB / HTTP/1.1\r\n\r\nC cut"[..];
        let mut messages = Messages::new(stream);
        let mut next = || messages.next(|_| true).unwrap().map(|head| head[..1].to_owned());
        assert_eq!((next(), next(), next()), (Some("A".to_owned()), Some("B".to_owned()), None));
    }
}
