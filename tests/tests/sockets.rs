//! Sockets used as few programs do: inherited, handed over, duplicated, half-closed, read in crumbs, by two threads.

use std::process::Command;
use std::time::{Duration, Instant};

use steth_tests::agent::{Agent, free_port};
use steth_tests::metrics::Metrics;
use steth_tests::program::{Program, Scratch, run};
use steth_tests::scripts::{python, python_server};

/// A client in `mode` as `service`, to a server on loopback.
fn client(service: &str, mode: &str, port: u16, connections: u64, each: u64) -> Command {
    let mut command = python("ask.py", service);
    command.args([mode, "127.0.0.1", &port.to_string()]);
    command.args([connections.to_string(), each.to_string()]);
    command
}

/// Every request was answered with 200, was counted once in this role and in no other.
fn check(metrics: &Metrics, role: &str, job: &str, count: u64) {
    let whole = [("http_response_status_code", "200"), ("error_type", "")];
    let other = if role == "server" { "client" } else { "server" };
    let got = [
        metrics.requests(role, job, &whole),
        metrics.requests(role, job, &[]),
        metrics.requests(other, job, &[]),
    ];
    assert_eq!(got, [count, count, 0], "{job}: good, all, in the other role");
}

#[test]
fn odd_servers_and_odd_clients_are_counted_once() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let cases: &[(&[&str], &str, u64, u64)] = &[
        (&["prefork", "4"], "plain", 40, 5),
        (&["dup"], "plain", 10, 10),
        (&["peek"], "bytes", 4, 10),
        (&["peek"], "plain", 4, 25),
        (&["thread"], "thread", 4, 50),
        (&["thread"], "half", 50, 1),
        (&["plain", "127.0.0.1"], "half", 50, 1),
    ];
    let mut servers = Vec::new();
    let mut clients = Vec::new();
    for (i, (server, mode, connections, each)) in cases.iter().enumerate() {
        let port = free_port()?;
        servers.push(python_server("odd.py", &format!("odd-server-{i}"), server, port)?);
        let command = client(&format!("odd-client-{i}"), mode, port, *connections, *each);
        clients.push(std::thread::spawn(move || run(command)));
    }
    for client in clients {
        client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
    }
    let metrics = agent.metrics()?;
    for (i, (_, _, connections, each)) in cases.iter().enumerate() {
        check(&metrics, "server", &format!("odd-server-{i}"), connections * each);
        check(&metrics, "client", &format!("odd-client-{i}"), connections * each);
    }
    Ok(())
}

#[test]
fn a_connection_handed_over_is_counted_for_the_one_who_answers() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let scratch = Scratch::new("pass")?;
    let way = scratch.path().join("way");
    let port = free_port()?;
    let mut answer = python("odd.py", "pass-answers");
    answer.arg("answer").arg(&way).arg("0");
    let _answers = Program::start(answer)?;
    let deadline = Instant::now() + Duration::from_secs(30);
    while !way.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let way = way.to_string_lossy().into_owned();
    let _passes = python_server("odd.py", "pass-passes", &["pass", &way], port)?;
    run(client("pass-asks", "plain", port, 20, 5))?;
    let metrics = agent.metrics()?;
    check(&metrics, "server", "pass-answers", 100);
    check(&metrics, "client", "pass-asks", 100);
    check(&metrics, "server", "pass-passes", 0);
    check(&metrics, "client", "pass-passes", 0);
    Ok(())
}
