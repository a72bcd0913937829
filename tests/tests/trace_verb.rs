//! `steth trace`: prints the next traces as text and ends.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use anyhow::{Context, Result};
use steth_tests::agent;
use steth_tests::program::command;
use steth_tests::traffic::Traffic;

#[test]
fn prints_the_next_traces_and_ends() -> Result<()> {
    let name = format!("verb-{}", std::process::id());
    let traffic = Traffic::start(&name)?;
    let binary = agent::binary();
    let mut steth = command(binary, "trace-verb");
    steth.args(["trace", "--last", "2", "--include-service", &format!("{name}-*")]);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("OTEL_") || text.starts_with("STETH_") {
            steth.env_remove(&name);
        }
    }
    let mut steth = steth.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut said = BufReader::new(steth.stderr.take().context("no standard error")?).lines();
    let watching = said.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("watching;")));
    watching.context("it does not watch")??;
    let at = format!("http://127.0.0.1:{}", traffic.port());
    traffic.curl(&[&format!("{at}/items/7?token=hunter2"), &format!("{at}/broken/1")])?;
    let mut text = String::new();
    steth.stdout.take().context("no output")?.read_to_string(&mut text)?;
    assert!(steth.wait()?.success(), "{text}");
    assert_eq!(text.matches("  trace ").count(), 2, "{text}");
    assert!(text.contains(&format!("-> {}  GET 200", traffic.client())), "{text}");
    assert!(text.contains(&format!("!{}  GET", traffic.server())) && text.contains(" 503"));
    assert!(text.contains("failed") && text.contains('█') && !text.contains("hunter2"), "{text}");
    // And what their time went into.
    assert!(text.contains("cpu ") && text.contains("first_byte "), "{text}");
    Ok(())
}
