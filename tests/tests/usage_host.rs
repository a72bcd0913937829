//! What the host uses and waits for is told as its own tools have it, under load.

use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;
use steth_tests::agent::Agent;
use steth_tests::disk::Loop;
use steth_tests::group::{Group, wait};
use steth_tests::metrics::Metrics;
use steth_tests::program::{Program, Scratch, command, run};
use steth_tests::space::Space;

fn json(program: &str, arguments: &[&str], space: Option<&Space>) -> anyhow::Result<Value> {
    let mut command = Command::new(program);
    command.args(arguments);
    let command = match space {
        Some(space) => space.inside(&command),
        None => command,
    };
    Ok(serde_json::from_slice(&run(command)?.stdout)?)
}

fn number(metrics: &Metrics, name: &str, labels: &[(&str, &str)]) -> u64 {
    assert_eq!(metrics.of(name, labels).count(), 1, "{name} {labels:?}");
    metrics.sum(name, labels)
}

#[test]
fn bytes_and_operations_of_a_device_are_as_its_load_says() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let disk = Loop::new("disk", 64 << 20)?;
    let before = disk.stats()?;
    let fio = disk.fio(&["--rw=randrw", "--size=32m"]);
    let said: Value = serde_json::from_slice(&run(fio)?.stdout)?;
    let (metrics, after) = agent.metrics_while(|| disk.stats())?;
    for (at, direction) in [(0, "read"), (4, "write")] {
        let labels = [("disk_io_direction", direction), ("system_device", disk.name())];
        let told = |name: &str| number(&metrics, name, &labels);
        let job = &said["jobs"][0][direction];
        assert_eq!(told("system_disk_operations_total"), after[at], "{direction}");
        assert_eq!(Some(after[at] - before[at]), job["total_ios"].as_u64(), "{direction}");
        assert_eq!(told("system_disk_io_bytes_total"), after[at + 2] * 512, "{direction}");
        let bytes = (after[at + 2] - before[at + 2]) * 512;
        assert_eq!(Some(bytes), job["io_bytes"].as_u64(), "{direction}");
        let name = "system_disk_operation_time_seconds_total";
        let time: f64 = metrics.of(name, &labels).map(|sample| sample.value).sum();
        assert_eq!((time * 1e3).round() as u64, after[at + 3], "{direction}");
        let layer = metrics.of("system_disk_io_bytes_total", &labels).next();
        let layer = layer.and_then(|sample| sample.labels.get("steth_disk_layer"));
        assert_eq!(layer.map(String::as_str), Some("stacked"));
    }
    let busy: f64 = metrics
        .of("system_disk_io_time_seconds_total", &[("system_device", disk.name())])
        .map(|sample| sample.value)
        .sum();
    assert_eq!((busy * 1e3).round() as u64, after[9]);
    Ok(())
}

#[test]
fn a_file_system_that_fills_and_fails_is_told() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let mut disk = Loop::new("fill", 64 << 20)?;
    let point = disk.mount()?;
    std::fs::write(format!("{point}/full"), vec![1; 20 << 20])?;
    run(Command::new("sync"))?;
    let stat = || -> anyhow::Result<Vec<u64>> {
        let mut stat = Command::new("stat");
        stat.args(["-f", "-c", "%S %b %f %a %c %d", &point]);
        let text = String::from_utf8(run(stat)?.stdout)?;
        Ok(text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
    };
    let (metrics, told) = agent.metrics_while(stat)?;
    let [size, blocks, free, available, inodes, inodes_free] = told[..] else { bail!("{told:?}") };
    let usage = |state: &str, name: &str| {
        let labels = [
            ("system_filesystem_mountpoint", point.as_str()),
            ("system_filesystem_mode", "rw"),
            ("system_filesystem_type", "ext4"),
            ("system_filesystem_state", state),
            ("system_device", disk.device()),
        ];
        number(&metrics, name, &labels)
    };
    assert_eq!(usage("used", "system_filesystem_usage_bytes"), (blocks - free) * size);
    assert_eq!(usage("free", "system_filesystem_usage_bytes"), available * size);
    assert_eq!(usage("reserved", "system_filesystem_usage_bytes"), (free - available) * size);
    assert_eq!(usage("used", "steth_system_filesystem_inode_usage"), inodes - inodes_free);
    // It finds an error in itself, and is mounted again for reading alone.
    std::fs::write(format!("/sys/fs/ext4/{}/trigger_fs_error", disk.name()), "x")?;
    let mut remount = Command::new("mount");
    remount.args(["-o", "remount,ro", &point]);
    run(remount)?;
    let metrics = agent.metrics()?;
    let own = [("system_device", disk.device())];
    assert_eq!(number(&metrics, "steth_system_filesystem_errors_total", &own), 1);
    assert_eq!(number(&metrics, "steth_system_filesystem_read_only_remounts_total", &own), 1);
    let mode = [("system_device", disk.device()), ("system_filesystem_mode", "ro")];
    assert_eq!(metrics.of("system_filesystem_limit_bytes", &mode).count(), 1);
    Ok(())
}

