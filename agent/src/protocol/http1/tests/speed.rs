//! What the way nearly all exchanges take costs: printed, not judged.
//!
//! `cargo test --release -p steth --lib speed -- --ignored --nocapture`

use std::hint::black_box;
use std::time::Instant;

use super::*;

struct Count0(u64);

impl Sink for Count0 {
    fn exchange(&mut self, exchange: &Exchange<'_>) {
        self.0 += black_box(exchange).path.len() as u64;
    }

    fn verdict(&mut self, _: ConnId, _: Verdict) {}
}

#[test]
#[ignore = "prints a number, judges nothing"]
#[allow(clippy::disallowed_methods, reason = "a benchmark needs a clock")]
fn nanoseconds_a_pair() {
    let wrk = "GET /index.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
    let nginx = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 07:00:00 GMT\r\n\
        Content-Type: text/plain\r\nContent-Length: 12\r\nConnection: keep-alive\r\n\r\nhello world\n";
    let browser = "GET /a/b/c?d=e HTTP/1.1\r\nHost: example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux \
        x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml;q=0.9\
        \r\nAccept-Language: en\r\nAccept-Encoding: gzip\r\nConnection: keep-alive\r\nCookie: a=b\r\n\r\n";
    let long = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n{}\r\n\r\nabc",
        "X: yyyyyyyy\r\n".repeat(30)
    );
    let bench = |name: &str, told: Vec<Told>, rig: &mut Http1| {
        let (mut sink, rounds) = (Count0(0), 2_000_000 / told.len());
        let begun = Instant::now();
        for _ in 0..rounds {
            for one in &told {
                rig.event(&black_box(one.event()), &mut sink);
            }
        }
        let ns = begun.elapsed().as_nanos() as f64 / (rounds * told.len()) as f64;
        println!("{name}: {ns:.0} ns a pair ({} seen)", sink.0);
    };
    let new = || Http1::new(Limits::default());
    let many = |ask: &str, answer: &str| {
        (0..1000).map(|n| Told::new(ask.as_bytes(), answer.as_bytes()).at(n, 1)).collect::<Vec<_>>()
    };
    bench("wrk to nginx", many(wrk, nginx), &mut new());
    bench("browser to nginx", many(browser, nginx), &mut new());
    bench("browser, answer's head cut", many(browser, &long), &mut new());
    let mut rig = new();
    rig.begin_sweep(Timestamp(1));
    let mut sink = Count0(0);
    for n in 0..10_000 {
        let idle = Told::new(wrk.as_bytes(), nginx.as_bytes()).at(1_000_000 + n, 1).end(End::Swept);
        rig.event(&idle.event(), &mut sink);
    }
    rig.end_sweep();
    bench("wrk to nginx, 10000 idle connections swept", many(wrk, nginx), &mut rig);
}
