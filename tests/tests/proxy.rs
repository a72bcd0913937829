//! An agent that comes late to a keep-alive proxy counts every hop from then on, in both roles.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use steth_tests::agent::{Agent, free_port};
use steth_tests::metrics::Metrics;
use steth_tests::peer::{End, Peer, Place, Step};
use steth_tests::program::{Program, Scratch, command};

/// Clients, each on one connection for all its life.
const CLIENTS: usize = 5;
/// Requests of each while the agent is attached, and with it: 100 a second.
const PHASES: [u64; 2] = [400, 1000];
/// Microseconds between two requests of one client.
const APART: u64 = 10_000;

/// Client, proxy and upstream, under names that no other run of this test has.
fn services() -> [String; 3] {
    ["client", "proxy", "upstream"].map(|role| format!("late-{role}-{}", std::process::id()))
}

fn nginx(scratch: &Scratch, port: u16, service: &str, inside: &str) -> Result<Program> {
    let at = scratch.path().display();
    let config = scratch.file(
        &format!("{service}.conf"),
        format!(
            "worker_processes 1; daemon off; master_process off; error_log {at}/{service}.log;
             pid {at}/{service}.pid; events {{ worker_connections 1024; }}
             http {{ access_log off; keepalive_requests 1000000; keepalive_timeout 600s;
               server_tokens off; {inside} }}"
        ),
    )?;
    let mut command = command("nginx", service);
    command.arg("-c").arg(config);
    Program::listening(command, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// Client at the first hop, proxy in both roles, upstream.
fn hops(metrics: &Metrics) -> [u64; 4] {
    let whole = [("http_response_status_code", "200"), ("error_type", "")];
    let [client, proxy, upstream] = &services();
    [
        metrics.asked(client, &whole),
        metrics.served(proxy, &whole),
        metrics.asked(proxy, &whole),
        metrics.served(upstream, &whole),
    ]
}

fn wait_for(paths: &[PathBuf]) -> Result<()> {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !paths.iter().all(|path| path.exists()) {
        ensure!(Instant::now() < deadline, "the clients did not come so far");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

#[test]
fn every_hop_of_established_connections_is_counted_from_the_attachment_on() -> Result<()> {
    let scratch = Scratch::new("late")?;
    let (front, back) = (free_port()?, free_port()?);
    let upstream =
        format!("server {{ listen 127.0.0.1:{back}; location / {{ return 200 \"hello\"; }} }}");
    let proxy = format!(
        "upstream behind {{ server 127.0.0.1:{back}; keepalive 64; keepalive_requests 1000000;
           keepalive_timeout 600s; }}
         server {{ listen 127.0.0.1:{front}; location / {{ proxy_pass http://behind;
           proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }}"
    );
    let [client, middle, last] = &services();
    let _upstream = nginx(&scratch, back, last, &upstream)?;
    let _proxy = nginx(&scratch, front, middle, &proxy)?;

    let ask = "GET /late HTTP/1.1\r\nHost: late.test\r\n\r\n";
    // nginx's answer ends with its body; its head's length is found by asking once, by hand.
    let answer = answer_length(front, ask)?;
    let turn = vec![Step::Write(ask.into()), Step::Read(answer)];
    let go = scratch.path().join("go");
    let mark = |name: &str| -> Vec<PathBuf> {
        (0..CLIENTS).map(|i| scratch.path().join(format!("{name}-{i}"))).collect()
    };
    let (begun, rests) = (mark("begun"), mark("rests"));
    let mut clients = Vec::new();
    for (begun, rests) in begun.iter().zip(&rests) {
        let script = [
            Step::Repeat(100, APART, turn.clone()),
            Step::Touch(begun.clone()),
            Step::Repeat(PHASES[0], APART, turn.clone()),
            Step::Touch(rests.clone()),
            Step::Await(go.clone()),
            Step::Repeat(PHASES[1], APART, turn.clone()),
        ];
        let binary = Path::new(env!("CARGO_BIN_EXE_peer"));
        clients.push(Peer::start(
            binary,
            &scratch,
            client,
            End::Connect,
            &Place::Tcp(front),
            &script,
        )?);
    }
    wait_for(&begun)?;
    let agent = Agent::start(&[])?;
    wait_for(&rests)?;
    let before = hops(&agent.metrics()?);
    std::fs::write(&go, "")?;
    for peer in clients {
        peer.report()?;
    }
    let metrics = agent.metrics()?;
    let after = hops(&metrics);
    let since: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(since, [CLIENTS as u64 * PHASES[1]; 4], "{:?}", agent.status()?.get("losses"));
    // Each connection may have been met in the middle of an exchange, at each hop.
    let (fewest, most) = (before.iter().min(), before.iter().max());
    let apart = most.zip(fewest).map_or(0, |(most, fewest)| most - fewest);
    assert!(apart <= 2 * CLIENTS as u64, "the hops are {apart} apart while attaching: {before:?}");
    assert!(before.iter().all(|count| *count > 0), "{before:?}: not attached in the middle");
    Ok(())
}

fn answer_length(port: u16, ask: &str) -> Result<usize> {
    use std::io::{Read, Write};
    let mut stream = steth_tests::program::connect(port)?;
    stream.write_all(ask.as_bytes())?;
    let mut all = Vec::new();
    let mut room = [0; 4096];
    while !all.ends_with(b"hello") {
        let n = stream.read(&mut room)?;
        ensure!(n > 0, "nginx closed");
        all.extend_from_slice(room.get(..n).unwrap_or_default());
    }
    Ok(all.len())
}
