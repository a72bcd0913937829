//! The agent in the guest: starting it, asking its endpoint, reading its log, ending it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::exposition::{self, Series};
use super::load;
use super::report::{Agent, Tally};
use super::system;

/// Where it answers when nothing else is configured.
const PORT: u16 = 9464;
const LOG: &str = "/var/log/steth.log";
/// Verifying programs in emulation is slow.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// From the last request to its place in the counts.
const COUNT_LIMIT: Duration = Duration::from_secs(20);
const END_LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

/// An agent that runs.
#[derive(Debug)]
pub struct Watcher {
    child: Child,
    ready: Duration,
}

impl Watcher {
    /// Starts the agent and waits until its endpoint answers.
    pub fn start(command: &[String]) -> Result<Self> {
        let (program, arguments) = command.split_first().context("no program to start")?;
        let log = File::create(LOG).context("making the agent's log")?;
        let began = Instant::now();
        let mut child = Command::new(program)
            .args(arguments)
            .env("RUST_BACKTRACE", "1")
            .env("HOME", "/root")
            // Off unless it is asked for: what it needs is to load everywhere, and it complains where it does not.
            .env("STETH_TRACES_HOSTS", "on")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {program}"))?;
        while began.elapsed() < READY_LIMIT {
            if let Some(status) = child.try_wait()? {
                bail!("the agent ended by itself: {status}");
            }
            if page("/metrics").is_ok() {
                return Ok(Self { child, ready: began.elapsed() });
            }
            std::thread::sleep(PAUSE);
        }
        let _ = child.kill();
        let _ = child.wait();
        bail!("the agent's endpoint did not answer for {} s", READY_LIMIT.as_secs());
    }

    /// Waits until the agent has counted what was sent, or no longer; then asks it for everything and ends it.
    pub fn finish(mut self) -> Result<Agent> {
        let expected = load::expected();
        let began = Instant::now();
        let mut counted = None;
        while began.elapsed() < COUNT_LIMIT {
            let Ok(text) = page("/metrics") else {
                bail!("the agent's endpoint stopped to answer")
            };
            let series = exposition::parse(&text);
            let (server, client) = (of_server(&series), of_client(&series));
            // What is counted twice may come a little later: look once more.
            let settled = counted.is_some();
            let complete = server == expected && client == expected;
            counted = Some((server, client, lost(&series)));
            if complete && settled {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        let (server, client, lost) = counted.unwrap_or_default();
        let status = page("/status").context("asking for the status")?;
        let status = serde_json::from_str(&status).unwrap_or(serde_json::Value::String(status));
        let missed_runs = missed_runs(self.child.id());
        let ended = self.end()?;
        let ready = self.ready.as_secs_f64();
        let complaints = complaints(&log());
        Ok(Agent { ready, server, client, lost, missed_runs, status, complaints, ended })
    }

    fn end(&mut self) -> Result<String> {
        system::terminate(self.child.id()).context("asking the agent to end")?;
        let began = Instant::now();
        while began.elapsed() < END_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.to_string());
            }
            std::thread::sleep(PAUSE);
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(format!("killed, as it did not end in {} s", END_LIMIT.as_secs()))
    }
}

/// All that the agent wrote.
pub fn log() -> String {
    fs::read(LOG).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The lines of a log at WARN and ERROR, in the JSON and in the plain form, and panics.
pub fn complaints(log: &str) -> Vec<String> {
    log.lines().filter(|line| complains(line)).map(str::to_owned).collect()
}

fn complains(line: &str) -> bool {
    let is_bad =
        |level: &str| level.eq_ignore_ascii_case("warn") || level.eq_ignore_ascii_case("error");
    match serde_json::from_str::<serde_json::Value>(line) {
        Ok(fields) => fields.get("level").and_then(serde_json::Value::as_str).is_some_and(is_bad),
        // The level stands among the first words, after the time.
        Err(_) => line.contains("panicked") || line.split_whitespace().take(3).any(is_bad),
    }
}

fn of_server(series: &[Series]) -> Tally {
    exposition::tally(series, "http_server_request_duration_seconds_count", load::SERVER)
}

fn of_client(series: &[Series]) -> Tally {
    exposition::tally(series, "http_client_request_duration_seconds_count", load::CLIENT)
}

/// Every counter of losses that is not 0, but for the runs that the kernel left out: those of other sockets
/// and calls are among them, and what is missing shows in the counts.
fn lost(series: &[Series]) -> BTreeMap<String, f64> {
    let is_loss = |name: &str| name.contains("lost") || name.contains("dropped");
    series
        .iter()
        .filter(|series| is_loss(&series.name) && series.value > 0.0)
        .filter(|series| !series.labels.values().any(|value| value == "program_busy"))
        .map(|series| {
            let labels: Vec<_> =
                series.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            (format!("{}{{{}}}", series.name, labels.join(",")), series.value)
        })
        .collect()
}

/// What the kernel says of the programs that a process holds open (since 5.12).
fn missed_runs(pid: u32) -> BTreeMap<String, u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return BTreeMap::new() };
    entries
        .flatten()
        .filter_map(|entry| missed_runs_in(&fs::read_to_string(entry.path()).ok()?))
        .collect()
}

/// Tag and number of left-out runs, when `fdinfo` is a program's and there are any.
fn missed_runs_in(fdinfo: &str) -> Option<(String, u64)> {
    let field = |name: &str| {
        let mut lines = fdinfo.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim())
    };
    let missed = field("recursion_misses")?.parse().ok()?;
    let kind = format!("{} {}", field("prog_tag")?, field("prog_id")?);
    (missed > 0).then_some((kind, missed))
}

/// The body of a page of the agent.
pub fn page(path: &str) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // One write: `write!` would make one for each piece.
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if status != "200" {
        bail!("{path} answered {status}");
    }
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_runs_that_the_kernel_left_out() {
        let check = |fdinfo: &str, expect: Option<(&str, u64)>| {
            let expect = expect.map(|(tag, missed)| (tag.to_owned(), missed));
            assert_eq!(missed_runs_in(fdinfo), expect, "{fdinfo}");
        };
        check("pos:\t0\nflags:\t02\n", None);
        check("prog_type:\t26\nprog_tag:\tab\nprog_id:\t7\nrecursion_misses:\t0\n", None);
        check("prog_tag:\tab\nprog_id:\t7\nrecursion_misses:\t3\n", Some(("ab 7", 3)));
    }

    #[test]
    fn finds_complaints_in_both_forms_of_a_log() {
        let check = |line: &str, expect: bool| {
            assert_eq!(complaints(line).len(), usize::from(expect), "{line}");
        };
        check("{\"level\":\"INFO\",\"message\":\"no ERROR\"}", false);
        check("{\"level\":\"WARN\",\"message\":\"x\"}", true);
        check("2026-01-01T00:00:00Z ERROR steth: x", true);
        check("2026-01-01T00:00:00Z  INFO steth: an ERROR of others", false);
        check("thread 'main' panicked at x.rs:1", true);
        check("fine", false);
    }
}
