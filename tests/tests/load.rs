//! Counts at full speed equal the load generator's own.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use steth_tests::agent::{Agent, free_port};
use steth_tests::program::{Program, Scratch, command, run};

/// Connections that wrk holds.
const CONNECTIONS: u64 = 16;
/// A whole exchange that went well.
const WHOLE: [(&str, &str); 2] = [("http_response_status_code", "200"), ("error_type", "")];

/// How long each load lasts: `STETH_LOAD_SECONDS`, else a minute where there is time, else 20 s.
fn seconds() -> Result<u64> {
    match std::env::var("STETH_LOAD_SECONDS") {
        Ok(text) => text.parse().context("STETH_LOAD_SECONDS"),
        Err(_) if std::env::var_os("STETH_LONG").is_some() => Ok(60),
        Err(_) if std::env::var_os("CI").is_some() => Ok(60),
        Err(_) => Ok(20),
    }
}

/// A service's name that no other run of these tests has.
fn own(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

/// nginx with one worker and this inside its `http`.
fn nginx(scratch: &Scratch, port: u16, service: &str, inside: &str) -> Result<Program> {
    let at = scratch.path().display();
    let config = scratch.file(
        &format!("{service}.conf"),
        format!(
            "worker_processes 1; daemon off; master_process off; error_log {at}/{service}.log;
             pid {at}/{service}.pid; events {{ worker_connections 1024; }}
             http {{ access_log off; keepalive_requests 1000000000; {inside} }}"
        ),
    )?;
    let mut command = command("nginx", service);
    command.arg("-c").arg(config);
    Program::listening(command, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// It answers everything with a constant.
fn constant(port: u16) -> String {
    format!("server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"hello\\n\"; }} }}")
}

/// It passes everything on, to the end even if the client has gone.
fn proxy(port: u16, upstream: u16) -> String {
    format!(
        "upstream behind {{ server 127.0.0.1:{upstream}; keepalive 64;
           keepalive_requests 1000000000; }}
         server {{ listen 127.0.0.1:{port};
           location / {{ proxy_pass http://behind; proxy_http_version 1.1;
             proxy_set_header Connection \"\"; proxy_ignore_client_abort on; }} }}"
    )
}

/// wrk at full speed; how many answers it has read.
fn wrk(port: u16, service: &str) -> Result<u64> {
    let mut wrk = command("wrk", service);
    wrk.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{}", seconds()?)]);
    wrk.arg(format!("http://127.0.0.1:{port}/"));
    let said = String::from_utf8(run(wrk)?.stdout)?;
    said.lines()
        .find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())
        .with_context(|| format!("wrk said: {said}"))
}

/// What was lost is what is missing: each of `counts` should be `total`, but for what was in flight
/// when wrk stopped. True only if nothing but the load of this test was lost.
fn explain(agent: &Agent, lost: u64, total: u64, counts: &[u64]) -> Result<()> {
    let sides = counts.len() as u64;
    let held = counts.iter().sum::<u64>() + lost;
    let beyond = held.checked_sub(sides * total);
    let losses = agent.status()?.get("losses").cloned();
    assert!(
        beyond.is_some_and(|beyond| beyond <= sides * CONNECTIONS),
        "{lost} lost, of other loads on this machine too? {counts:?} of {total}: {losses:?}"
    );
    Ok(())
}

#[test]
fn a_saturated_server_and_its_client_are_counted_to_the_last_request() -> Result<()> {
    let scratch = Scratch::new("load")?;
    let agent = Agent::start(&[])?;
    let port = free_port()?;
    let _nginx = nginx(&scratch, port, &own("load-server"), &constant(port))?;
    let total = wrk(port, &own("load-client"))?;

    let metrics = agent.metrics()?;
    if metrics.lost() > 0 {
        let counts =
            [metrics.asked(&own("load-client"), &[]), metrics.served(&own("load-server"), &[])];
        return explain(&agent, metrics.lost(), total, &counts);
    }
    assert_eq!(metrics.asked(&own("load-client"), &WHOLE), total);
    // What was in flight when wrk stopped was answered by the server, and read by nobody.
    let cut = metrics.asked(&own("load-client"), &[]) - total;
    assert!(cut <= CONNECTIONS, "{cut} requests were cut off on {CONNECTIONS} connections");
    assert_eq!(metrics.served(&own("load-server"), &[]), total + cut);
    assert_eq!(
        metrics.served(&own("load-client"), &[]) + metrics.asked(&own("load-server"), &[]),
        0
    );
    Ok(())
}

#[test]
fn a_saturated_proxy_is_counted_on_both_hops_in_both_roles() -> Result<()> {
    let scratch = Scratch::new("load-proxy")?;
    let agent = Agent::start(&[])?;
    let (front, back) = (free_port()?, free_port()?);
    let _upstream = nginx(&scratch, back, &own("load-upstream"), &constant(back))?;
    let _proxy = nginx(&scratch, front, &own("load-proxy"), &proxy(front, back))?;
    let total = wrk(front, &own("load-proxied"))?;

    // The proxy carries to its end what was in flight when wrk stopped.
    let metrics = agent.metrics_when(|metrics| {
        metrics.lost() > 0
            || metrics.served(&own("load-upstream"), &[]) == metrics.served(&own("load-proxy"), &[])
                && metrics.asked(&own("load-proxy"), &[]) == metrics.served(&own("load-proxy"), &[])
    })?;
    if metrics.lost() > 0 {
        let counts = [
            metrics.asked(&own("load-proxied"), &[]),
            metrics.served(&own("load-proxy"), &[]),
            metrics.asked(&own("load-proxy"), &[]),
            metrics.served(&own("load-upstream"), &[]),
        ];
        return explain(&agent, metrics.lost(), total, &counts);
    }
    assert_eq!(metrics.asked(&own("load-proxied"), &WHOLE), total);
    let cut = metrics.asked(&own("load-proxied"), &[]) - total;
    assert!(cut <= CONNECTIONS, "{cut} requests were cut off on {CONNECTIONS} connections");
    assert_eq!(metrics.served(&own("load-proxy"), &[]), total + cut);
    assert_eq!(metrics.asked(&own("load-proxy"), &WHOLE), total + cut);
    assert_eq!(metrics.asked(&own("load-proxy"), &[]), total + cut);
    assert_eq!(metrics.served(&own("load-upstream"), &WHOLE), total + cut);
    assert_eq!(metrics.served(&own("load-upstream"), &[]), total + cut);
    assert_eq!(metrics.asked(&own("load-upstream"), &[]), 0);
    Ok(())
}
