//! An open-loop client: requests go out on a schedule, and latency counts from when they should have.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::program::connect;

/// Connections, a thread each.
const CONNECTIONS: usize = 4;

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latency {
    /// Microseconds.
    pub(super) p50: f64,
    /// Microseconds.
    pub(super) p99: f64,
    /// Requests a second that went out.
    pub(super) rate: f64,
}

impl Latency {
    /// The least disturbed of several looks.
    pub(super) fn best(looks: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| looks.iter().map(figure).fold(f64::INFINITY, f64::min);
        let rate = looks.iter().map(|look| look.rate).fold(0.0, f64::max);
        Self { p50: of(|look| look.p50), p99: of(|look| look.p99), rate }
    }
}

/// `rate` requests a second for `seconds`.
pub(super) fn run(port: u16, rate: f64, seconds: u64) -> anyhow::Result<Latency> {
    let gap = Duration::from_secs_f64(CONNECTIONS as f64 / rate);
    let start = Instant::now();
    let length = Duration::from_secs(seconds);
    let clients: Vec<_> =
        (0..CONNECTIONS).map(|_| std::thread::spawn(move || client(port, gap, length))).collect();
    let mut all = Vec::new();
    for client in clients {
        let latencies = client.join().map_err(|_| anyhow::anyhow!("a client ended badly"))??;
        all.extend(latencies);
    }
    let rate = all.len() as f64 / start.elapsed().as_secs_f64();
    all.sort_unstable();
    let at = |part: f64| {
        let place = ((all.len() as f64 * part) as usize).min(all.len().saturating_sub(1));
        all.get(place).map_or(0.0, |nanos| *nanos as f64 / 1e3)
    };
    Ok(Latency { p50: at(0.5), p99: at(0.99), rate })
}

fn client(port: u16, gap: Duration, length: Duration) -> anyhow::Result<Vec<u64>> {
    let mut stream = connect(port)?;
    let mut buffer = [0; 4096];
    let mut latencies = Vec::new();
    let start = Instant::now();
    let mut due = Duration::ZERO;
    while due < length {
        let now = start.elapsed();
        if due > now {
            std::thread::sleep(due - now);
        }
        stream.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        let mut got = 0;
        while !buffer.get(..got).unwrap_or_default().ends_with(b"hello\n") {
            let n = stream.read(buffer.get_mut(got..).unwrap_or_default())?;
            anyhow::ensure!(n > 0, "nginx closed the connection");
            got += n;
        }
        let late = start.elapsed().saturating_sub(due);
        latencies.push(u64::try_from(late.as_nanos())?);
        due += gap;
    }
    Ok(latencies)
}
