//! A service that outgrows its control group: who was killed, how often, and how long it was held up.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use steth_tests::agent::Agent;
use steth_tests::program::command;

/// A control group of the memory controller with a limit, removed when dropped.
struct Group(PathBuf, &'static str);

const LIMIT: u64 = 64 << 20;

impl Group {
    fn new(name: &str) -> anyhow::Result<Self> {
        let roots = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"),
            ("/sys/fs/cgroup", "memory.max", "memory.events"),
        ];
        for (root, limit, events) in roots {
            let root = Path::new(root);
            let _ = std::fs::write(root.join("cgroup.subtree_control"), "+memory");
            let at = root.join(format!("{name}-{}", std::process::id()));
            if std::fs::create_dir(&at).is_err() {
                continue;
            }
            let group = Self(at, events);
            if group.0.join(limit).exists() {
                std::fs::write(group.0.join(limit), LIMIT.to_string())?;
                return Ok(group);
            }
        }
        bail!("no memory controller is mounted")
    }

    fn name(&self) -> anyhow::Result<&str> {
        self.0.file_name().and_then(|name| name.to_str()).context("no name")
    }

    /// How often the kernel says it has killed in this group.
    fn kills(&self) -> anyhow::Result<u64> {
        let said = std::fs::read_to_string(self.0.join(self.1))?;
        let row = said.lines().find_map(|line| line.strip_prefix("oom_kill "));
        Ok(row.context("the kernel does not count kills")?.trim().parse()?)
    }

    /// The same command, to be run inside.
    fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("sh");
        let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.0.display());
        inside.args(["-c", &enter, "sh"]).arg(command.get_program()).args(command.get_args());
        inside.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        inside
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn who_is_killed_for_want_of_memory_is_named() -> anyhow::Result<()> {
    let group = Group::new("steth-oom")?;
    let agent = Agent::start(&[])?;
    let mut greedy = command("stress-ng", "greedy");
    greedy.args(["--vm", "2", "--vm-bytes", "512M", "--vm-keep", "--oomable", "--timeout", "8"]);
    let status = group.inside(&greedy).status()?;
    println!("stress-ng: {status}");
    let witness = group.kills()?;
    assert!(witness > 0, "nothing was killed");
    let name = group.name()?;
    let labels =
        [("job", "greedy"), ("steth_cgroup_name", name), ("steth_oom_victim", "stress-ng-vm")];
    let metrics = agent.metrics_when(|m| m.sum("steth_oom_kills_total", &labels) >= witness)?;
    assert_eq!(metrics.sum("steth_oom_kills_total", &labels), witness);
    assert_eq!(metrics.sum("steth_oom_kills_total", &[("steth_cgroup_name", name)]), witness);
    // The group is at its limit before it is over it.
    let stalls = [("steth_reclaim_kind", "cgroup")];
    let count = metrics.sum("steth_reclaim_stall_duration_seconds_count", &stalls);
    println!("{witness} killed, {count} stalls");
    assert!(count > 0, "no stall was seen");
    Ok(())
}
