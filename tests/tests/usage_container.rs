//! What control groups use and wait for is told as the kernel's own files have it, under load, and of
//! the right one.

use std::process::Command;

use steth_tests::agent::Agent;
use steth_tests::group::{Group, wait};
use steth_tests::metrics::Metrics;
use steth_tests::program::{Program, command, run};
use steth_tests::space::Space;

/// A counter of a group; seconds as nanoseconds.
fn of(metrics: &Metrics, group: &Group, name: &str, labels: &[(&str, &str)]) -> u64 {
    let mut all = vec![("container_id", group.id()), ("steth_cgroup_path", group.path())];
    all.extend_from_slice(labels);
    let values: Vec<f64> = metrics.of(name, &all).map(|sample| sample.value).collect();
    assert!(!values.is_empty(), "no {name} of {}", group.path());
    let times = if name.contains("_seconds") { 1e9 } else { 1.0 };
    values.iter().map(|value| (value * times).round() as u64).sum()
}

fn shell(script: &str) -> Command {
    let mut shell = command("sh", "usage");
    shell.args(["-c", script]);
    shell
}

fn python(script: &str) -> Command {
    let mut python = command("python3", "usage");
    python.args(["-c", script]);
    python
}

#[test]
fn throttled_time_is_as_the_group_has_it_and_a_neighbour_has_none() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let (throttled, neighbour) = (Group::new(1)?, Group::new(2)?);
    throttled.quota(20_000)?;
    let busy = "import time\nend = time.monotonic() + 2\nwhile time.monotonic() < end: pass";
    let mut loads = Vec::new();
    for group in [&throttled, &neighbour] {
        let command = group.inside(&python(busy));
        loads.push(std::thread::spawn(move || run(command)));
    }
    for load in loads {
        load.join().map_err(|_| anyhow::anyhow!("a load panicked"))??;
    }
    let key = if throttled.is_two() { "throttled_usec" } else { "throttled_time" };
    let scale = if throttled.is_two() { 1000 } else { 1 };
    let stat = |group: &Group, key: &str| group.number("cpu", "cpu.stat", key);
    // A last period may still be ending.
    let (metrics, _) = agent.metrics_while(|| throttled.read("cpu", "cpu.stat"))?;
    let told = |name: &str| of(&metrics, &throttled, name, &[]);
    assert!(stat(&throttled, "nr_throttled")? > 5, "nothing was throttled");
    assert_eq!(
        told("steth_container_cpu_throttled_time_seconds_total"),
        stat(&throttled, key)? * scale
    );
    assert_eq!(
        told("steth_container_cpu_throttled_periods_total"),
        stat(&throttled, "nr_throttled")?
    );
    assert_eq!(told("steth_container_cpu_periods_total"), stat(&throttled, "nr_periods")?);
    let own = [("container_id", throttled.id())];
    let limit = metrics.of("steth_container_cpu_limit", &own);
    assert_eq!(limit.map(|sample| sample.value).collect::<Vec<_>>(), [0.2]);
    for group in [&throttled, &neighbour] {
        let time = if group.is_two() {
            let of = |key| anyhow::Ok(group.number("cpu", "cpu.stat", key)? * 1000);
            of("user_usec")? + of("system_usec")?
        } else {
            let of = |name| anyhow::Ok(group.read("cpuacct", name)?.trim().parse::<u64>()?);
            of("cpuacct.usage_user")? + of("cpuacct.usage_sys")?
        };
        assert_eq!(of(&metrics, group, "container_cpu_time_seconds_total", &[]), time);
    }
    let name = "steth_container_cpu_throttled_time_seconds_total";
    assert_eq!(of(&metrics, &neighbour, name, &[]), 0);
    Ok(())
}

/// The count of one line of `/proc/vmstat`.
fn vmstat(key: &str) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/vmstat")?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    Ok(line.unwrap_or("0").parse()?)
}

#[test]
fn kills_for_memory_are_counted_and_named() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let (killed, neighbour) = (Group::new(1)?, Group::new(2)?);
    for group in [&killed, &neighbour] {
        group.memory(64 << 20)?;
    }
    // It makes another worker for each that is killed.
    let mut stress = command("stress-ng", "usage");
    stress.args(["--vm", "1", "--vm-bytes", "256m", "--vm-keep", "--timeout", "3", "--quiet"]);
    let mut stress = killed.inside(&stress);
    // What it comes to does not matter: it may be killed itself.
    stress.status()?;
    run(neighbour.inside(&python("x = bytearray(16 << 20)")))?;
    let (file, key) = if killed.is_two() {
        ("memory.events", "oom_kill")
    } else {
        ("memory.oom_control", "oom_kill")
    };
    let kills = killed.number("memory", file, key)?;
    assert!(kills > 0, "nothing was killed");
    let metrics = agent.metrics()?;
    let name = "steth_container_memory_oom_kills_total";
    assert_eq!(of(&metrics, &killed, name, &[]), kills);
    assert_eq!(of(&metrics, &neighbour, name, &[]), 0);
    let hits = if killed.is_two() {
        killed.number("memory", "memory.events", "max")?
    } else {
        killed.read("memory", "memory.failcnt")?.trim().parse()?
    };
    let name = "steth_container_memory_limit_hits_total";
    assert_eq!(of(&metrics, &killed, name, &[("steth_limit_kind", "max")]), hits);
    let name = "steth_container_memory_limit_bytes";
    assert_eq!(of(&metrics, &killed, name, &[]), 64 << 20);
    // Somebody else's may be killed meanwhile.
    let (metrics, all) = agent.metrics_while(|| vmstat("oom_kill"))?;
    assert_eq!(metrics.sum("steth_system_memory_oom_kills_total", &[]), all);
    Ok(())
}

