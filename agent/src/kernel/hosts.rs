//! Traces carried between hosts: attaches the program that writes and reads the TCP option, tries it on a
//! connection of its own, and takes it back where the path is bad.
//!
//! The program stands on a control group of the unified hierarchy, also where that is only a part of a hybrid
//! one. It writes nothing until a connection over loopback has gone through with the option. From then on
//! segments that had to be sent again are watched: where most of those with the option are, it is written no more.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_common::carry::TRIED;
use agent_common::counter::Counter;
use aya::Ebpf;
use aya::maps::{Array, MapData, PerCpuArray};
use aya::programs::{CgroupAttachMode, SockOps};

use super::load::{Tier, chain};
use super::probe::{Report, State};

/// The program, which is its name as a probe as well.
const PROGRAM: &str = "carry";
/// What it stands on.
const HOOK: &str = "sock_ops";
/// What is lost without it.
const LOSS: &str = "links between spans of different hosts";
/// Says whether options are written.
const SWITCH: &str = "CARRY";
/// How long the connection that tries it may take for each step.
const PATIENCE: Duration = Duration::from_secs(1);
/// Segments with the option that are sent before the path is judged.
const ENOUGH: u64 = 64;

/// Where options are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carry {
    /// The directory that `/sys` is in.
    pub root: PathBuf,
    /// The control group below the root of the unified hierarchy; empty for that root.
    pub group: PathBuf,
}

/// The switch of the program while it stands.
pub(super) struct Hosts {
    switch: Array<MapData, u64>,
    /// Written and sent again, when that was last judged.
    judged: (u64, u64),
    on: bool,
}

/// Attaches the program if it is wanted, and tries it.
pub(super) fn attach(
    bpf: &mut Ebpf,
    wanted: Option<&Carry>,
    tier: Tier,
    reports: &mut Vec<Report>,
) -> Option<Hosts> {
    let report = |state| Report { name: PROGRAM, hook: HOOK, loss: LOSS, state };
    let disabled = |why: &str| report(State::Disabled { why: why.to_owned() });
    let Some(wanted) = wanted else {
        reports.push(disabled("`traces.hosts` is off"));
        return None;
    };
    if tier == Tier::Calls {
        reports.push(disabled(
            "capture tier 3 does not know a socket's state where segments are sent",
        ));
        return None;
    }
    match stand(bpf, wanted) {
        Ok(hosts) => {
            reports.push(report(State::Active));
            Some(hosts)
        }
        Err(why) => {
            reports.push(report(State::Failed { why }));
            None
        }
    }
}

fn stand(bpf: &mut Ebpf, wanted: &Carry) -> Result<Hosts, String> {
    let group = find(&wanted.root)
        .ok_or("there is no unified hierarchy of control groups on this host")?
        .join(&wanted.group);
    let directory = File::open(&group).map_err(|e| format!("{}: {e}", group.display()))?;
    let program: &mut SockOps =
        bpf.program_mut(PROGRAM).ok_or("not in the kernel object")?.try_into().map_err(chain)?;
    program.load().map_err(chain)?;
    // A link stands beside others whatever is said here, and takes no flag that says so.
    let link = program.attach(directory, CgroupAttachMode::Single).map_err(chain)?;
    let tried = try_out(bpf, wanted);
    if tried.is_err()
        && let Some(Ok(program)) = bpf.program_mut(PROGRAM).map(<&mut SockOps>::try_from)
    {
        program.detach(link).map_err(chain)?;
    }
    tried
}

fn try_out(bpf: &mut Ebpf, wanted: &Carry) -> Result<Hosts, String> {
    let mut switch: Array<MapData, u64> =
        bpf.take_map(SWITCH).ok_or("no switch in the kernel object")?.try_into().map_err(chain)?;
    // The agent itself is in the root of the hierarchy, whatever its group is, and in no other for sure.
    if wanted.group.as_os_str().is_empty() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
        let at = listener.local_addr().map_err(|e| e.to_string())?;
        switch.set(0, TRIED | u64::from(at.port()), 0).map_err(chain)?;
        let before = counts(bpf)?;
        exchange(&listener, at).map_err(|e| {
            format!("a connection that was tried with the TCP option did not go through: {e}")
        })?;
        let after = counts(bpf)?;
        if after.0 == before.0 || after.1 == before.1 {
            return Err(
                "a connection that was tried went through without the TCP option".to_owned()
            );
        }
    }
    switch.set(0, 1, 0).map_err(chain)?;
    Ok(Hosts { switch, judged: (0, 0), on: true })
}

