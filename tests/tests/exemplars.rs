//! Exemplars: a bucket of RED names a span that the Collector has, and that lasted as long as it says.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use steth_tests::agent::Agent;
use steth_tests::collector::Collector;
use steth_tests::prometheus::{Prometheus, fetch};
use steth_tests::spans::Span;
use steth_tests::traffic::Traffic;

const ACCEPT: &str = "application/openmetrics-text;version=1.0.0";
const BUCKET: &str = "http_server_request_duration_seconds_bucket{";

/// Trace, span and value of each exemplar of a service's durations.
fn exemplars(page: &str, service: &str) -> Result<Vec<(String, String, f64)>> {
    let job = format!("job=\"{service}\"");
    let of = |line: &&str| line.starts_with(BUCKET) && line.contains(&job);
    let told = page.lines().filter(of).filter_map(|line| line.split_once(" # "));
    told.map(|(_, exemplar)| {
        let quoted: Vec<&str> = exemplar.split('"').collect();
        let [_, trace, _, span, rest] = quoted.as_slice() else { anyhow::bail!("{exemplar}") };
        let value = rest.trim_start_matches('}').split_whitespace().next().context("no value")?;
        Ok(((*trace).to_owned(), (*span).to_owned(), value.parse()?))
    })
    .collect()
}

#[test]
fn a_bucket_names_a_span_that_was_sent() -> Result<()> {
    const COUNT: u32 = 20;
    let Some(collector) = Collector::start("exemplars-collector")? else { return Ok(()) };
    let agent = Agent::keeping_all(&["--interval", "30s"], &collector, &[])?;
    let prometheus = Prometheus::start(&agent)?;
    let traffic = Traffic::start("exemplars")?;
    traffic.ask(COUNT)?;
    let served = |span: &&Span| span.service() == traffic.server() && span.kind == 2;
    let all = |spans: &[Span]| spans.iter().filter(served).count() == COUNT as usize;
    let spans = collector.spans_when(all)?;
    assert!(all(&spans), "{}", agent.log());
    let by_id: BTreeMap<&str, &Span> =
        spans.iter().filter(served).map(|span| (span.id.as_str(), span)).collect();
    let port = agent.address().port();
    let (_, page) = fetch(port, "/metrics", ACCEPT)?;
    let told = exemplars(&page, traffic.server())?;
    assert!(!told.is_empty(), "{page}");
    for (trace, id, seconds) in &told {
        let span = by_id.get(id.as_str()).context("a span that was not sent")?;
        let lasted = u32::try_from(span.end - span.start)?;
        assert_eq!(&span.trace, trace);
        assert!((f64::from(lasted) / 1e9 - seconds).abs() < 1e-9, "{span:?} {seconds}");
    }
    let (_, page) = fetch(port, "/metrics", "text/plain")?;
    assert!(exemplars(&page, traffic.server())?.is_empty(), "not in the older text");

    // A real reader of OpenMetrics takes them in.
    let counted = format!("sum({BUCKET}le=\"+Inf\",job=\"{}\"}})", traffic.server());
    assert_eq!(prometheus.ask_until(&counted, COUNT.into())?, Some(COUNT.into()));
    let known = prometheus.exemplars_until(&format!("{BUCKET}job=\"{}\"}}", traffic.server()))?;
    assert!(told.iter().all(|(_, id, _)| known.contains(id)), "{told:?} in {known}");
    Ok(())
}
