//! Every shape of a conversation is counted once, with its method and status, at both ends.

mod catalogue;
mod overlap;
mod timing;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use steth_tests::agent::Agent;
use steth_tests::metrics::Metrics;
use steth_tests::peer::{Place, Step, converse};
use steth_tests::program::Scratch;

use catalogue::{Shape, UNSEEN};

const PEER: &str = env!("CARGO_BIN_EXE_peer");

/// Exchanges by method, status and error.
type Counts = BTreeMap<[String; 3], u64>;

fn expected(shape: &Shape, server: bool) -> Counts {
    let mut counts = Counts::new();
    for (method, status) in &shape.exchanges {
        let fails = *status >= if server { 500 } else { 400 };
        let error = if fails { status.to_string() } else { String::new() };
        let status = if *status == UNSEEN { String::new() } else { status.to_string() };
        *counts.entry([(*method).to_owned(), status, error]).or_default() += 1;
    }
    counts
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are whole, not negative and far below 2^53"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

fn counted(metrics: &Metrics, job: &str, server: bool) -> Counts {
    let role = if server { "server" } else { "client" };
    let name = format!("http_{role}_request_duration_seconds_count");
    let mut counts = Counts::new();
    for sample in metrics.of(&name, &[("job", job)]) {
        let key = ["http_request_method", "http_response_status_code", "error_type"]
            .map(|key| sample.labels.get(key).cloned().unwrap_or_default());
        *counts.entry(key).or_default() += whole(sample.value);
    }
    counts
}

/// What differs from what was to be counted, at both ends, in words.
fn differences(metrics: &Metrics, name: &str, shape: &Shape) -> Vec<String> {
    let mut found = Vec::new();
    for (role, server) in [("server", true), ("client", false)] {
        let job = format!("{name}-{role}");
        let (expect, got) = (expected(shape, server), counted(metrics, &job, server));
        if got != expect {
            found.push(format!("{job}: {got:?} instead of {expect:?}"));
        }
        let other = counted(metrics, &job, !server);
        if !other.is_empty() {
            found.push(format!("{job}: {other:?} in the other role"));
        }
        let sizes = ["request", "response"].map(|part| {
            metrics.sum(&format!("http_{role}_{part}_body_size_bytes_sum"), &[("job", &job)])
        });
        if let Some(bodies) = shape.bodies
            && bodies != sizes
        {
            found.push(format!("{job}: bodies of {sizes:?} instead of {bodies:?} bytes"));
        }
    }
    found
}

/// Holds every conversation, and compares. Those named in `unseen` must differ, so that the list
/// stays true.
fn run(tag: &str, flags: &[&str], unix: bool, unseen: &[&str]) -> Result<()> {
    let scratch = Scratch::new(&format!("shapes-{tag}"))?;
    let agent = Agent::start(flags)?;
    let only = std::env::var("STETH_SHAPE").ok();
    let mut found = Vec::new();
    for shape in catalogue::all() {
        if only.as_ref().is_some_and(|only| only != shape.name) {
            continue;
        }
        let name = format!("{tag}-{}-{}", shape.name, std::process::id());
        let place = if unix {
            let peeks = |step: &Step| matches!(step, Step::Peek(_));
            if shape.server.iter().chain(&shape.client).any(peeks) {
                continue;
            }
            Place::Unix(scratch.path().join(format!("{name}.sock")))
        } else {
            Place::tcp()?
        };
        converse(Path::new(PEER), &scratch, &name, &place, &shape.server, &shape.client)
            .map_err(|error| error.context(name.clone()))?;
        let differences = differences(&agent.metrics()?, &name, &shape);
        if unseen.contains(&shape.name) && differences.is_empty() {
            found.push(format!("{name} is no exception"));
        }
        if !unseen.contains(&shape.name) {
            found.extend(differences);
        }
    }
    let losses = agent.status()?.get("losses").cloned();
    assert!(found.is_empty(), "\n{}\n{losses:?}", found.join("\n"));
    Ok(())
}

#[test]
fn each_shape_over_tcp_is_counted_once_at_both_ends() -> Result<()> {
    run("tcp", &[], false, &[])
}

/// Where only system calls are seen, one call may have moved several messages.
const UNSEEN_BY_CALLS: &[&str] = &["head-in-many-messages", "request-a-message"];

#[test]
fn each_shape_is_counted_alike_where_only_system_calls_are_seen() -> Result<()> {
    run("tier3", &["--capture-tier", "3"], false, UNSEEN_BY_CALLS)
}

/// What is told differently of a Unix socket.
const UNIX: &[&str] = &[
    // Nothing tells at once that it was closed, which is where these end.
    "until-close",
    "until-close-at-once",
    "vectored-many",
    // The end of the chunks is not carried.
    "chunked-long",
    // More is seen than over TCP.
    "long-body-then-get",
    "impatient-long",
];

#[test]
fn each_shape_over_a_unix_socket_is_counted_once_at_both_ends() -> Result<()> {
    run("unix", &[], true, UNIX)
}
