//! The reference page of all metrics, made from the table of instruments.

use std::fmt::Write;

use super::exposition;
use super::instrument::{FAMILIES, Instrument, Kind, Sheet};

const INTRODUCTION: &str = "\
# Metrics

Names and units are those of the semantic conventions 1.44.0 where there is one; what begins with
`steth.` has none and is defined in `agent/semconv`. Histograms have `_bucket`, `_sum` and `_count`
behind their Prometheus name; labels are the attributes with underscores for dots. `deploy/grafana` has
dashboards of these.

`system.*` and what `steth.*` tells of the host stand on the host's resource, `container.*` on that of
a control group, `process.*` on that of a process (`process.pid`, `process.creation.time`) if it
belongs to an observed service or is heavy, else on that of `{other}`. Everything else is told of the
service instance. In Prometheus `job` and `instance` are those of the service instance, and of the host
and its control groups those of the scrape.

This page is made from the table of instruments; do not edit it.
";

/// The reference page, in Markdown.
pub fn markdown() -> String {
    let mut out = INTRODUCTION.to_owned();
    for Sheet { family, cost, instruments } in FAMILIES.iter().filter(|s| !s.instruments.is_empty())
    {
        // Writing to a string cannot fail.
        let _ = write!(out, "\n## {family}\n\nCost: {cost}.\n");
        for instrument in *instruments {
            entry(instrument, &mut out);
        }
    }
    out
}

fn entry(instrument: &Instrument, out: &mut String) {
    let Instrument { name, unit, description, kind, scale: _, attributes, source, question } =
        instrument;
    let series = exposition::name(instrument);
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::UpDownCounter => "up-down-counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let _ = write!(out, "\n### `{name}`\n\n{description}\n\n- Instrument: {kind}, unit `{unit}`\n");
    let _ = writeln!(out, "- Prometheus: `{series}`");
    if !attributes.is_empty() {
        let keys: Vec<String> = attributes.iter().map(|key| format!("`{}`", key.0)).collect();
        let _ = writeln!(out, "- Attributes: {}", keys.join(", "));
    }
    let _ = writeln!(out, "- Source: {source}\n- Answers: {question}");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::instrument::all;
    use super::markdown;

    /// Compares with the checked-in page, or rewrites it when asked to.
    #[test]
    fn the_checked_in_page_is_that_of_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/reference/metrics.md");
        let text = markdown();
        if std::env::var_os("STETH_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(checked_in == text, "deploy/reference/metrics.md is stale: run with STETH_BLESS=1");
    }

    #[test]
    fn every_instrument_says_where_it_comes_from_and_what_it_answers() {
        for instrument in all() {
            let name = instrument.name;
            assert!(!instrument.source.is_empty(), "{name}");
            assert!(instrument.question.ends_with('?'), "{name}");
            assert!(instrument.description.ends_with('.'), "{name}");
        }
    }
}
