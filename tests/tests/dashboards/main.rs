//! The dashboards under `deploy/grafana`: every name in them is one that the agent has, and a real
//! Prometheus that scraped the agent under load has something to show in every panel.

mod dashboard;
mod loads;
mod promql;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use steth_tests::agent::Agent;
use steth_tests::prometheus::{Prometheus, fetch};

use dashboard::{Dashboard, Query};
use loads::Loads;
use promql::Names;

/// How long the loads may run until every panel has something to show.
const PATIENCE: Duration = Duration::from_secs(40);
/// The same for panels that may be empty on this host.
const LEAST: Duration = Duration::from_secs(15);

/// A metric as the reference page tells of it.
struct Metric {
    kind: String,
    labels: BTreeSet<String>,
}

/// All metrics by their Prometheus names, read from the reference page, which is made from the table
/// of instruments and held against it by a test of its own.
fn reference() -> anyhow::Result<BTreeMap<String, Metric>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/reference/metrics.md");
    let page = std::fs::read_to_string(page)?;
    let mut metrics = BTreeMap::new();
    for entry in page.split("\n### ").skip(1) {
        let line = |name: &str| entry.lines().find_map(|line| line.strip_prefix(name));
        let name = line("- Prometheus: `").context("no Prometheus name")?.trim_end_matches('`');
        let kind = line("- Instrument: ").and_then(|line| line.split(',').next());
        let labels = line("- Attributes: ").unwrap_or_default().split(", ");
        let metric = Metric {
            kind: kind.context("no kind")?.to_owned(),
            labels: labels.map(|label| label.trim_matches('`').replace('.', "_")).collect(),
        };
        metrics.insert(name.to_owned(), metric);
    }
    Ok(metrics)
}

/// Labels that every series may have, be it of a service, of a container or of the agent itself.
const PLACE: &[&str] = &[
    "job",
    "instance",
    "container_id",
    "steth_cgroup_path",
    "host_name",
    "service_name",
    "process_creation_time",
];

/// What is wrong with the names in a query.
fn faults(query: &str, known: &BTreeMap<String, Metric>) -> Vec<String> {
    let mut faults = Vec::new();
    let Names { selectors, lists } = Names::of(query);
    let mut all: BTreeSet<String> = PLACE.iter().map(|label| (*label).to_owned()).collect();
    for (name, labels) in selectors {
        let parts = ["_bucket", "_sum", "_count"];
        let part = parts.iter().find_map(|part| Some((name.strip_suffix(part)?, *part)));
        let histogram =
            part.filter(|(base, _)| known.get(*base).is_some_and(|m| m.kind == "histogram"));
        let metric = match histogram {
            Some((base, _)) => known.get(base),
            None => known.get(&name).filter(|metric| metric.kind != "histogram"),
        };
        let mut fits: BTreeSet<String> = PLACE.iter().map(|label| (*label).to_owned()).collect();
        match metric {
            Some(metric) => fits.extend(metric.labels.iter().cloned()),
            None if ["target_info", "up"].contains(&name.as_str()) => {}
            None => faults.push(format!("no metric {name}")),
        }
        if histogram.is_some_and(|(_, part)| part == "_bucket") {
            fits.insert("le".to_owned());
        }
        faults.extend(labels.difference(&fits).map(|label| format!("{name} has no {label}")));
        all.extend(fits);
    }
    faults.extend(lists.difference(&all).map(|label| format!("nothing has {label}")));
    faults
}

