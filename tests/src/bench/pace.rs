//! An open-loop client: requests go out on a schedule, and latency counts from when they should have.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::program::connect;

/// The processor it runs on; the server has the other.
const PROCESSOR: usize = 1;
/// Connections: as many requests may be under way.
const CONNECTIONS: usize = 16;

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

/// `rate` requests a second for `seconds`. It waits by looking at the clock and at its connections: the
/// error of a sleep is as large as what is measured.
pub(super) fn run(port: u16, rate: f64, seconds: u64) -> anyhow::Result<Latency> {
    let length = Duration::from_secs(seconds);
    let client = std::thread::spawn(move || {
        stay_on(PROCESSOR)?;
        client(port, Duration::from_secs_f64(1.0 / rate), length)
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

/// A connection with its request under way.
struct Asked {
    stream: TcpStream,
    due: Duration,
    got: usize,
}

fn client(port: u16, gap: Duration, length: Duration) -> anyhow::Result<Vec<u64>> {
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = connect(port)?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        idle.push(stream);
    }
    let mut under_way: VecDeque<Asked> = VecDeque::new();
    let mut buffer = [0; 4096];
    let mut latencies = Vec::new();
    let start = Instant::now();
    let mut due = Duration::ZERO;
    while due < length || !under_way.is_empty() {
        let is_due = due < length && start.elapsed() >= due;
        if let Some(mut stream) = idle.pop_if(|_| is_due) {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")?;
            under_way.push_back(Asked { stream, due, got: 0 });
            due += gap;
        }
        let Some(mut asked) = under_way.pop_front() else { continue };
        let room = buffer.get_mut(asked.got..).context("the answer is too long")?;
        match asked.stream.read(room) {
            Ok(0) => anyhow::bail!("nginx closed the connection"),
            Ok(n) if buffer.get(..asked.got + n).is_some_and(|all| all.ends_with(b"hello\n")) => {
                let late = start.elapsed().saturating_sub(asked.due);
                latencies.push(u64::try_from(late.as_nanos())?);
                idle.push(asked.stream);
            }
            // The rest of an answer comes at once or not at all: its beginning is not looked at again.
            Ok(n) => under_way.push_front(Asked { got: asked.got + n, ..asked }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => under_way.push_back(asked),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(latencies)
}