fn python(script: &str) -> Command {
    let mut python = command("python3", "usage");
    python.args(["-c", script]);
    python
}

/// A rate that is too small for its queue: what netem loses a queue loses too, and every kernel has it.
fn narrow(device: &str) -> anyhow::Result<()> {
    let mut tc = Command::new("tc");
    tc.args(["qdisc", "add", "dev", device, "root", "tbf", "rate", "400mbit"]);
    tc.args(["burst", "64kb", "limit", "96kb"]);
    run(tc).map(|_| ())
}

#[test]
fn a_transfer_over_a_narrow_link_is_the_same_on_both_ends_and_in_the_queue() -> anyhow::Result<()> {
    const BYTES: u64 = 100 << 20;
    let agent = Agent::start(&[])?;
    let (space, group) = (Space::new("far")?, Group::new(1)?);
    let near = format!("stx{}", std::process::id() % 100_000);
    let mut link = Command::new("ip");
    link.args(["link", "add", &near, "type", "veth", "peer", "name", "far0"]);
    run(link)?;
    let result = (|| -> anyhow::Result<()> {
        let ip = |arguments: &[&str]| -> anyhow::Result<()> {
            let mut ip = Command::new("ip");
            ip.args(arguments);
            run(ip).map(|_| ())
        };
        // Nothing speaks by itself.
        let quiet_six = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6";
        let mut shell = command("sh", "usage");
        shell.args(["-c", quiet_six]);
        run(space.inside(&shell))?;
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{near}/disable_ipv6"), "1")?;
        let mut to = Command::new("ip");
        to.args(["netns", "list"]);
        let names = String::from_utf8(run(to)?.stdout)?;
        let own = std::process::id().to_string();
        let name = names
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .find(|name| name.starts_with("steth-far-") && name.ends_with(&own))
            .context("the namespace is not listed")?;
        ip(&["link", "set", "far0", "netns", name])?;
        ip(&["address", "add", "198.18.77.1/24", "dev", &near])?;
        ip(&["link", "set", &near, "up"])?;
        space.ip(&["address", "add", "198.18.77.2/24", "dev", "far0"])?;
        space.ip(&["link", "set", "far0", "up"])?;
        narrow(&near)?;
        let serve = "import socket\nl = socket.create_server(('198.18.77.2', 9000))\nc = l.accept()[0]\n\
                     while c.recv(1 << 20): pass\nc.close()\nimport time\ntime.sleep(60)";
        let _server = Program::start(group.inside(&space.inside(&python(serve))))?;
        let send = format!(
            "import socket, time\nfor _ in range(100):\n try:\n  s = socket.create_connection(('198.18.77.2', 9000)); break\n except OSError: time.sleep(0.1)\nb = bytes(1 << 20)\nfor _ in range({}): s.sendall(b)\n\
             s.shutdown(socket.SHUT_WR); s.recv(1)",
            BYTES >> 20
        );
        run(python(&send))?;
        wait("the end", || {
            let before = json("ip", &["-s", "-j", "link", "show", "dev", &near], None)?;
            std::thread::sleep(std::time::Duration::from_millis(100));
            Ok(before == json("ip", &["-s", "-j", "link", "show", "dev", &near], None)?)
        })?;
        let witness = || -> anyhow::Result<[Value; 4]> {
            Ok([
                json("ip", &["-s", "-j", "link", "show", "dev", &near], None)?,
                json("tc", &["-s", "-j", "qdisc", "show", "dev", &near], None)?,
                json("nstat", &["-a", "-s", "-z", "-j"], Some(&space))?["kernel"].clone(),
                json("nstat", &["-a", "-s", "-z", "-j"], None)?["kernel"]["TcpRetransSegs"].clone(),
            ])
        };
        let (metrics, [link, queue, far, retransmits]) = agent.metrics_while(witness)?;
        // The near end, by interface.
        let ends = [("transmit", "tx"), ("receive", "rx")];
        for (direction, key) in ends {
            let stats = &link[0]["stats64"][key];
            let labels =
                [("network_interface_name", near.as_str()), ("network_io_direction", direction)];
            let bytes = number(&metrics, "system_network_io_bytes_total", &labels);
            assert_eq!(Some(bytes), stats["bytes"].as_u64(), "{direction}");
            let labels = [("system_device", near.as_str()), ("network_io_direction", direction)];
            let packets = number(&metrics, "system_network_packet_count_total", &labels);
            assert_eq!(Some(packets), stats["packets"].as_u64(), "{direction}");
        }
        // Its queue.
        let own = [("network_interface_name", near.as_str())];
        for (name, key) in [
            ("steth_system_network_queue_drops_total", "drops"),
            ("steth_system_network_queue_overlimits_total", "overlimits"),
            ("steth_system_network_queue_backlog_bytes", "backlog"),
        ] {
            assert_eq!(Some(number(&metrics, name, &own)), queue[0][key].as_u64(), "{key}");
        }
        assert!(queue[0]["drops"].as_u64() > Some(0), "nothing was dropped");
        // What was dropped was sent again.
        let got = number(&metrics, "steth_system_tcp_retransmits_total", &[]);
        assert_eq!(Some(got), retransmits.as_u64());
        // The far end, by container.
        let of = |name: &str, labels: &[(&str, &str)]| {
            let mut all = vec![("container_id", group.id())];
            all.extend_from_slice(labels);
            number(&metrics, name, &all)
        };
        let received = [("network_io_direction", "receive")];
        let bytes = of("container_network_io_bytes_total", &received);
        assert_eq!(Some(bytes), link[0]["stats64"]["tx"]["bytes"].as_u64());
        assert!(bytes > BYTES && bytes < BYTES + BYTES / 5, "{bytes}");
        for (name, labels, key) in [
            ("steth_container_tcp_segments_total", &received[..], "TcpInSegs"),
            (
                "steth_container_tcp_segments_total",
                &[("network_io_direction", "transmit")],
                "TcpOutSegs",
            ),
            (
                "steth_container_tcp_connections_total",
                &[("steth_connection_role", "server")],
                "TcpPassiveOpens",
            ),
            ("steth_container_tcp_zero_windows_total", &[], "TcpExtTCPToZeroWindowAdv"),
        ] {
            assert_eq!(Some(of(name, labels)), far[key].as_u64(), "{key}");
        }
        Ok(())
    })();
    let mut gone = Command::new("ip");
    gone.args(["link", "delete", &near]);
    run(gone)?;
    result
}

