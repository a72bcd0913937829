//! PID 1 of a guest: mounts what the agent reads, starts agent, server and client, says what each counted, and switches off.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};

use super::initramfs;
use super::limited;
use super::load;
use super::report::{Kernel, Outcome, PREFIX, Report, Tally, Task};
use super::system;
use super::watched::{self, Watcher};

/// The arguments with which this program starts itself as the two ends of the load.
pub const ROLE_SERVER: &str = "guest-server";
/// See [`ROLE_SERVER`].
pub const ROLE_CLIENT: &str = "guest-client";

const MOUNTS: [(&str, &str); 7] = [
    ("devtmpfs", "/dev"),
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("tracefs", "/sys/kernel/tracing"),
    ("bpf", "/sys/fs/bpf"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("tmpfs", "/tmp"),
];

/// What the agent's tiers stand on, by where it is seen.
const TRACEPOINTS: [&str; 7] = [
    "sock/sock_recv_length",
    "sock/sock_send_length",
    "sock/inet_sock_set_state",
    "tcp/tcp_destroy_sock",
    "sched/sched_process_exec",
    "sched/sched_process_exit",
    "syscalls/sys_exit_read",
];
const SYMBOLS: [&str; 6] = [
    "tcp_sendmsg",
    "tcp_recvmsg",
    "unix_stream_sendmsg",
    "unix_stream_recvmsg",
    "tcp_splice_read",
    "sock_def_readable",
];

/// Does all of it. Comes back only when the machine cannot be switched off.
pub fn run() {
    let mut errors = Vec::new();
    for (kind, target) in MOUNTS {
        if let Err(error) = system::mount(kind, target) {
            errors.push(format!("mounting {kind}: {error}"));
        }
    }
    if let Err(error) = system::bring_loopback_up() {
        errors.push(format!("bringing lo up: {error}"));
    }
    tell(&Report::Booted(kernel()));
    let mut outcome = Outcome { errors, ..Outcome::default() };
    if let Err(error) = smoke(&mut outcome) {
        outcome.errors.push(format!("{error:#}"));
    }
    // To the console, for people: the verifier's words among them.
    let _ =
        writeln!(std::io::stderr(), "--- log of the agent\n{}--- end of the log", watched::log());
    tell(&Report::Done(Box::new(outcome)));
    let refused = system::power_off();
    let _ = writeln!(std::io::stderr(), "switching off: {refused:?}");
}

/// The file is closed after each report, which waits until the port has sent it.
fn tell(report: &Report) {
    let Ok(line) = serde_json::to_string(report) else { return };
    match OpenOptions::new().write(true).open("/dev/ttyS1") {
        Ok(mut port) => {
            let _ = writeln!(port, "{PREFIX}{line}");
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "no second serial port: {error}\n{line}");
        }
    }
}

fn kernel() -> Kernel {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let release = text("/proc/sys/kernel/osrelease").trim().to_owned();
    let uptime = text("/proc/uptime")
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(0.0);
    let btf_bytes = fs::metadata("/sys/kernel/btf/vmlinux").map_or(0, |meta| meta.len());
    let symbols = text("/proc/kallsyms");
    let mut has: BTreeMap<_, _> = SYMBOLS.iter().map(|name| ((*name).to_owned(), false)).collect();
    for name in symbols.lines().filter_map(|line| line.split_whitespace().nth(2)) {
        if let Some(found) = has.get_mut(name) {
            *found = true;
        }
    }
    for name in TRACEPOINTS {
        has.insert(
            name.to_owned(),
            fs::exists(format!("/sys/kernel/tracing/events/{name}")).unwrap_or(false),
        );
    }
    Kernel { release, uptime, btf_bytes, has }
}

fn smoke(outcome: &mut Outcome) -> Result<()> {
    let task: Task =
        serde_json::from_slice(&fs::read(initramfs::TASK)?).context("reading the task")?;
    let watcher = task.agent.as_deref().map(Watcher::start).transpose()?;
    let mut server = Role::start(ROLE_SERVER, load::SERVER)?;
    server.line().context("waiting for the server")?;
    let mut client = Role::start(ROLE_CLIENT, load::CLIENT)?;
    match client.line().and_then(|line| Ok(serde_json::from_str::<Tally>(&line)?)) {
        Ok(tally) => outcome.client = tally,
        Err(error) => outcome.errors.push(format!("the client: {error:#}")),
    }
    if let Some(watcher) = watcher {
        if let Err(error) = limited::check() {
            outcome.errors.push(format!("{error:#}"));
        }
        outcome.agent = Some(watcher.finish()?);
    }
    client.release()?;
    server.let_go();
    outcome.server = serde_json::from_str(&server.line()?).context("reading the server's log")?;
    server.release()
}

/// This program, as one end of the load.
struct Role {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Role {
    fn start(role: &str, name: &str) -> Result<Self> {
        let mut child = Command::new("/init")
            .arg(role)
            .env("OTEL_SERVICE_NAME", name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let lines = BufReader::new(child.stdout.take().context("its output was not taken")?);
        Ok(Self { child, lines })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let count = self.lines.read_line(&mut line)?;
        anyhow::ensure!(count > 0, "it ended without a word");
        Ok(line)
    }

    /// Ends its standard input.
    fn let_go(&mut self) {
        drop(self.child.stdin.take());
    }

    fn release(mut self) -> Result<()> {
        self.let_go();
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "one end of the load: {status}");
        Ok(())
    }
}
