//! What the agent can do with which capabilities, as a user that is nobody.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use steth_tests::agent::{Agent, binary};
use steth_tests::invocation::{Said, run};
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
        ("perfmon,sys_ptrace", 2, &["CAP_BPF", "CAP_DAC_READ_SEARCH"], &["CAP_PERFMON  "]),
        ("bpf,sys_ptrace", 2, &["CAP_PERFMON"], &["CAP_BPF  "]),
        (COUNTING, 0, &["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"], &["CAP_BPF  ", "CAP_PERFMON  "]),
        ("bpf,perfmon,sys_ptrace", 0, &["CAP_DAC_READ_SEARCH"], &["CAP_SYS_PTRACE  "]),
        (ALL, 0, &["Everything works."], &["Missing", "CAP_"]),
    ];
    for (capabilities, code, there, absent) in cases {
        let said = steth(&agent, capabilities, &["check"])?;
        assert_eq!(said.code, Some(code), "{capabilities}: {said:?}");
        for word in there {
            assert!(said.out.contains(word), "{capabilities}: no {word} in {}", said.out);
        }
        for word in absent {
            assert!(!said.out.contains(word), "{capabilities}: {word} in {}", said.out);
        }
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
