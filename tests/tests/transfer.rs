//! Large bodies to a slow reader: whoever carried them, sizes are exact and durations are the client's own.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::Context;
use steth_tests::agent::{Agent, free_port};
use steth_tests::metrics::Metrics;
use steth_tests::program::{Program, command, run};

const MOVER: &str = env!("CARGO_BIN_EXE_mover");
const SIZE: u64 = 50_000_000;
/// Bytes a second that the reader takes: 2.5 s for a body.
const RATE: u64 = 20_000_000;

/// How a body is sent and how it is taken.
const WAYS: &[(&str, &str)] = &[
    ("plain", "plain"),
    ("sendfile", "plain"),
    ("splice", "plain"),
    ("uring", "plain"),
    ("plain", "splice"),
    ("sendfile", "splice"),
    ("plain", "uring"),
];

/// What a client measured: seconds and bytes.
fn measured(said: &str) -> anyhow::Result<(f64, u64)> {
    let (seconds, bytes) = said.trim().split_once(' ').context("no measure")?;
    Ok((seconds.parse()?, bytes.parse()?))
}

fn seconds(metrics: &Metrics, role: &str, job: &str) -> f64 {
    let name = format!("http_{role}_request_duration_seconds_sum");
    metrics.of(&name, &[("job", job)]).map(|sample| sample.value).sum()
}

#[test]
fn a_long_body_lasts_as_long_as_its_reader_takes() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let mut readers = Vec::new();
    let mut servers = Vec::new();
    for (by, to) in WAYS {
        let port = free_port()?;
        let (server, client) = (format!("out-{by}-{to}"), format!("in-{by}-{to}"));
        let mut serve = command(MOVER, &server);
        serve.args(["serve", by, &port.to_string(), &SIZE.to_string()]);
        servers.push(Program::listening(serve, SocketAddr::from(([127, 0, 0, 1], port)))?);
        let mut fetch: Command = command(MOVER, &client);
        fetch.args(["fetch", to, &port.to_string(), &RATE.to_string()]);
        readers.push((server, client, std::thread::spawn(move || run(fetch))));
    }
    let mut clocks = Vec::new();
    for (server, client, reader) in readers {
        let output = reader.join().map_err(|_| anyhow::anyhow!("{client} panicked"))??;
        clocks.push((server, client, measured(&String::from_utf8(output.stdout)?)?));
    }

    let metrics = agent.metrics()?;
    let mut wrong = Vec::new();
    for (server, client, (clock, bytes)) in clocks {
        assert_eq!(bytes, SIZE, "{client}");
        let whole = [("http_response_status_code", "200"), ("error_type", "")];
        for (role, job) in [("server", &server), ("client", &client)] {
            let labels = [("job", job.as_str())];
            let count = metrics.requests(role, job, &whole);
            let all = metrics.requests(role, job, &[]);
            let body = metrics.sum(&format!("http_{role}_response_body_size_bytes_sum"), &labels);
            let took = seconds(&metrics, role, job);
            let off = (took - clock).abs() / clock;
            if (count, all, body) != (1, 1, SIZE) || off > 0.05 {
                wrong.push(format!(
                    "{job} as {role}: {count} whole of {all}, {body} bytes, {took:.3} s by the agent, {clock:.3} s by the client"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
