//! Any records of a few connections: the sums hold, and memory stays inside its limits.
//!
//! Input: steps of a control byte, a length and so many bytes. Control: bits 0-2 what, bits 3-4
//! which connection, bits 5-7 how.
#![no_main]

use agent_common::record;
use libfuzzer_sys::fuzz_target;
use steth::event::{ConnId, Direction, End, Event, Pair, Segment, Timestamp, Turn, Why, flag};
use steth::protocol::http1::{Count, Http1, Limits};
use steth::protocol::{Exchange, Sink, Verdict, Wanted};
use steth::trace::context;

#[derive(Default)]
struct Told(u64);

impl Sink for Told {
    fn exchange(&mut self, exchange: &Exchange<'_>) {
        assert!(exchange.begun <= exchange.ended);
        let context = context::read(&exchange.lines);
        assert!(context.context.is_none_or(|found| found.trace.0 != [0; 16]));
        assert!(exchange.status.is_none_or(|status| status < 1000));
        self.0 += 1;
    }

    fn verdict(&mut self, _: ConnId, _: Verdict) {}
}

fuzz_target!(|data: &[u8]| {
    let limits = Limits {
        head: 200,
        pipeline: 5,
        waiting: 4000,
        connections: 3,
        bytes: 16_000,
        swept: 2,
        lines: Some(Wanted { bytes: 300, more: &["x-tenant"] }),
    };
    let (mut http, mut told) = (Http1::new(limits), Told::default());
    let (mut rest, mut at, mut time) = (data, [[1000u64; 2]; 4], 1000);
    let mut ask: &[u8] = b"";
    while let [control, len, after @ ..] = rest {
        let (bytes, after) = after.split_at(after.len().min(usize::from(*len)));
        rest = after;
        time += 1_000_000;
        let (conn, how) = (usize::from(control >> 3 & 3), control >> 5);
        let at = &mut at[conn];
        let conn = conn as u64 + 1;
        match control & 7 {
            // The first half of a pair.
            0 => ask = bytes,
            1 | 2 => {
                let turn = |start: u64, bytes: &[u8]| Turn {
                    start,
                    bytes: bytes.len() as u64 + u64::from(control & 7 == 2) * 100,
                    first: time - 2,
                    last: time,
                };
                let header = record::Pair {
                    flags: if bytes.is_empty() { 0 } else { flag::ANSWERED } | flag::SERVER,
                    errno: u16::from(how) * 26,
                    conn,
                    seq: 1,
                    ask: turn(at[0], ask),
                    answer: turn(at[1], bytes),
                    ..record::Pair::default()
                };
                at[0] += header.ask.bytes;
                at[1] += header.answer.bytes;
                let end = End::of(how % 5).unwrap_or(End::Next);
                http.event(
                    &Event::Pair(Pair { header: &header, end, ask, answer: bytes, why: Why::default() }),
                    &mut told,
                );
            }
            3 | 4 => {
                let way = usize::from(control & 7 == 4);
                let start = at[way] + if how & 4 == 0 { 0 } else { 50 };
                let end = start + bytes.len() as u64 + if how & 2 == 0 { 0 } else { 5000 };
                at[way] = end;
                let header = record::Segment {
                    flags: flag::SERVER | if how & 1 == 0 { flag::TURN } else { 0 },
                    conn,
                    start,
                    end,
                    time,
                    other_end: at[1 - way],
                    other_time: time - 1,
                    ..record::Segment::default()
                };
                let direction = if way == 0 { Direction::In } else { Direction::Out };
                http.event(
                    &Event::Segment(Segment { header: &header, direction, data: bytes }),
                    &mut told,
                );
            }
            5 | 6 => {
                let close = record::Close {
                    errno: u16::from(how) * 26,
                    conn,
                    time,
                    end: *at,
                    last: [time; 2],
                    ..record::Close::default()
                };
                let event =
                    if control & 7 == 5 { Event::Close(&close) } else { Event::Progress(&close) };
                http.event(&event, &mut told);
            }
            _ => {
                time += u64::from(how) * 1_000_000_000;
                http.end_sweep(&mut told);
                http.begin_sweep(Timestamp(time));
            }
        }
        let counters = http.counters();
        assert_eq!(counters.get(Count::Exchanges), told.0);
        assert_eq!(counters.get(Count::Requests), told.0 + counters.lost() + http.open());
        let (connections, swept, bytes) = http.held();
        assert!(connections <= 3 && swept <= 2 && bytes <= 16_000);
    }
});
