//! What the agent can do with which capabilities, as a user that is nobody.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::Value;
use steth_tests::agent::{Agent, binary};
use steth_tests::invocation::{Said, run};
use steth_tests::metrics::Metrics;
use steth_tests::program::Scratch;
use steth_tests::traffic::Traffic;

/// What the kernel asks for before anything is counted.
const COUNTING: &str = "bpf,perfmon";
/// What `deploy/` grants.
const ALL: &str = "bpf,perfmon,sys_ptrace,dac_read_search";

/// The agent where nobody may run it.
fn public(scratch: &Scratch) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o755))?;
    let copy = scratch.path().join("steth");
    std::fs::copy(binary(), &copy).context("the agent cannot be copied")?;
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755))?;
    Ok(copy)
}

/// The words that make what comes after them run as nobody with these capabilities and no way to more.
fn as_nobody(capabilities: &str) -> Vec<String> {
    let added = capabilities.split(',').filter(|name| !name.is_empty());
    let set = added.fold("-all".to_owned(), |set, name| format!("{set},+{name}"));
    let mut words =
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"].map(str::to_owned).to_vec();
    words.push("--no-new-privs".to_owned());
    for kind in ["inh-caps", "ambient-caps", "bounding-set"] {
        words.push(format!("--{kind}={set}"));
    }
    words
}

fn steth(agent: &Path, capabilities: &str, words: &[&str]) -> anyhow::Result<Said> {
    let before = as_nobody(capabilities);
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    run(&before, agent, words, &[])
}

