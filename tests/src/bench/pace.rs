//! An open-loop client: requests go out on a schedule, and latency counts from when they should have.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::program::connect;

/// The processor it runs on; the server has the other.
const PROCESSOR: usize = 1;
/// Requests a second: well below what one connection can take.
pub(super) const RATE: f64 = 20_000.0;

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
    /// Of each figure the median.
    pub(super) fn median(looks: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| {
            let mut all: Vec<f64> = looks.iter().map(figure).collect();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or_default()
        };
        Self { p50: of(|look| look.p50), p99: of(|look| look.p99), rate: of(|look| look.rate) }
    }
}

/// [`RATE`] requests a second for `seconds`, on one connection. It waits by looking at the clock: the
/// error of a sleep is as large as what is measured.
pub(super) fn run(port: u16, seconds: u64) -> anyhow::Result<Latency> {
    let length = Duration::from_secs(seconds);
    let client = std::thread::spawn(move || {
        stay_on(PROCESSOR)?;
        client(port, Duration::from_secs_f64(1.0 / RATE), length)
    });
    let start = Instant::now();
    let mut all = client.join().map_err(|_| anyhow::anyhow!("the client ended badly"))??;
    let rate = all.len() as f64 / start.elapsed().as_secs_f64();
    all.sort_unstable();
    let at = |part: f64| {
        let place = ((all.len() as f64 * part) as usize).min(all.len().saturating_sub(1));
        all.get(place).map_or(0.0, |nanos| *nanos as f64 / 1e3)
    };
    Ok(Latency { p50: at(0.5), p99: at(0.99), rate })
}

fn stay_on(processor: usize) -> anyhow::Result<()> {
    let last = std::thread::available_parallelism().map_or(0, |count| count.get() - 1);
    let mut set = rustix::thread::CpuSet::new();
    set.set(processor.min(last));
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

fn client(port: u16, gap: Duration, length: Duration) -> anyhow::Result<Vec<u64>> {
    let mut stream = connect(port)?;
    let mut buffer = [0; 4096];
    let mut latencies = Vec::new();
    let start = Instant::now();
    let mut due = Duration::ZERO;
    while due < length {
        while start.elapsed() < due {
            std::hint::spin_loop();
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
