//! Processes that come and go, and an agent that does: nobody is missed, nothing grows, nothing is left behind.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use steth_tests::agent::{Agent, binary, free_port};
use steth_tests::program::{Program, Scratch, command, connect, run};
use steth_tests::scripts::{python, python_server};

const MOVER: &str = env!("CARGO_BIN_EXE_mover");
const WHOLE: [(&str, &str); 2] = [("http_response_status_code", "200"), ("error_type", "")];

/// Does `work` for each of `count` numbers, four at a time.
fn each(
    numbers: std::ops::Range<usize>,
    work: impl Fn(usize) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    let next = AtomicUsize::new(numbers.start);
    std::thread::scope(|scope| {
        let worker = || -> anyhow::Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= numbers.end {
                    return Ok(());
                }
                work(number)?;
            }
        };
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        Ok(())
    })
}

fn answering(service: &str, port: u16) -> anyhow::Result<Program> {
    let mut server = command(MOVER, service);
    server.args(["answer", &port.to_string()]);
    Program::listening(server, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// Memory of the agent and of its maps.
fn memory(agent: &Agent) -> anyhow::Result<(u64, u64)> {
    let status = agent.status()?;
    let of = |key: &str| status.pointer(key).and_then(Value::as_u64).context("a number");
    Ok((of("/agent/rss_bytes")?, of("/agent/map_bytes")?))
}

/// What the agent may grow by between the first half of the processes and the second: its allocator
/// takes memory in steps of megabytes.
const GROWTH: u64 = 4 << 20;

#[test]
fn five_thousand_clients_of_one_request_are_counted_under_their_names() -> anyhow::Result<()> {
    const PROCESSES: usize = 5000;
    const SERVICES: usize = 20;
    let agent = Agent::start(&[])?;
    let scratch = Scratch::new("brief")?;
    // Every tenth process says no name of its own, and has that of its executable.
    let unnamed = scratch.path().join("brief-unnamed");
    std::fs::copy(MOVER, &unnamed)?;
    let port = free_port()?;
    let _server = answering("brief-server", port)?;
    let address = format!("127.0.0.1:{port}");
    let ask = |i: usize| {
        let mut client = match i % 10 {
            0 => {
                let mut client = Command::new(&unnamed);
                client.env_remove("OTEL_SERVICE_NAME");
                client
            }
            _ => command(MOVER, &format!("brief-{:02}", i % SERVICES)),
        };
        client.args(["ask", &address]);
        run(client).map(|_| ())
    };
    each(0..PROCESSES / 2, ask)?;
    let first = memory(&agent)?;
    each(PROCESSES / 2..PROCESSES, ask)?;
    let second = memory(&agent)?;

    let metrics = agent.metrics()?;
    let lost = agent.status()?["losses"].clone();
    assert_eq!(metrics.served("brief-server", &WHOLE), PROCESSES as u64, "{lost}");
    assert_eq!(metrics.asked("brief-unnamed", &WHOLE), PROCESSES as u64 / 10, "{lost}");
    for service in (0..SERVICES).filter(|service| service % 10 != 0) {
        let job = format!("brief-{service:02}");
        assert_eq!(metrics.asked(&job, &WHOLE), (PROCESSES / SERVICES) as u64, "{job}: {lost}");
        assert_eq!(metrics.asked(&job, &[]), (PROCESSES / SERVICES) as u64, "{job}: {lost}");
    }
    assert!(second.0 <= first.0 + GROWTH, "memory grew from {} to {}", first.0, second.0);
    assert_eq!(second.1, first.1, "the maps' bytes");
    Ok(())
}

#[test]
fn a_thousand_servers_of_one_request_are_counted() -> anyhow::Result<()> {
    const PROCESSES: usize = 1000;
    let agent = Agent::start(&[])?;
    let serve = |i: usize| -> anyhow::Result<()> {
        let mut server = command(MOVER, &format!("once-{}", i % 2));
        let mut child = server.arg("once").stdout(Stdio::piped()).spawn()?;
        let mut port = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut port)?;
        let mut stream = connect(port.trim().parse()?)?;
        stream.write_all(b"GET /once HTTP/1.1\r\nHost: once\r\n\r\n")?;
        let mut answer = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut answer)?;
        ensure!(answer.starts_with(b"HTTP/1.1 200 "), "server {i} did not answer");
        ensure!(child.wait()?.success(), "server {i} failed");
        Ok(())
    };
    each(0..PROCESSES / 2, serve)?;
    let first = memory(&agent)?;
    each(PROCESSES / 2..PROCESSES, serve)?;
    let second = memory(&agent)?;
    let metrics = agent.metrics()?;
    let lost = agent.status()?["losses"].clone();
    for job in ["once-0", "once-1"] {
        assert_eq!(metrics.served(job, &WHOLE), PROCESSES as u64 / 2, "{job}: {lost}");
        assert_eq!(metrics.served(job, &[]), PROCESSES as u64 / 2, "{job}: {lost}");
    }
    assert!(second.0 <= first.0 + GROWTH, "memory grew from {} to {}", first.0, second.0);
    assert_eq!(second.1, first.1, "the maps' bytes");
    Ok(())
}

