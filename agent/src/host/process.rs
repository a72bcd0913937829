//! Facts of a process, from `/proc/PID`.
//!
//! A process may vanish, be reused or be forbidden at any read; what it says of itself may be
//! anything. Of its environment only `OTEL_*` is kept.

use std::path::Path;

use super::binary::Toolchain;
use super::cgroup::{self, Cgroup};
use super::clock::Ticks;
use super::root::{HostRoot, Unread};
use super::text;
use crate::event::Pid;

/// Bytes of a command line that are read: a class path stands before the main class.
const ARGS: usize = 64 * 1024;
/// Bytes of an environment that are searched.
const ENV: usize = 256 * 1024;
/// Bytes of one argument that are kept.
const ARGUMENT: usize = 512;
/// Bytes of a command line that are kept, and of `OTEL_*` variables.
const KEPT: usize = 4096;
/// Bytes of `mountinfo` that are searched.
const MOUNTS: usize = 256 * 1024;

/// What is known of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: Pid,
    /// Its parent's.
    pub parent: Pid,
    /// When it was made: with the id, what makes it unique.
    pub started: Ticks,
    /// `comm`, at most 15 bytes of its choice.
    pub comm: String,
    /// Its executable's path, in its own mount namespace.
    pub exe: Option<String>,
    /// Its working directory.
    pub cwd: Option<String>,
    /// Its command line, NUL-separated; long arguments are cut.
    pub args: Vec<u8>,
    /// Its `OTEL_*` variables, NUL-separated.
    pub env: Vec<u8>,
    /// Its control group.
    pub cgroup: Cgroup,
    /// Who made its executable.
    pub toolchain: Toolchain,
}

/// Who answers what a process is: `/proc`, or a recording of it.
pub trait Facts {
    /// The facts of a process that lives.
    fn process(&mut self, pid: Pid) -> Result<Process, Unread>;

    /// Its control group alone.
    fn cgroup(&mut self, pid: Pid) -> Result<Cgroup, Unread> {
        self.process(pid).map(|process| process.cgroup)
    }

    /// The processes there are, at most `limit`.
    fn pids(&mut self, limit: usize) -> Vec<Pid>;

    /// Whether the process, made at `started` if that is known, still lives. A doubt is a yes.
    fn is_alive(&mut self, _pid: Pid, _started: Option<Ticks>) -> bool {
        true
    }
}

/// What became of reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Processes read.
    pub read: u64,
    /// Processes that were gone, or went while they were read.
    pub vanished: u64,
    /// Entries of a process that we may not read.
    pub denied: u64,
    /// Entries that make no sense.
    pub malformed: u64,
    /// Entries that were longer than what is read of them.
    pub cut: u64,
    /// Any other error.
    pub failed: u64,
}

/// [`Facts`] from a host's `/proc`.
#[derive(Clone, Debug)]
pub struct Processes {
    root: HostRoot,
    counts: Counts,
}

impl Processes {
    /// The processes of the host at `root`.
    pub fn new(root: HostRoot) -> Self {
        Self { root, counts: Counts::default() }
    }

    /// What became of reads so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn read(&mut self, pid: Pid, name: &str, limit: usize) -> Result<Vec<u8>, Unread> {
        match self.root.read(format!("/proc/{}/{name}", pid.0), limit) {
            Ok(content) => {
                self.counts.cut += u64::from(content.cut);
                Ok(content.bytes)
            }
            Err(why) => Err(self.missed(why)),
        }
    }

    fn link(&mut self, pid: Pid, name: &str) -> Option<String> {
        match self.root.link(format!("/proc/{}/{name}", pid.0)) {
            Ok(target) => Some(clean(&target)),
            Err(why) => {
                self.missed(why);
                None
            }
        }
    }

    /// The vanished are counted once a process, by [`Facts::process`].
    fn missed(&mut self, why: Unread) -> Unread {
        match why {
            Unread::Vanished => {}
            Unread::Denied => self.counts.denied += 1,
            Unread::Malformed => self.counts.malformed += 1,
            Unread::Failed => self.counts.failed += 1,
        }
        why
    }

    fn stat(&mut self, pid: Pid) -> Result<Stat, Unread> {
        let content = self.read(pid, "stat", 4096)?;
        Stat::parse(&content).ok_or(Unread::Malformed).map_err(|why| self.missed(why))
    }

    fn facts(&mut self, pid: Pid) -> Result<Process, Unread> {
        let Stat { comm, parent, started } = self.stat(pid)?;
        // A kernel thread has neither, and a zombie has them no more: not an error.
        let args = self.read(pid, "cmdline", ARGS).unwrap_or_default();
        let env = self.read(pid, "environ", ENV).unwrap_or_default();
        let exe = self.link(pid, "exe");
        let cwd = self.link(pid, "cwd");
        let cgroup = self.group(pid).unwrap_or_default();
        let toolchain = match exe {
            Some(_) => Toolchain::of_process(&self.root, pid).unwrap_or_default(),
            None => Toolchain::Unknown,
        };
        // The id may have been given to another process in between.
        if self.stat(pid)?.started != started {
            return Err(Unread::Vanished);
        }
        let (args, env) = (compact(&args), otel_only(&env));
        Ok(Process { pid, parent, started, comm, exe, cwd, args, env, cgroup, toolchain })
    }

    fn group(&mut self, pid: Pid) -> Result<Cgroup, Unread> {
        let mut group = Cgroup::parse(&self.read(pid, "cgroup", 64 * 1024)?);
        if group.is_namespaced()
            && let Ok(mounts) = self.read(pid, "mountinfo", MOUNTS)
        {
            group.container = cgroup::container_of_mounts(&mounts);
            if group.container.is_some() {
                group.unit = None;
            }
        }
        Ok(group)
    }

    fn count<T>(&mut self, result: Result<T, Unread>) -> Result<T, Unread> {
        match &result {
            Ok(_) => self.counts.read += 1,
            Err(Unread::Vanished) => self.counts.vanished += 1,
            Err(_) => {}
        }
        result
    }
}