/// Written and read so far.
fn counts(bpf: &Ebpf) -> Result<(u64, u64), String> {
    let map = bpf.map("COUNTS").ok_or("no counters in the kernel object")?;
    let map: PerCpuArray<&MapData, u64> = map.try_into().map_err(chain)?;
    let sum = |counter: Counter| {
        map.get(&(counter as u32), 0).map(|values| values.iter().sum::<u64>()).map_err(chain)
    };
    Ok((sum(Counter::CarryWritten)?, sum(Counter::CarryRead)?))
}

/// A few bytes there and back.
fn exchange(listener: &TcpListener, at: SocketAddr) -> std::io::Result<()> {
    let timed = |stream: TcpStream| -> std::io::Result<TcpStream> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    let mut client = timed(TcpStream::connect_timeout(&at, PATIENCE)?)?;
    let (server, _) = listener.accept()?;
    let mut server = timed(server)?;
    let (asked, answered) = (*b"over there", *b"over here!");
    let mut read = [0; 10];
    client.write_all(&asked)?;
    server.read_exact(&mut read)?;
    let there = read == asked;
    server.write_all(&answered)?;
    client.read_exact(&mut read)?;
    if there && read == answered {
        return Ok(());
    }
    Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "other bytes came out of it"))
}

/// The root of the unified hierarchy of the host below `root`.
fn find(root: &Path) -> Option<PathBuf> {
    let places = ["sys/fs/cgroup/unified", "sys/fs/cgroup"];
    // Only that one has it at its root.
    let is = |place: &PathBuf| place.join("cgroup.controllers").exists();
    places.iter().map(|place| root.join(place)).find(is)
}

impl Hosts {
    /// Looks at how many of the segments with the option had to be sent again. Gives why it is written no more,
    /// once.
    pub(super) fn judge(&mut self, counts: &[u64]) -> Option<String> {
        let of = |counter: Counter| counts.get(counter as usize).copied().unwrap_or_default();
        let now = (of(Counter::CarryWritten), of(Counter::CarryAgain));
        let written = now.0.saturating_sub(self.judged.0);
        let again = now.1.saturating_sub(self.judged.1);
        if !self.on || written < ENOUGH {
            return None;
        }
        self.judged = now;
        if !is_bad(written, again) {
            return None;
        }
        self.on = false;
        let _ = self.switch.set(0, 0, 0);
        Some(format!(
            "{again} of {written} segments with the TCP option had to be sent again: the path drops them"
        ))
    }
}

/// More than half of them.
fn is_bad(written: u64, again: u64) -> bool {
    again.saturating_mul(2) > written
}

/// The probe's report when it is written no more.
pub(super) fn stopped(reports: &mut [Report], why: String) {
    if let Some(report) = reports.iter_mut().find(|report| report.name == PROGRAM) {
        report.state = State::Failed { why };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unified_hierarchy_is_found_alone_and_beside_others() -> std::io::Result<()> {
        let check = |holds: Option<&str>, expect: Option<&str>| -> std::io::Result<()> {
            let root = tempfile::tempdir()?;
            if let Some(at) = holds {
                std::fs::create_dir_all(root.path().join(at))?;
                std::fs::write(root.path().join(at).join("cgroup.controllers"), "")?;
            }
            assert_eq!(find(root.path()), expect.map(|at| root.path().join(at)));
            Ok(())
        };
        check(None, None)?;
        check(Some("sys/fs/cgroup"), Some("sys/fs/cgroup"))?;
        check(Some("sys/fs/cgroup/unified"), Some("sys/fs/cgroup/unified"))
    }

    #[test]
    fn a_path_is_bad_that_drops_most() {
        let check = |written, again, expect| assert_eq!(is_bad(written, again), expect);
        check(64, 0, false);
        check(64, 32, false);
        check(64, 33, true);
        check(64, 64, true);
    }
}
