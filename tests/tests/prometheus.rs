//! A real Prometheus scrapes the agent and knows the same counts; promtool finds nothing to complain of.

use std::io::Write;
use std::process::Stdio;

use anyhow::Context;
use steth_tests::agent::{Agent, free_port};
use steth_tests::program::command;
use steth_tests::prometheus::{Prometheus, fetch};
use steth_tests::traffic::Traffic;

#[test]
fn a_scraping_prometheus_knows_the_same_counts() -> anyhow::Result<()> {
    const COUNT: u32 = 123;
    let agent = Agent::start(&[])?;
    let prometheus = Prometheus::start(&agent)?;
    let traffic = Traffic::start("scraped")?;
    traffic.ask(COUNT)?;
    let wanted = f64::from(COUNT);
    for (name, job) in [
        ("http_server_request_duration_seconds_count", traffic.server()),
        ("http_client_request_duration_seconds_count", traffic.client()),
        ("http_server_response_body_size_bytes_count", traffic.server()),
    ] {
        let query = format!("sum({name}{{job=\"{job}\"}})");
        assert_eq!(prometheus.ask_until(&query, wanted)?, Some(wanted), "{query}");
    }
    // Six bytes an answer; all within the last bucket; the target of each is there to be joined.
    let sum =
        format!("sum(http_server_response_body_size_bytes_sum{{job=\"{}\"}})", traffic.server());
    assert_eq!(prometheus.ask(&sum)?, Some(6.0 * wanted));
    let whole = format!(
        "sum(http_server_request_duration_seconds_bucket{{job=\"{}\",le=\"+Inf\"}})",
        traffic.server()
    );
    assert_eq!(prometheus.ask(&whole)?, Some(wanted));
    let joined = format!(
        "sum(http_server_request_duration_seconds_count{{job=\"{}\"}} \
         * on (job, instance) group_left (host_name) target_info)",
        traffic.server()
    );
    assert_eq!(prometheus.ask(&joined)?, Some(wanted));
    assert_eq!(prometheus.ask("up{job=\"steth\"}")?, Some(1.0));
    assert_eq!(prometheus.ask("min_over_time(up{job=\"steth\"}[1m])")?, Some(1.0));
    // What it asks for by itself is OpenMetrics.
    let (_, targets) = fetch(prometheus.port(), "/api/v1/targets", "*/*")?;
    assert!(targets.contains("\"health\":\"up\""), "{targets}");
    assert!(targets.contains("\"lastError\":\"\""), "{targets}");
    Ok(())
}

#[test]
fn promtool_finds_nothing_to_complain_of() -> anyhow::Result<()> {
    let agent = Agent::start(&["--stats"])?;
    let traffic = Traffic::start("linted")?;
    let at = format!("http://127.0.0.1:{}", traffic.port());
    traffic.ask(20)?;
    traffic.curl(&["--data", "a=1", &format!("{at}/gone/1"), &format!("{at}/broken/2")])?;
    // Nobody listens there: curl's own failure is what is wanted.
    let _refused = traffic.curl(&[&format!("http://127.0.0.1:{}/", free_port()?)]);
    let page = agent.get("/metrics")?;
    assert!(page.contains("steth_tcp_connect_failures_total{"), "{page}");
    let mut promtool = command("promtool", "promtool");
    promtool.args(["check", "metrics"]);
    promtool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = promtool.spawn().context("cannot start promtool")?;
    child.stdin.take().context("no input")?.write_all(page.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    // Names of the conventions that end in `count` are what they are; promtool leaves with 3 when it
    // finds fault with anything.
    let suffix = |line: &&str| !line.ends_with("should not have \"_count\" suffix");
    assert_eq!(said.trim().lines().find(suffix), None, "{said}\n{page}");
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}: {said}", output.status);
    Ok(())
}

#[test]
fn openmetrics_is_served_to_those_who_ask_for_it() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    // As Prometheus 2.42 and 3 ask, and others.
    let cases = [
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;\
             q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            true,
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,*/*;q=0.2",
            true,
        ),
        ("text/plain;version=0.0.4", false),
        ("*/*", false),
    ];
    for (accept, open) in cases {
        let (head, body) = fetch(agent.address().port(), "/metrics", accept)?;
        assert!(head.contains(" 200 "), "{head}");
        let typed = head.contains("content-type: application/openmetrics-text; version=1.0.0");
        assert_eq!((typed, body.ends_with("# EOF\n")), (open, open), "{accept}: {head}");
        let family =
            if open { "# TYPE steth_exchange_seen counter" } else { "_seen_total counter" };
        assert!(body.contains(family), "{accept}: {body}");
    }
    Ok(())
}