#[test]
fn every_name_in_a_dashboard_is_one_that_the_agent_has() -> anyhow::Result<()> {
    let known = reference()?;
    ensure!(known.len() > 100, "{} metrics in the reference", known.len());
    let mut wrong = Vec::new();
    for dashboard in Dashboard::all()? {
        let variables = dashboard.variables();
        for query in dashboard.queries().iter().chain(&dashboard.variable_queries()) {
            let filled = query.filled(&variables);
            let faults = faults(&filled, &known);
            wrong.extend(faults.into_iter().map(|fault| format!("{}: {fault}", query.place)));
            if filled.contains('$') {
                wrong.push(format!("{}: a variable that is not there: {filled}", query.place));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn names_that_are_wrong_are_found() -> anyhow::Result<()> {
    let known = reference()?;
    let check = |query: &str, expect: &[&str]| assert_eq!(faults(query, &known), expect, "{query}");
    check("rate(system_cpu_time_seconds_total{cpu_mode=\"user\"}[5m])", &[]);
    check("system_cpu_time", &["no metric system_cpu_time"]);
    check("steth_cpu_run_queue_wait_seconds", &["no metric steth_cpu_run_queue_wait_seconds"]);
    check("sum by (le) (steth_cpu_run_queue_wait_seconds_bucket)", &[]);
    check("sum by (le) (system_uptime_seconds)", &["nothing has le"]);
    check("system_uptime_seconds{cpu_mode=\"x\"}", &["system_uptime_seconds has no cpu_mode"]);
    Ok(())
}

#[test]
fn dashboards_can_be_imported_anywhere() -> anyhow::Result<()> {
    for dashboard in Dashboard::all()? {
        let Dashboard { name, json } = &dashboard;
        let number = |pointer: &str| json.pointer(pointer).and_then(Value::as_u64);
        ensure!(number("/schemaVersion") >= Some(39), "{name}: schemaVersion");
        ensure!(json.get("id") == Some(&Value::Null), "{name}: has an id of somebody's Grafana");
        ensure!(json.get("uid").is_some_and(Value::is_string), "{name}: no uid");
        ensure!(
            dashboard.variables().iter().any(|(name, _)| *name == "datasource"),
            "{name}: no variable datasource"
        );
        let mut ids = BTreeSet::new();
        for panel in dashboard.panels() {
            let title = panel.get("title").and_then(Value::as_str).unwrap_or_default();
            ensure!(ids.insert(panel.get("id").and_then(Value::as_u64)), "{name}: {title}: its id");
            ensure!(panel.get("gridPos").is_some(), "{name}: {title}: no place");
            if panel.get("type").and_then(Value::as_str) == Some("row") {
                continue;
            }
            let targets = panel.get("targets").and_then(Value::as_array);
            let targets = targets.with_context(|| format!("{name}: {title}: no query"))?;
            for source in targets.iter().chain([panel]) {
                let uid = source.pointer("/datasource/uid").and_then(Value::as_str);
                ensure!(uid == Some("${datasource}"), "{name}: {title}: its data source");
            }
        }
    }
    Ok(())
}

/// Whether a result has a number in it.
fn has_number(result: &Value) -> bool {
    let series = result.as_array().map(Vec::as_slice).unwrap_or_default();
    series.iter().any(|one| {
        let value = one.pointer("/value/1").and_then(Value::as_str);
        value.and_then(|value| value.parse::<f64>().ok()).is_some_and(|value| !value.is_nan())
    })
}

#[test]
fn under_load_no_panel_is_empty() -> anyhow::Result<()> {
    let agent = Agent::start_with(&[], &[("STETH_USAGE_LOCKS", "true")])?;
    let prometheus = Prometheus::start(&agent)?;
    let _loads = Loads::start()?;
    let mut left: Vec<(Query, String)> = Vec::new();
    for dashboard in Dashboard::all()? {
        let variables = dashboard.variables();
        let queries = dashboard.queries().into_iter().chain(dashboard.variable_queries());
        left.extend(queries.map(|query| {
            let filled = query.filled(&variables);
            (query, filled)
        }));
    }
    let (all, begun) = (left.len(), Instant::now());
    loop {
        let mut empty = Vec::new();
        for (query, filled) in left {
            let result = prometheus.query(&filled).with_context(|| query.place.clone())?;
            if !result.is_some_and(|result| has_number(&result)) {
                empty.push((query, filled));
            }
        }
        left = empty;
        let is_excused = left.iter().all(|(query, _)| query.may_be_empty.is_some());
        let most = if is_excused { LEAST } else { PATIENCE };
        if left.is_empty() || begun.elapsed() > most {
            break;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    println!("{all} queries, {} with nothing to show after {:?}", left.len(), begun.elapsed());
    let (excused, empty): (Vec<_>, Vec<_>) =
        left.into_iter().partition(|(query, _)| query.may_be_empty.is_some());
    for (query, _) in &excused {
        println!(
            "left out: {} ({})",
            query.place,
            query.may_be_empty.as_deref().unwrap_or_default()
        );
    }
    let (_, targets) = fetch(prometheus.port(), "/api/v1/targets", "*/*")?;
    ensure!(targets.contains("\"health\":\"up\""), "{targets}");
    let told: Vec<String> =
        empty.iter().map(|(query, filled)| format!("{}: {filled}", query.place)).collect();
    assert!(empty.is_empty(), "empty:\n{}\n{}", told.join("\n"), agent.log());
    Ok(())
}
