//! Chunked bodies: whatever the bytes, any split of them gives the same exchange and the same size.
#![no_main]

use agent_common::record;
use libfuzzer_sys::fuzz_target;
use steth::event::{ConnId, Direction, Event, Segment, flag};
use steth::protocol::http1::{Http1, Limits};
use steth::protocol::{Exchange, Sink, Verdict};

#[derive(Default)]
struct Told(Vec<(Option<u16>, bool, u64)>);

impl Sink for Told {
    fn exchange(&mut self, exchange: &Exchange<'_>) {
        self.0.push((exchange.status, exchange.fault.is_some(), exchange.response_body));
    }

    fn verdict(&mut self, _: ConnId, _: Verdict) {}
}

const ASK: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn run<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Told {
    let (mut http, mut told) = (Http1::new(Limits::default()), Told::default());
    let (mut start, mut time) = (0, 1);
    let mut segment = |direction, data: &[u8], turn: u8, start: u64| {
        time += 1;
        let header = record::Segment {
            flags: flag::SERVER | turn,
            conn: 1,
            start,
            end: start + data.len() as u64,
            time,
            ..record::Segment::default()
        };
        http.event(&Event::Segment(Segment { header: &header, direction, data }), &mut told);
    };
    segment(Direction::In, ASK, flag::TURN, 0);
    segment(Direction::Out, HEAD, flag::TURN, start);
    start += HEAD.len() as u64;
    for piece in pieces {
        segment(Direction::Out, piece, 0, start);
        start += piece.len() as u64;
    }
    let close = record::Close { conn: 1, end: [0, start], ..record::Close::default() };
    http.event(&Event::Close(&close), &mut told);
    told
}

fuzz_target!(|data: &[u8]| {
    let Some((step, body)) = data.split_first() else { return };
    let whole = run(std::iter::once(body));
    assert_eq!(whole.0.len(), 1);
    assert_eq!(run(body.chunks(1)).0, whole.0);
    assert_eq!(run(body.chunks(usize::from(*step).max(1))).0, whole.0);
});