#[test]
fn what_is_missing_is_named_with_how_to_grant_it() -> anyhow::Result<()> {
    let scratch = Scratch::new("privileges")?;
    let agent = public(&scratch)?;
    let cases: [(&str, i32, &[&str], &[&str]); 6] = [
        ("", 2, &["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"], &[]),
        ("perfmon,sys_ptrace", 2, &["CAP_BPF", "CAP_DAC_READ_SEARCH"], &["CAP_PERFMON"]),
        ("bpf,sys_ptrace", 2, &["CAP_PERFMON"], &["CAP_BPF"]),
        (COUNTING, 1, &["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"], &["CAP_BPF", "CAP_PERFMON"]),
        ("bpf,perfmon,sys_ptrace", 1, &["CAP_DAC_READ_SEARCH"], &["CAP_SYS_PTRACE"]),
        (ALL, 0, &[], &["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]),
    ];
    for (capabilities, code, there, absent) in cases {
        let said = steth(&agent, capabilities, &["check"])?;
        assert_eq!(said.code, Some(code), "{capabilities}: {said:?}");
        let missed = |name: &str| said.out.contains(&format!("  {name:<20} without it"));
        for name in there {
            assert!(missed(name), "{capabilities}: no {name} in {}", said.out);
        }
        for name in absent {
            assert!(!missed(name), "{capabilities}: {name} in {}", said.out);
        }
        let whole = said.out.contains("Everything works.");
        assert_eq!(whole, code == 0, "{capabilities}: {}", said.out);
        if code == 2 {
            let said = steth(&agent, capabilities, &["--no-live"])?;
            assert_eq!(said.code, Some(1), "{capabilities}: {said:?}");
            for word in
                ["nothing can be watched", "Operation not permitted", "sudo steth", "setcap"]
            {
                assert!(said.err.contains(word), "{capabilities}: no {word} in {}", said.err);
            }
        }
    }
    let statistics = steth(&agent, ALL, &["--stats", "--no-live", "--listen", "127.0.0.1:0"])?;
    assert_eq!(statistics.code, Some(1), "{statistics:?}");
    assert!(statistics.err.contains("CAP_SYS_ADMIN"), "{}", statistics.err);
    Ok(())
}

#[test]
fn two_capabilities_count_and_two_more_name_who_ran_before() -> anyhow::Result<()> {
    const COUNT: u32 = 40;
    let scratch = Scratch::new("nobody")?;
    let binary = public(&scratch)?;
    // The server is there before the agent, the client comes after it.
    let traffic = Traffic::start("nobody")?;
    for (capabilities, knows_the_server) in [(COUNTING, false), (ALL, true)] {
        let before = as_nobody(capabilities);
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        let mut agent = Agent::start_through(&before, &binary, &[], &[])?;
        traffic.ask(COUNT)?;
        let page = agent.metrics()?;
        let said = format!("{capabilities}: {}", agent.log());
        let count = u64::from(COUNT);
        assert_eq!(page.asked(traffic.client(), &[]), count, "{said}");
        let known = if knows_the_server { count } else { 0 };
        assert_eq!(page.served(traffic.server(), &[]), known, "{said}");
        let routes = [("http_route", "/items/{id}"), ("job", "nginx")];
        if !knows_the_server {
            // Its command line is all there is.
            let nameless = page.sum("http_server_request_duration_seconds_count", &routes);
            assert!(nameless >= count, "{nameless} of {count}; {said}");
        }
        let (status, _) = agent.terminate()?;
        assert!(status.success(), "{status}; {said}");
    }
    Ok(())
}

/// Name and hook of a row of `/status`, with its state and what is lost.
type Rows = BTreeMap<(String, String), (String, Option<String>)>;

fn rows(agent: &Agent) -> anyhow::Result<Rows> {
    let status = agent.status()?;
    let rows = status.pointer("/capture/probes").and_then(Value::as_array).context("no rows")?;
    let of = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
    let row = |row: &Value| {
        let name = (of(row, "name")?, of(row, "hook")?);
        Some((name, (of(row, "state")?, of(row, "lost"))))
    };
    rows.iter().map(row).collect::<Option<Rows>>().context("a row without its name or state")
}

#[test]
fn each_capability_is_missed_for_what_it_is_for_and_for_nothing_else() -> anyhow::Result<()> {
    let scratch = Scratch::new("missed")?;
    let binary = public(&scratch)?;
    let with = |capabilities: &str| -> anyhow::Result<Rows> {
        let before = as_nobody(capabilities);
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        let mut agent = Agent::start_through(&before, &binary, &[], &[])?;
        // A round of everything has been told.
        agent.metrics()?;
        let rows = rows(&agent)?;
        agent.terminate()?;
        Ok(rows)
    };
    let all = with(ALL)?;
    let state = |name: &str| all.get(&(name.to_owned(), "capability".to_owned())).cloned();
    for (name, expect) in [
        ("CAP_BPF", "disabled"),
        ("CAP_PERFMON", "disabled"),
        ("CAP_SYS_PTRACE", "active"),
        ("CAP_DAC_READ_SEARCH", "active"),
    ] {
        assert_eq!(state(name), Some((expect.to_owned(), None)), "{name}");
    }
    let cases = [
        (
            "bpf,perfmon,dac_read_search",
            "CAP_SYS_PTRACE",
            "names of other users' services that ran before: their executable and root directory",
        ),
        (
            "bpf,perfmon,sys_ptrace",
            "CAP_DAC_READ_SEARCH",
            "what other users' services that ran before say of themselves: their environment",
        ),
    ];
    for (capabilities, missing, lost) in cases {
        let some = with(capabilities)?;
        let others: Vec<_> = some.iter().filter(|(name, row)| all.get(name) != Some(row)).collect();
        let name = (missing.to_owned(), "capability".to_owned());
        let row = ("failed".to_owned(), Some(lost.to_owned()));
        assert_eq!(others, [(&name, &row)], "{capabilities}");
        assert_eq!(some.len(), all.len(), "{capabilities}");
    }
    Ok(())
}

/// The lines of `/proc/PID/task/*/status`, thread by thread.
fn threads(agent: &Agent) -> anyhow::Result<Vec<BTreeMap<String, String>>> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", agent.pid()))?;
    let status = |task: std::io::Result<std::fs::DirEntry>| -> anyhow::Result<_> {
        let text = std::fs::read_to_string(task?.path().join("status"))?;
        let lines = text.lines().filter_map(|line| line.split_once(":\t"));
        Ok(lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    };
    tasks.map(status).collect()
}

#[test]
fn what_was_given_up_is_gone_from_every_thread_and_nothing_is_missed() -> anyhow::Result<()> {
    const COUNT: u32 = 40;
    const BITS: [(&str, u32); 4] =
        [("CAP_BPF", 39), ("CAP_PERFMON", 38), ("CAP_SYS_PTRACE", 19), ("CAP_DAC_READ_SEARCH", 2)];
    let mut agent = Agent::start(&[])?;
    let rows = rows(&agent)?;
    let active = |name: &str, hook: &str| {
        rows.get(&(name.to_owned(), hook.to_owned())).is_some_and(|(state, _)| state == "active")
    };
    for (name, hook) in
        [("no_new_privs", "prctl"), ("capabilities", "capset"), ("seccomp", "seccomp")]
    {
        assert!(active(name, hook), "{name}: {rows:?}");
    }
    let kept = BITS.iter().filter(|(name, _)| active(name, "capability"));
    let kept: u64 = kept.map(|(_, bit)| 1 << bit).sum();
    let (kept, none) = (format!("{kept:016x}"), format!("{:016x}", 0));

    // Everything that comes after the agent gave up what it did.
    let traffic = Traffic::start("later")?;
    traffic.ask(COUNT)?;
    let used = |page: &Metrics| {
        page.sum("process_memory_usage_bytes", &[("job", traffic.server())]) > 0
            && page.sum("process_unix_file_descriptor_count", &[("job", traffic.server())]) > 0
    };
    let page = agent.metrics_when(used)?;
    assert!(used(&page), "{}", agent.log());
    assert_eq!(page.asked(traffic.client(), &[]), u64::from(COUNT), "{}", agent.log());
    assert_eq!(page.served(traffic.server(), &[]), u64::from(COUNT), "{}", agent.log());

    let threads = threads(&agent)?;
    assert!(threads.len() >= 4, "{threads:?}");
    for thread in &threads {
        let expect = [
            ("CapInh", none.as_str()),
            ("CapPrm", &kept),
            ("CapEff", &kept),
            ("CapBnd", &kept),
            ("CapAmb", &none),
            ("NoNewPrivs", "1"),
            ("Seccomp", "2"),
        ];
        for (key, value) in expect {
            assert_eq!(thread.get(key).map(String::as_str), Some(value), "{key} of {thread:?}");
        }
    }
    let (status, _) = agent.terminate()?;
    assert!(status.success(), "{status}: {}", agent.log());
    Ok(())
}

#[test]
fn what_is_not_to_be_given_up_is_kept() -> anyhow::Result<()> {
    let off = [("STETH_CONFINE_CAPABILITIES", "false"), ("STETH_CONFINE_SECCOMP", "false")];
    let agent = Agent::start_with(&[], &off)?;
    let own = std::fs::read_to_string("/proc/self/status")?;
    for thread in threads(&agent)? {
        assert_eq!(thread.get("Seccomp").map(String::as_str), Some("0"), "{thread:?}");
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            let value = thread.get(set).context(set)?;
            assert!(own.contains(&format!("{set}:\t{value}")), "{set} of {thread:?}: {own}");
        }
    }
    let rows = rows(&agent)?;
    for (name, hook) in [("capabilities", "capset"), ("seccomp", "seccomp")] {
        let (state, lost) = rows.get(&(name.to_owned(), hook.to_owned())).context(name)?;
        assert_eq!((state.as_str(), lost), ("disabled", &None), "{name}");
    }
    Ok(())
}

#[test]
fn what_is_deployed_grants_just_these() -> anyhow::Result<()> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let unit = std::fs::read_to_string(deploy.join("steth.service"))?;
    for key in ["CapabilityBoundingSet=", "AmbientCapabilities="] {
        let line = unit.lines().find_map(|line| line.strip_prefix(key)).context(key)?;
        let granted = line.to_lowercase().replace("cap_", "").replace(' ', ",");
        assert_eq!(granted, ALL, "{key}");
    }
    let manifest = std::fs::read_to_string(deploy.join("kubernetes/steth.yaml"))?;
    let added = manifest.split("add:").nth(1).context("no capabilities are added")?;
    let added: Vec<String> = added
        .lines()
        .skip(1)
        .map(str::trim)
        .take_while(|line| line.starts_with('#') || line.starts_with("- "))
        .filter_map(|line| Some(line.strip_prefix("- ")?.to_lowercase()))
        .collect();
    assert_eq!(added.join(","), ALL);
    Ok(())
}

#[test]
fn setpriv_takes_what_it_is_told_to_take() -> anyhow::Result<()> {
    let words = as_nobody(COUNTING);
    let (program, rest) = words.split_first().context("no words")?;
    let status = Command::new(program).args(rest).args(["cat", "/proc/self/status"]).output()?;
    let status = String::from_utf8(status.stdout)?;
    // CAP_PERFMON is 38 and CAP_BPF 39.
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(status.contains(&format!("{set}:\t000000c000000000")), "{status}");
    }
    assert!(status.contains("Uid:\t65534\t65534"), "{status}");
    Ok(())
}