#[test]
fn forks_that_fail_are_counted() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let group = Group::new(1)?;
    group.write("pids", "pids.max", "3")?;
    // The shell gives up at the first that fails.
    for _ in 0..3 {
        let mut shell = group.inside(&shell("sleep 20 & sleep 20 & sleep 20 & sleep 20 &"));
        shell.stderr(std::process::Stdio::null()).status()?;
    }
    let events = group.number("pids", "pids.events", "max")?;
    assert!(events >= 3, "no fork failed");
    let tasks: u64 = group.read("pids", "pids.current")?.trim().parse()?;
    let metrics = agent.metrics()?;
    assert_eq!(of(&metrics, &group, "steth_container_task_limit_hits_total", &[]), events);
    assert_eq!(of(&metrics, &group, "steth_container_task_usage", &[]), tasks);
    assert_eq!(of(&metrics, &group, "steth_container_task_limit", &[]), 3);
    Ok(())
}

/// The counters of a namespace.
fn nstat(space: &Space) -> anyhow::Result<serde_json::Value> {
    let mut nstat = Command::new("nstat");
    nstat.args(["-a", "-s", "-z", "-j"]);
    let all: serde_json::Value = serde_json::from_slice(&run(space.inside(&nstat))?.stdout)?;
    Ok(all["kernel"].clone())
}

#[test]
fn a_listener_that_stops_accepting_overflows_in_its_own_container() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let (group, neighbour) = (Group::new(1)?, Group::new(2)?);
    let (space, other) = (Space::new("full")?, Space::new("calm")?);
    let _calm = Program::start(neighbour.inside(&other.inside(&shell("exec sleep 60"))))?;
    let listen = "import socket, time\ns = socket.socket()\ns.bind(('127.0.0.1', 8080))\ns.listen(4)\ntime.sleep(60)";
    let _listener = Program::start(group.inside(&space.inside(&python(listen))))?;
    let connect = "import socket, time\nall = []\nfor _ in range(12):\n s = socket.socket(); s.setblocking(False)\n \
                   s.connect_ex(('127.0.0.1', 8080)); all.append(s)\ntime.sleep(1.5)";
    wait("overflows", || {
        run(space.inside(&python(connect)))?;
        Ok(nstat(&space)?["TcpExtListenOverflows"].as_u64() > Some(0))
    })?;
    // The listener's end of what is closed has still to say goodbye.
    let (metrics, told) = agent.metrics_while(|| nstat(&space))?;
    for (name, key) in [
        ("steth_container_tcp_listen_overflows_total", "TcpExtListenOverflows"),
        ("steth_container_tcp_listen_drops_total", "TcpExtListenDrops"),
        ("steth_container_tcp_retransmits_total", "TcpRetransSegs"),
        ("steth_container_tcp_timeouts_total", "TcpExtTCPTimeouts"),
    ] {
        assert_eq!(Some(of(&metrics, &group, name, &[])), told[key].as_u64(), "{name}");
        assert_eq!(of(&metrics, &neighbour, name, &[]), 0, "{name}");
    }
    Ok(())
}

#[test]
fn bytes_and_operations_of_a_device_are_the_groups() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let group = Group::new(1)?;
    let disk = steth_tests::disk::Loop::new("group", 32 << 20)?;
    if !group.is_two() {
        // Version 1 counts only where there is a limit: one that is never met.
        let limit = format!("{} {}", disk.number()?, 1u64 << 40);
        for direction in ["read", "write"] {
            group.write("blkio", &format!("blkio.throttle.{direction}_bps_device"), &limit)?;
        }
    }
    let fio = disk.fio(&["--rw=randrw", "--size=16m"]);
    let said: serde_json::Value = serde_json::from_slice(&run(group.inside(&fio))?.stdout)?;
    let metrics = agent.metrics()?;
    for direction in ["read", "write"] {
        let labels = [("disk_io_direction", direction), ("system_device", disk.name())];
        let job = &said["jobs"][0][direction];
        let bytes = of(&metrics, &group, "container_disk_io_bytes_total", &labels);
        assert_eq!(Some(bytes), job["io_bytes"].as_u64(), "{direction}");
        let operations = of(&metrics, &group, "steth_container_disk_operations_total", &labels);
        assert_eq!(Some(operations), job["total_ios"].as_u64(), "{direction}");
    }
    Ok(())
}