impl Facts for Processes {
    fn process(&mut self, pid: Pid) -> Result<Process, Unread> {
        let facts = self.facts(pid);
        self.count(facts)
    }

    fn cgroup(&mut self, pid: Pid) -> Result<Cgroup, Unread> {
        let group = self.group(pid);
        self.count(group)
    }

    fn pids(&mut self, limit: usize) -> Vec<Pid> {
        let names = self.root.names("/proc", limit.saturating_add(1024)).unwrap_or_default();
        let mut pids: Vec<Pid> = names.iter().filter_map(|n| n.parse().ok().map(Pid)).collect();
        pids.sort_unstable();
        pids.truncate(limit);
        pids
    }

    fn is_alive(&mut self, pid: Pid, started: Option<Ticks>) -> bool {
        match self.stat(pid) {
            Ok(stat) => started.is_none_or(|started| started == stat.started),
            Err(why) => why != Unread::Vanished,
        }
    }
}

fn clean(target: &Path) -> String {
    let text = text::limited(target.as_os_str().as_encoded_bytes(), 4096);
    // The kernel's mark for a file that was replaced, as an update does.
    text.strip_suffix(" (deleted)").map(str::to_owned).unwrap_or(text)
}

struct Stat {
    comm: String,
    parent: Pid,
    started: Ticks,
}

impl Stat {
    /// `pid (comm) state ppid ... starttime ...`; `comm` may hold blanks, parentheses and newlines.
    fn parse(content: &[u8]) -> Option<Self> {
        let open = content.iter().position(|b| *b == b'(')?;
        let close = content.iter().rposition(|b| *b == b')')?;
        let comm = text::text(content.get(open + 1..close)?);
        let rest = std::str::from_utf8(content.get(close + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        Some(Self { comm, parent: Pid(parent), started: Ticks(started) })
    }
}

/// The command line with long arguments cut, and not too long as a whole.
pub fn compact(args: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in text::pieces(args) {
        let piece = piece.get(..ARGUMENT).unwrap_or(piece);
        if out.len() + piece.len() >= KEPT {
            break;
        }
        out.extend_from_slice(piece);
        out.push(0);
    }
    if args.is_empty() { Vec::new() } else { out }
}

/// The `OTEL_*` variables of an environment, and nothing else of it: no credentials of an exporter,
/// and no last variable that was cut short.
pub fn otel_only(env: &[u8]) -> Vec<u8> {
    let whole = env.iter().rposition(|b| *b == 0).and_then(|end| env.get(..end)).unwrap_or(b"");
    let mut out = Vec::new();
    for piece in text::pieces(whole).filter(|p| p.starts_with(b"OTEL_")) {
        let key = piece.split(|b| *b == b'=').next().unwrap_or_default();
        if key.ends_with(b"_HEADERS") || key.ends_with(b"_KEY") || key.ends_with(b"_CERTIFICATE") {
            continue;
        }
        if out.len() + piece.len() >= KEPT {
            continue;
        }
        out.extend_from_slice(piece);
        out.push(0);
    }
    out
}

#[cfg(test)]
mod tests;
