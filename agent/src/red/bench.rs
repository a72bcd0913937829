//! What a call costs, printed: `cargo test --release -p steth --lib red::bench -- --ignored --nocapture`.
//! The only clock in this stage stands here, where it measures the stage itself.

use std::hint::black_box;
use std::time::Instant;

use super::tests::exchange;
use super::*;
use crate::event::Timestamp;
use crate::metric::instrument::http::{
    HTTP_SERVER_REQUEST_BODY_SIZE, HTTP_SERVER_REQUEST_DURATION,
};

#[allow(clippy::disallowed_methods, reason = "a benchmark needs a clock")]
fn print(what: &str, rounds: u32, mut each: impl FnMut(u32)) {
    for i in 0..rounds {
        each(i);
    }
    let begun = Instant::now();
    for i in 0..rounds {
        each(i);
    }
    println!("{what:<44} {:>7.1} ns", begun.elapsed().as_nanos() as f64 / f64::from(rounds));
}

/// Scattered over two decades, as latencies are.
fn latency(i: u32) -> u64 {
    let scattered = u64::from(i.wrapping_mul(0x9e37_79b9) >> 16);
    100_000 + scattered * scattered / 64
}

#[test]
#[ignore = "prints times"]
fn times() {
    let mut histogram = Histogram::new(&HTTP_SERVER_REQUEST_DURATION);
    print("record, scattered latencies", 2_000_000, |i| {
        histogram.record(&HTTP_SERVER_REQUEST_DURATION, black_box(latency(i)));
    });
    let mut histogram = Histogram::new(&HTTP_SERVER_REQUEST_BODY_SIZE);
    print("record, one size (finest scale)", 2_000_000, |_| {
        histogram.record(&HTTP_SERVER_REQUEST_BODY_SIZE, black_box(612));
    });
    let mut histogram = Histogram::new(&HTTP_SERVER_REQUEST_BODY_SIZE);
    print("record, zero", 2_000_000, |_| {
        histogram.record(&HTTP_SERVER_REQUEST_BODY_SIZE, black_box(0));
    });
    for (what, role, template) in [
        ("observe, server, known path", Role::Server, false),
        ("observe, client, known server", Role::Client, false),
        ("observe, client with template", Role::Client, true),
    ] {
        let config = Config { guessed_as_template: template, ..Config::default() };
        let mut red = Red::new(config, WallTime(0));
        let mut exchange = exchange(role, "/api/v1/orders/1234/items", Some(200));
        print(what, 2_000_000, |i| {
            exchange.ended = Timestamp(exchange.begun.0 + latency(i));
            red.observe(EntityId(7), black_box(&exchange), None);
        });
    }
    let mut red = Red::new(Config::default(), WallTime(0));
    let paths: Vec<String> = (0..100_000).map(|i| format!("/api/v1/orders/{i}/items")).collect();
    print("observe, server, a path never seen", 100_000, |i| {
        let path = paths.get(i as usize).map_or("", String::as_str);
        red.observe(EntityId(7), &exchange(Role::Server, path, Some(200)), None);
    });
    let mut red = Red::new(Config::default(), WallTime(0));
    for status in 200..1200 {
        red.observe(EntityId(1), &exchange(Role::Server, "/x", Some(status)), None);
    }
    print("snapshot, a series", 1000, |_| {
        black_box(red.snapshot());
    });
    println!("   (of 1000 series: divide by 1000)");
}