#[test]
fn connections_older_than_the_agent_are_counted_from_its_start() -> anyhow::Result<()> {
    const CONNECTIONS: u64 = 20;
    const EACH: u64 = 25;
    let port = free_port()?;
    let _server = python_server("odd.py", "older-server", &["plain", "127.0.0.1"], port)?;
    let mut client = python("ask.py", "older-client");
    client.args(["wait", "127.0.0.1", &port.to_string()]);
    client.args([CONNECTIONS.to_string(), EACH.to_string()]);
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(client.stdout.take().context("a pipe")?).read_line(&mut line)?;
    assert_eq!(line, "open\n");

    let agent = Agent::start(&[])?;
    client.stdin.take().context("a pipe")?.write_all(b"go\n")?;
    assert!(client.wait()?.success());
    let metrics = agent.metrics()?;
    for labels in [&WHOLE[..], &[]] {
        assert_eq!(metrics.served("older-server", labels), CONNECTIONS * EACH);
        assert_eq!(metrics.asked("older-client", labels), CONNECTIONS * EACH);
    }
    Ok(())
}

/// The kernel's ids of what a process holds: programs, maps and links.
fn held(pid: u32) -> anyhow::Result<BTreeSet<(&'static str, String)>> {
    let mut held = BTreeSet::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // What it held for a moment, to read a file of another process, may be closed by now.
        let Ok(info) = std::fs::read_to_string(entry?.path()) else { continue };
        for line in info.lines() {
            let Some((key, id)) = line.split_once(':') else { continue };
            let kind = match key {
                "prog_id" => "prog",
                "map_id" => "map",
                "link_id" => "link",
                _ => continue,
            };
            held.insert((kind, id.trim().to_owned()));
        }
    }
    Ok(held)
}

