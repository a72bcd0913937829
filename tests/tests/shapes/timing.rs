//! Durations are those of the two ends' own clocks.

use std::path::Path;

use anyhow::Result;
use steth_tests::agent::Agent;
use steth_tests::peer::Step::{Fill, Pause, Read, Repeat, Start, Stop, Write};
use steth_tests::peer::{Place, Step, converse};
use steth_tests::program::Scratch;

use super::PEER;
use super::catalogue::{answer, ask, head};

/// Durations may be off by this much.
const WITHIN: f64 = 0.05;

fn check(
    agent: &Agent,
    scratch: &Scratch,
    name: &str,
    said: Vec<Step>,
    bytes: usize,
) -> Result<()> {
    let get = ask("GET");
    let mut server = vec![Read(get.len()), Start];
    server.extend(said);
    server.extend([Stop, Step::End]);
    let client = [Start, Write(get), Read(bytes), Stop];
    let place = Place::tcp()?;
    let reports = converse(Path::new(PEER), scratch, name, &place, &server, &client)?;
    let metrics = agent.metrics()?;
    for (role, report) in ["server", "client"].into_iter().zip(reports) {
        let job = format!("{name}-{role}");
        let of = |part: &str| -> f64 {
            let metric = format!("http_{role}_request_duration_seconds_{part}");
            metrics.of(&metric, &[("job", &job)]).map(|sample| sample.value).sum()
        };
        let took = report.took as f64 / 1e9;
        assert!((of("count") - 1.0).abs() < f64::EPSILON, "{job}: {} exchanges", of("count"));
        let off = (of("sum") - took).abs() / took;
        assert!(off <= WITHIN, "{job}: {} s by the agent, {took} s by its own clock", of("sum"));
    }
    Ok(())
}

#[test]
fn durations_are_within_five_hundredths_of_the_ends_own_clocks() -> Result<()> {
    let scratch = Scratch::new("timing")?;
    let agent = Agent::start(&[])?;
    let check = |name: &str, said, bytes| {
        let name = format!("{name}-{}", std::process::id());
        check(&agent, &scratch, &name, said, bytes)
    };
    let late = answer(200, "hello");
    check("timing-late", vec![Pause(300), Write(late.clone())], late.len())?;
    let slow = head(200, 10_000);
    check(
        "timing-trickle",
        vec![Write(slow.clone()), Repeat(10, 0, vec![Pause(100), Fill(1000)])],
        slow.len() + 10_000,
    )?;
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(
        "timing-chunks",
        vec![
            Write(chunked.into()),
            Repeat(10, 0, vec![Pause(100), Write("5\r\nhello\r\n".into())]),
            Write("0\r\n\r\n".into()),
        ],
        chunked.len() + 10 * 10 + 5,
    )
}
