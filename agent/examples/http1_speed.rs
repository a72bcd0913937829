//! What the way nearly all HTTP/1 exchanges take costs: printed, not judged.
//!
//! `cargo run --release -p steth --example http1_speed`
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::time::Instant;

use agent_common::record;
use steth::event::{ConnId, End, Event, Pair, Timestamp, Turn, Why, flag};
use steth::protocol::http1::{Http1, Limits};
use steth::protocol::{Exchange, Sink, Verdict};

struct Eaten(u64);

impl Sink for Eaten {
    fn exchange(&mut self, exchange: &Exchange<'_>) {
        self.0 += black_box(exchange).path.len() as u64;
    }

    fn verdict(&mut self, _: ConnId, _: Verdict) {}
}

struct Told {
    header: record::Pair,
    ask: Vec<u8>,
    answer: Vec<u8>,
}

impl Told {
    fn new(conn: u64, ask: &str, answer: &str) -> Self {
        let turn = |text: &str, time| Turn {
            bytes: text.len() as u64,
            first: time,
            last: time,
            ..Turn::default()
        };
        let header = record::Pair {
            flags: flag::SERVER | flag::ANSWERED,
            conn,
            seq: 1,
            ask_tgid: 7,
            answer_tgid: 7,
            ask: turn(ask, 100),
            answer: turn(answer, 200),
            ..record::Pair::default()
        };
        let kept = |text: &str, room| text.bytes().take(room).collect();
        Self { header, ask: kept(ask, 512), answer: kept(answer, 256) }
    }

    fn event(&self, end: End) -> Event<'_> {
        let Self { header, ask, answer } = self;
        Event::Pair(Pair { header, end, ask, answer, why: Why::default() })
    }
}

/// The best of many rounds: the machine may have other work.
fn bench(name: &str, told: &[Told], http: &mut Http1) {
    const PAIRS: u32 = 20_000;
    let mut sink = Eaten(0);
    let mut best = f64::MAX;
    for _ in 0..100 {
        let begun = Instant::now();
        for one in told.iter().cycle().take(PAIRS as usize) {
            http.event(&black_box(one.event(End::Next)), &mut sink);
        }
        best = best.min(begun.elapsed().as_secs_f64() * 1e9 / f64::from(PAIRS));
    }
    println!("{name}: {best:.0} ns a pair");
}

fn main() {
    let wrk = "GET /index.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
    let nginx = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 07:00:00 GMT\r\n\
        Content-Type: text/plain\r\nContent-Length: 12\r\nConnection: keep-alive\r\n\r\nhello world\n";
    let browser = "GET /a/b/c?d=e HTTP/1.1\r\nHost: example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux \
        x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml;q=0.9\
        \r\nAccept-Language: en\r\nAccept-Encoding: gzip\r\nConnection: keep-alive\r\nCookie: a=b\r\n\r\n";
    let line = "X-Header-Name: a value of some length\r\n".repeat(9);
    let long = |n: u32| format!("HTTP/1.1 200 OK\r\nX: {n}\r\nContent-Length: 3\r\n{line}\r\nabc");
    let many = |ask: &str, answer: &str| -> Vec<Told> {
        (0..1000).map(|conn| Told::new(conn, ask, answer)).collect()
    };
    let new = || Http1::new(Limits::default());
    bench("wrk to nginx", &many(wrk, nginx), &mut new());
    bench("browser to nginx", &many(browser, nginx), &mut new());
    bench("browser, answer's head cut", &many(browser, &long(0)), &mut new());
    let fresh = |long: &dyn Fn(u32) -> String| -> Vec<Told> {
        (0..10_000)
            .map(|n| {
                let ask = format!("GET /item/{n} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n");
                Told::new(n.into(), &ask, &long(n))
            })
            .collect()
    };
    let dated = |n: u32| nginx.replace("00:00", &format!("{:02}:{:02}", n / 60 % 60, n % 60));
    bench("nothing asked or answered twice", &fresh(&dated), &mut new());
    bench("nothing twice, answer's head cut", &fresh(&long), &mut new());
    let mut http = new();
    http.begin_sweep(Timestamp(1));
    for conn in 0..10_000 {
        let idle = Told::new(1_000_000 + conn, wrk, nginx);
        http.event(&idle.event(End::Swept), &mut Eaten(0));
    }
    http.end_sweep(&mut Eaten(0));
    bench("wrk to nginx, 10000 idle connections swept", &many(wrk, nginx), &mut http);
}