/// Those of them that the kernel still has.
fn left(held: &BTreeSet<(&'static str, String)>) -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut left = Vec::new();
    for (kind, id) in held {
        let mut show = Command::new("bpftool");
        show.args([kind, "show", "id", id]).stdout(Stdio::null()).stderr(Stdio::null());
        if show.status().context("bpftool")?.success() {
            left.push((*kind, id.clone()));
        }
    }
    Ok(left)
}

fn nginx(scratch: &Path, port: u16, service: &str) -> anyhow::Result<Program> {
    let at = scratch.display();
    let config = scratch.join("nginx.conf");
    std::fs::write(
        &config,
        format!(
            "worker_processes 1; daemon off; master_process off; error_log {at}/error.log; pid {at}/pid;
             events {{ worker_connections 1024; }}
             http {{ access_log off; keepalive_requests 1000000000;
               server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"hello\\n\"; }} }} }}"
        ),
    )?;
    let mut command = command("nginx", service);
    command.arg("-c").arg(config);
    Program::listening(command, SocketAddr::from(([127, 0, 0, 1], port)))
}

#[test]
fn an_agent_killed_under_load_fails_no_request_and_leaves_nothing() -> anyhow::Result<()> {
    let scratch = Scratch::new("killed")?;
    let port = free_port()?;
    let _nginx = nginx(scratch.path(), port, "killed-server")?;
    let agent = Agent::start(&[])?;
    let mut wrk = command("wrk", "killed-client");
    wrk.args(["-t1", "-c16", "-d4", &format!("http://127.0.0.1:{port}/")]);
    let load = std::thread::spawn(move || run(wrk));
    // The load runs when it has been counted.
    agent.metrics_when(|metrics| metrics.served("killed-server", &[]) > 1000)?;
    let held = held(agent.pid())?;
    ensure!(held.iter().any(|(kind, _)| *kind == "prog"), "the agent holds no program: {held:?}");
    assert_eq!(left(&held)?.len(), held.len(), "bpftool sees what the agent holds");
    agent.kill()?;
    ensure!(!load.is_finished(), "the load ended before the agent");

    let said = load.join().map_err(|_| anyhow::anyhow!("wrk panicked"))??;
    let said = String::from_utf8(said.stdout)?;
    assert!(!said.contains("Socket errors"), "{said}");
    assert!(!said.contains("Non-2xx"), "{said}");
    // The kernel frees in its own time.
    let deadline = Instant::now() + Duration::from_secs(10);
    while !left(&held)?.is_empty() {
        assert!(Instant::now() < deadline, "left behind: {:?}", left(&held)?);
        std::thread::sleep(Duration::from_millis(100));
    }

    let agent = Agent::start(&[])?;
    let mut client = python("ask.py", "killed-again");
    let (connections, each) = (10, 20);
    let port = free_port()?;
    let _server = python_server("odd.py", "killed-after", &["plain", "127.0.0.1"], port)?;
    client.args(["plain", "127.0.0.1", &port.to_string()]);
    client.args([connections.to_string(), each.to_string()]);
    run(client)?;
    let metrics = agent.metrics()?;
    assert_eq!(metrics.served("killed-after", &[]), connections * each);
    assert_eq!(metrics.asked("killed-again", &[]), connections * each);
    Ok(())
}

#[test]
fn an_agent_that_comes_under_load_makes_nothing_up() -> anyhow::Result<()> {
    const CONNECTIONS: u64 = 16;
    let scratch = Scratch::new("joined")?;
    let port = free_port()?;
    let _nginx = nginx(scratch.path(), port, "joined-server")?;
    let mut wrk = command("wrk", "joined-client");
    wrk.args(["-t1", &format!("-c{CONNECTIONS}"), "-d4", &format!("http://127.0.0.1:{port}/")]);
    let load = std::thread::spawn(move || run(wrk));
    // The load runs when it has connected.
    let deadline = Instant::now() + Duration::from_secs(30);
    let end = format!("0100007F:{port:04X} ");
    let connected = || -> anyhow::Result<u64> {
        let sockets = std::fs::read_to_string("/proc/net/tcp")?;
        Ok(sockets.lines().filter(|line| line.contains(&format!("{end}01"))).count() as u64)
    };
    while connected()? < CONNECTIONS && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let agent = Agent::start(&[])?;
    load.join().map_err(|_| anyhow::anyhow!("wrk panicked"))??;

    let metrics = agent.metrics()?;
    let lost = agent.status()?["losses"].clone();
    let asked = metrics.asked("joined-client", &WHOLE);
    let cut = metrics.asked("joined-client", &[]) - asked;
    ensure!(asked > 1000, "{asked} requests were seen: {lost}");
    assert!(cut <= CONNECTIONS, "{cut} requests were cut off");
    // One of each connection may have been half over when the agent came, and where the machine is not its own
    // it may not keep up.
    let losses = lost.as_array().into_iter().flatten().filter(|loss| loss["stage"] == "kernel");
    let counted: u64 = losses.filter_map(|loss| loss["count"].as_u64()).sum();
    let (served, all) = (metrics.served("joined-server", &WHOLE), asked + cut);
    assert!(served.abs_diff(all) <= CONNECTIONS + counted, "{served} served, {all} asked: {lost}");
    assert!(metrics.served("joined-server", &[]) - served <= CONNECTIONS);
    Ok(())
}

#[test]
fn an_agent_whose_collector_has_no_address_ends_in_order() -> anyhow::Result<()> {
    // A server of names that takes every question and answers none: the agent waits for it when it is told to end.
    const SILENT: &str = "127.83.84.1";
    let scratch = Scratch::new("nameless")?;
    let resolver = scratch.file("resolv.conf", format!("nameserver {SILENT}\n"))?;
    let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let resolver = resolver.display().to_string();
    let before =
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, resolver.as_str()];
    for protocol in ["http/protobuf", "grpc"] {
        let silent = UdpSocket::bind((SILENT, 53))?;
        silent.set_read_timeout(Some(Duration::from_secs(30)))?;
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://no-such-host.invalid:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ];
        let flags = ["--interval", "1s"];
        let mut agent = Agent::start_through(&before, &binary(), &flags, &environment)?;
        silent.recv(&mut [0; 512]).context("nobody asked for the collector's address")?;
        let (status, _) = agent.terminate()?;
        let log = agent.log();
        assert!(status.success(), "{protocol}: {status}: {log}");
        assert!(!log.contains("panicked"), "{protocol}: {log}");
    }
    Ok(())
}
