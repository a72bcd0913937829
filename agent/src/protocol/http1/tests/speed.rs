//! What the way nearly all exchanges take costs: printed, not judged.
//!
//! `cargo test --release -p steth --lib speed -- --ignored --nocapture`

use std::hint::black_box;
use std::time::Instant;

use super::*;

struct Eaten(u64);

impl Sink for Eaten {
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
        "X-Header-Name: a value of some length\r\n".repeat(9)
    );
    let bench = |name: &str, told: Vec<Told>, rig: &mut Http1| {
        let mut sink = Eaten(0);
        let mut best = f64::MAX;
        for _ in 0..100 {
            let begun = Instant::now();
            for one in told.iter().cycle().take(20_000) {
                rig.event(&black_box(one.event()), &mut sink);
            }
            best = best.min(begun.elapsed().as_nanos() as f64 / 20_000.0);
        }
        println!("{name}: {best:.0} ns a pair");
    };
    let new = || Http1::new(Limits::default());
    let many = |ask: &str, answer: &str| {
        (0..1000).map(|n| Told::new(ask.as_bytes(), answer.as_bytes()).at(n, 1)).collect::<Vec<_>>()
    };
    bench("wrk to nginx", many(wrk, nginx), &mut new());
    bench("browser to nginx", many(browser, nginx), &mut new());
    let paths = (0..10_000).map(|n| {
        let ask = format!("GET /item/{n} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n");
        let answer = nginx.replace("07:00:00", &format!("07:{:02}:{:02}", n / 60 % 60, n % 60));
        Told::new(ask.as_bytes(), answer.as_bytes()).at(n, 1)
    });
    bench("nothing asked or answered twice", paths.collect(), &mut new());
    bench("browser, answer's head cut", many(browser, &long), &mut new());
    let mut rig = new();
    rig.begin_sweep(Timestamp(1));
    let mut sink = Eaten(0);
    for n in 0..10_000 {
        let idle = Told::new(wrk.as_bytes(), nginx.as_bytes()).at(1_000_000 + n, 1).end(End::Swept);
        rig.event(&idle.event(), &mut sink);
    }
    rig.end_sweep();
    bench("wrk to nginx, 10000 idle connections swept", many(wrk, nginx), &mut rig);
}
