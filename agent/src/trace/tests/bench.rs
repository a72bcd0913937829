//! What an exchange costs from its coming to its leaving, printed:
//! `cargo test --release -p steth --lib trace::tests::bench -- --ignored --nocapture`.
//! The only clock in this stage stands here, where it measures the stage itself.

use std::hint::black_box;
use std::time::Instant;

use super::*;

/// Pairs of a client's and a server's exchange.
const PAIRS: u64 = 200_000;
/// Connections they are spread over.
const CONNECTIONS: u64 = 16;
/// A head as a browser sends it, less what spans are made of.
const HEADERS: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml\r\nAccept-Language: en\r\nAccept-Encoding: gzip\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nConnection: keep-alive\r\n";

#[allow(clippy::disallowed_methods, reason = "a benchmark needs a clock")]
fn print(what: &str, config: Config, headers: &str) {
    let mut trace = Trace::new(config);
    let ends = |conn: u64| {
        let port = 40_000 + conn as u16;
        let client = with(asked("/items/7?page=2", 200, (0, 0)), headers);
        let server = with(served("/items/7?page=2", 200, (0, 0)), headers);
        let peer = Peer { local_port: port, ..client.peer };
        let client = Ask { conn: 1000 + conn, peer, ..client };
        let peer = Peer { port, ..server.peer };
        [client, Ask { conn: 2000 + conn, peer, ..server }]
    };
    let mut all: Vec<[Ask; 2]> = (0..CONNECTIONS).map(ends).collect();
    let mut spans = 0;
    let begun = Instant::now();
    for n in 0..PAIRS {
        let at = n * 20_000;
        let place = (n % CONNECTIONS) as usize;
        let [client, server] = &mut all[place];
        for (ask, times) in [(&mut *server, (at + 1, at + 9_000)), (client, (at, at + 10_000))] {
            ask.times = times;
            ask.position = n / CONNECTIONS * 100;
            // The parser knows it of every head.
            let exchange = exchange(black_box(ask));
            let exchange = Exchange { lines: exchange.lines.seen(true), ..exchange };
            trace.observe(EntityId(ask.entity), &exchange, Counted::NOWHERE, &COUNTS);
        }
        if n % 1000 == 0 {
            trace.tick(Timestamp(at), &COUNTS);
            spans += trace.take().len();
        }
    }
    trace.finish(&COUNTS);
    spans += trace.take().len();
    let each = begun.elapsed().as_nanos() as f64 / (2 * PAIRS) as f64;
    println!("{what:<36} {each:>7.1} ns an exchange, {spans} spans");
}

#[test]
#[ignore = "prints times"]
fn times() {
    // As it is where nobody says otherwise.
    let hold = Nanos(10_000_000_000);
    let of = |share, tail| {
        let sampler =
            Sampler { threshold: Threshold::of_share(share), parent: Parent::Keeps, tail };
        Config {
            sampler,
            hold,
            bytes: 16 << 20,
            hosts: false,
            slices: false,
            per_service: 100,
            total: 1000,
            ..config()
        }
    };
    let off = Sampler { threshold: Threshold::NONE, parent: Parent::Ignored, tail: false };
    // What the test itself takes to make an exchange is in all of them.
    print("off", Config { sampler: off, ..of(0.0, false) }, "");
    for (what, headers) in [("bare heads", ""), ("heads of a browser", HEADERS)] {
        for share in [0.01, 0.01, 0.01] {
            print(&format!("{what}, {share} kept"), of(share, true), headers);
        }
    }
}
