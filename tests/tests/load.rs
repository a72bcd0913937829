//! Counts at full speed equal the load generator's own.

use std::net::SocketAddr;

use steth_tests::agent::{Agent, free_port};
use steth_tests::program::{Program, Scratch, command, run};

/// nginx with one worker that answers everything with a constant.
fn nginx(scratch: &Scratch, port: u16, service: &str) -> anyhow::Result<Program> {
    let at = scratch.path().display();
    let config = scratch.file(
        "nginx.conf",
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
fn a_saturated_server_and_its_client_are_counted_to_the_last_request() -> anyhow::Result<()> {
    let scratch = Scratch::new("load")?;
    let agent = Agent::start(&[])?;
    let port = free_port()?;
    let _nginx = nginx(&scratch, port, "load-server")?;
    let mut wrk = command("wrk", "load-client");
    wrk.args(["-t1", "-c16", "-d10", &format!("http://127.0.0.1:{port}/")]);
    let said = String::from_utf8(run(wrk)?.stdout)?;
    let total: u64 = said
        .lines()
        .find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())
        .ok_or_else(|| anyhow::anyhow!("wrk said: {said}"))?;

    let metrics = agent.metrics()?;
    let whole = [("http_response_status_code", "200"), ("error_type", "")];
    assert_eq!(metrics.lost(), 0, "{:?}", agent.status()?["losses"]);
    assert_eq!(metrics.asked("load-client", &whole), total);
    // What was in flight when wrk stopped was answered by the server, and read by nobody.
    let cut = metrics.asked("load-client", &[]) - total;
    assert!(cut <= 16, "{cut} requests were cut off on 16 connections");
    assert_eq!(metrics.served("load-server", &[]), total + cut);
    Ok(())
}
