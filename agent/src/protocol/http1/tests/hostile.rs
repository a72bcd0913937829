//! Bytes that mean harm: nothing panics, and memory stays inside its limits.

use proptest::prelude::*;

use super::*;
use crate::protocol::Wanted;

const WORDS: [&[u8]; 22] = [
    b"GET / HTTP/1.1\r\n",
    b"POST /x HTTP/1.1\r\n",
    b"HEAD / HTTP/1.0\r\n",
    b"CONNECT h:1 HTTP/1.1\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 101 S\r\n",
    b"HTTP/1.1 100 C\r\n",
    b"HTTP/1.0 204 N\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 18446744073709551615\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n",
    b"hello",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"ffffffffffffffff\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x00\xff\xfe",
    b"Host: h\r\n",
    b"\n",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        8 => prop::sample::select(&WORDS[..]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(word, 0..8).prop_map(|words| words.concat())
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0u64..2000, 1 => any::<u64>(), 1 => (u64::MAX - 9)..=u64::MAX]
}

#[derive(Clone, Debug)]
enum Step {
    Pair(u64, Vec<u8>, Vec<u8>, u8, [u64; 6], u8),
    Segment(u64, Vec<u8>, u8, u8, [u64; 4]),
    Close(u64, u16, [u64; 4], bool),
    Sweep(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let conn = 0u64..12;
    prop_oneof![
        5 => (conn.clone(), bytes(), bytes(), 0u8..5, prop::array::uniform6(number()), any::<u8>())
            .prop_map(|(c, a, b, e, n, f)| Step::Pair(c, a, b, e, n, f)),
        8 => (conn.clone(), bytes(), 0u8..2, any::<u8>(), prop::array::uniform4(number()))
            .prop_map(|(c, d, w, f, n)| Step::Segment(c, d, w, f, n)),
        1 => (conn, 0u16..120, prop::array::uniform4(number()), any::<bool>())
            .prop_map(|(c, e, n, p)| Step::Close(c, e, n, p)),
        1 => number().prop_map(Step::Sweep),
    ]
}

fn run(rig: &mut Rig, step: &Step) {
    match step {
        Step::Pair(conn, ask, answer, end, n, flags) => {
            let mut told = Told::new(ask, answer).at(*conn, n[0] as u32).with(|h| {
                h.flags = *flags;
                h.ask = Turn { start: n[1], bytes: n[2], first: n[3], last: n[4] };
                h.answer.bytes = n[5];
                h.errno = n[5] as u16;
            });
            told.end = End::of(*end).unwrap_or(End::Next);
            let (counters, requests) = (rig.http.counters().clone(), Count::Requests);
            rig.pair(&told);
            if told.end != End::Swept {
                let more = |count| rig.http.counters().get(count) - counters.get(count);
                let none: u64 = Count::NO_REQUEST.into_iter().map(more).sum();
                assert_eq!(more(Count::Pairs), 1);
                assert_eq!(none, u64::from(more(requests) == 0), "{told:?}");
            }
        }
        Step::Segment(conn, data, direction, flags, n) => {
            let header = record::Segment {
                flags: *flags,
                direction: *direction,
                conn: *conn,
                start: n[0],
                end: n[0].saturating_add(data.len() as u64).max(n[1]),
                time: n[2],
                other_end: n[3],
                other_time: n[2],
                ..record::Segment::default()
            };
            rig.segment(&header, data);
        }
        Step::Close(conn, errno, n, progress) => {
            let close = record::Close {
                errno: *errno,
                conn: *conn,
                time: n[0],
                end: [n[1], n[2]],
                last: [n[3], n[0]],
                ..record::Close::default()
            };
            let event = if *progress { Event::Progress(&close) } else { Event::Close(&close) };
            rig.http.event(&event, &mut rig.kept);
        }
        Step::Sweep(now) => {
            rig.http.end_sweep(&mut rig.kept);
            rig.http.begin_sweep(Timestamp(*now));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_records_keep_the_sums_and_the_limits(steps in prop::collection::vec(step(), 0..40)) {
        let limits = Limits {
            head: 60, pipeline: 4, waiting: 2000, connections: 5, bytes: 9000, swept: 3,
            lines: Some(Wanted { bytes: 40, more: &["x"] }),
        };
        let mut rig = Rig { http: Http1::new(limits), ..Rig::default() };
        for step in &steps {
            run(&mut rig, step);
            rig.check_sums();
            let (connections, swept, bytes) = rig.http.held();
            prop_assert!(connections <= 5 && swept <= 3 && bytes <= 9000);
        }
    }
}

#[test]
fn many_slow_heads_stay_inside_the_budget() {
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    let mut rig = Rig { http: Http1::new(limits), ..Rig::default() };
    let head = [&b"GET / HTTP/1.1\r\nX: "[..], &[b'y'; 4000]].concat();
    for conn in 0..2000 {
        let header = record::Segment {
            flags: flag::TURN | flag::SERVER,
            conn,
            end: head.len() as u64,
            time: conn,
            ..record::Segment::default()
        };
        rig.segment(&header, &head);
        assert!(rig.http.held().2 <= 1 << 20);
    }
    let left = rig.http.held().0 as u64;
    assert_eq!(rig.http.counters().get(Count::Evicted), 2000 - left);
    assert!(left > 100);
}

#[test]
fn a_head_byte_by_byte_is_read_once() {
    // 60,000 calls of one byte: reading it all again each time would take minutes.
    let ask = format!("GET /slow HTTP/1.1\r\n{}\r\n", "X: yyyyyy\r\n".repeat(5400));
    let mut line = Line::default();
    for byte in ask.as_bytes() {
        line.ask(std::slice::from_ref(byte));
    }
    line.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(line.rig.kept.lines(), ["Get /slow 200 0/0"]);
}

#[test]
fn endless_pipelines_end() {
    let mut line = Line::default();
    let many = b"GET /p HTTP/1.1\r\n\r\n".repeat(100);
    for _ in 0..20 {
        line.ask(&many);
    }
    let limits = Limits::default();
    assert_eq!(line.rig.http.counters().get(Count::LostPipeline), limits.pipeline as u64 + 1);
    assert_eq!(line.rig.kept.verdicts, [(1, Verdict::Full), (1, Verdict::Off)]);
    line.rig.check_sums();
}