/// The number behind a key in a file.
fn line(file: &str, key: &str) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(file)?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(key));
    let rest = lines.next().with_context(|| format!("no {key} in {file}"))?;
    Ok(rest.split_whitespace().next().unwrap_or_default().parse()?)
}

#[test]
fn counters_of_the_host_are_as_its_files_have_them() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let check = |name: &str, labels: &[(&str, &str)], witness: &dyn Fn() -> anyhow::Result<u64>| {
        let (metrics, expect) = agent.metrics_while(witness)?;
        let times = if name.contains("_seconds") { 1e6 } else { 1.0 };
        let got: f64 = metrics.of(name, labels).map(|sample| sample.value).sum();
        anyhow::ensure!((got * times).round() as u64 == expect, "{name}: {got}, not {expect}");
        Ok(())
    };
    let kilobytes = |key: &'static str| move || Ok(line("/proc/meminfo", key)? * 1024);
    let some = [("steth_resource", "memory"), ("steth_pressure_scope", "some")];
    let major = [("system_paging_fault_type", "major")];
    check("system_memory_limit_bytes", &[], &kilobytes("MemTotal:"))?;
    check("steth_system_memory_committed_limit_bytes", &[], &kilobytes("CommitLimit:"))?;
    check("system_paging_faults_total", &major, &|| line("/proc/vmstat", "pgmajfault "))?;
    check("steth_system_memory_oom_kills_total", &[], &|| line("/proc/vmstat", "oom_kill "))?;
    let stalled = || line("/proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=");
    if stalled().is_ok() {
        check("steth_system_pressure_stall_time_seconds_total", &some, &stalled)?;
    }
    let conntrack = "/proc/sys/net/netfilter/nf_conntrack_max";
    if std::path::Path::new(conntrack).exists() {
        check("steth_system_conntrack_limit", &[], &|| line(conntrack, ""))?;
    }
    Ok(())
}

#[test]
fn what_a_host_does_not_have_is_a_reason_and_costs_nothing_else() -> anyhow::Result<()> {
    let scratch = Scratch::new("root")?;
    let file = |name: &str, text: &str| -> anyhow::Result<()> {
        let path = scratch.path().join(name);
        std::fs::create_dir_all(path.parent().context("no directory")?)?;
        Ok(std::fs::write(path, text)?)
    };
    file("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 400 kB\nMemFree: 300 kB\n")?;
    file("proc/1/mountinfo", "1 1 0:1 / /c rw - cgroup2 cgroup2 rw\n")?;
    file("c/system.slice/a.service/memory.stat", "anon 5\n")?;
    let root = scratch.path().to_string_lossy().into_owned();
    let agent = Agent::start_with(&[], &[("STETH_HOST_ROOT", &root)])?;
    let metrics = agent.metrics()?;
    assert_eq!(number(&metrics, "system_memory_limit_bytes", &[]), 1000 << 10);
    let unit = [("steth_cgroup_path", "/system.slice/a.service")];
    assert_eq!(number(&metrics, "container_memory_rss_bytes", &unit), 5);
    let status = agent.status()?.to_string();
    for why in ["no pressure stall information", "no connections are tracked"] {
        assert!(status.contains(why), "{why} is not in {status}");
    }
    Ok(())
}
