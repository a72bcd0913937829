//! The environment: `STETH_*` for every key, and what `OTEL_*` means by the OpenTelemetry
//! specification.
//!
//! A `STETH_*` variable nobody knows is refused like an unknown key. An `OTEL_*` variable is meant
//! for everybody: what makes no sense here is passed over with a warning, as the specification asks.

use std::collections::BTreeMap;

use super::error::{Fault, Problem};
use super::leaf::sections;
use super::node::{Node, Origin, Value};
use super::{reference, yaml};

/// Names the configuration file.
pub(crate) const FILE: &str = "STETH_CONFIG";

/// Short names beside the ones made from the path.
const SHORT: &[(&str, &str)] = &[("STETH_LOG", "log.level")];

type Environment = [(String, String)];

/// What a standard variable is to a key of ours.
enum Meaning {
    /// The text as it is.
    Text,
    /// In lower case.
    Word,
    /// A number of milliseconds.
    Millis,
    /// `explicit_bucket_histogram` or `base2_exponential_bucket_histogram`.
    Histogram,
}

/// General variables stand before those for metrics alone, which are stronger.
const STANDARD: &[(&str, &[&str], Meaning)] = &[
    ("OTEL_SERVICE_NAME", &["agent", "service_name"], Meaning::Text),
    ("OTEL_RESOURCE_ATTRIBUTES", &["agent", "attributes"], Meaning::Text),
    ("OTEL_LOG_LEVEL", &["log", "level"], Meaning::Word),
    ("OTEL_METRIC_EXPORT_INTERVAL", &["metrics", "interval"], Meaning::Millis),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", &["otlp", "endpoint"], Meaning::Text),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &["otlp", "metrics_endpoint"], Meaning::Text),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &["otlp", "traces_endpoint"], Meaning::Text),
    ("OTEL_TRACES_SAMPLER", &["traces", "sampler"], Meaning::Word),
    ("OTEL_TRACES_SAMPLER_ARG", &["traces", "ratio"], Meaning::Text),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", &["otlp", "protocol"], Meaning::Word),
    ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", &["otlp", "protocol"], Meaning::Word),
    ("OTEL_EXPORTER_OTLP_HEADERS", &["otlp", "headers"], Meaning::Text),
    ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", &["otlp", "headers"], Meaning::Text),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", &["otlp", "compression"], Meaning::Word),
    ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", &["otlp", "compression"], Meaning::Word),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", &["otlp", "timeout"], Meaning::Millis),
    ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", &["otlp", "timeout"], Meaning::Millis),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", &["otlp", "certificate"], Meaning::Text),
    ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", &["otlp", "certificate"], Meaning::Text),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &["otlp", "client_key"], Meaning::Text),
    ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", &["otlp", "client_key"], Meaning::Text),
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &["otlp", "client_certificate"], Meaning::Text),
    (
        "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
        &["otlp", "client_certificate"],
        Meaning::Text,
    ),
    ("OTEL_EXPORTER_OTLP_INSECURE", &["otlp", "insecure"], Meaning::Word),
    ("OTEL_EXPORTER_OTLP_METRICS_INSECURE", &["otlp", "insecure"], Meaning::Word),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", &["otlp", "temporality"], Meaning::Word),
    (
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        &["otlp", "histogram"],
        Meaning::Histogram,
    ),
];

/// The standard variables that no key stands for: which exporters there are at all, and what is for
/// other signals. The export stage reads them itself.
pub(crate) fn keyless(environment: &Environment) -> BTreeMap<String, String> {
    environment
        .iter()
        .filter(|(name, _)| name.starts_with("OTEL_"))
        .filter(|(name, _)| !STANDARD.iter().any(|(known, ..)| known == name))
        .cloned()
        .collect()
}

/// Names of the standard variables that mean something here, for the reference page.
pub(crate) fn standard(path: &str) -> impl Iterator<Item = &'static str> {
    let of_path = move |(name, keys, _): &(&'static str, &[&str], Meaning)| {
        (keys.join(".") == path).then_some(*name)
    };
    let listens = ["OTEL_EXPORTER_PROMETHEUS_HOST", "OTEL_EXPORTER_PROMETHEUS_PORT"];
    let listens = listens.into_iter().filter(move |_| path == "prometheus.listen");
    STANDARD.iter().filter_map(of_path).chain(listens)
}

fn value<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    let (_, value) = environment.iter().find(|(key, _)| key == name)?;
    // By the specification, an empty value is an unset one.
    Some(value.trim()).filter(|value| !value.is_empty())
}

/// What the `OTEL_*` variables set, weakest first.
pub(crate) fn otel(
    environment: &Environment,
    warnings: &mut Vec<String>,
) -> Vec<(Vec<&'static str>, Node)> {
    let mut out = Vec::new();
    for (name, path, meaning) in STANDARD {
        let Some(text) = value(environment, name) else { continue };
        let lower = text.to_ascii_lowercase();
        let text = match meaning {
            Meaning::Text => Some(text.to_owned()),
            Meaning::Word => Some(lower),
            Meaning::Millis => text.parse::<u64>().ok().map(|millis| format!("{millis}ms")),
            Meaning::Histogram => match lower.as_str() {
                "explicit_bucket_histogram" => Some("explicit".to_owned()),
                "base2_exponential_bucket_histogram" => Some("exponential".to_owned()),
                _ => None,
            },
        };
        match text {
            Some(text) => out.push((path.to_vec(), leaf(name, text))),
            None => warnings.push(format!(
                "ignored: environment variable {name}: `{}` is not a value it can have",
                value(environment, name).unwrap_or_default()
            )),
        }
    }
    let (host, port) = ("OTEL_EXPORTER_PROMETHEUS_HOST", "OTEL_EXPORTER_PROMETHEUS_PORT");
    let typed = (value(environment, host), value(environment, port));
    if typed != (None, None) {
        let address = typed.0.unwrap_or("localhost");
        let bracketed = address.contains(':') && !address.starts_with('[');
        let address = if bracketed { format!("[{address}]") } else { address.to_owned() };
        let text = format!("{address}:{}", typed.1.unwrap_or("9464"));
        let name = if typed.0.is_some() { host } else { port };
        out.push((vec!["prometheus", "listen"], leaf(name, text)));
    }
    out
}

fn leaf(name: &str, text: String) -> Node {
    Node { origin: Origin::Env(name.to_owned()), value: Value::Text(text) }
}

/// What the `STETH_*` variables set.
pub(crate) fn own(environment: &Environment) -> Result<Vec<(String, Node)>, Fault> {
    let typed = environment.iter().filter(|(name, value)| {
        let ours = name.starts_with("STETH_") && name != FILE && name != reference::BLESS;
        ours && !value.trim().is_empty() && !is_service_link(name)
    });
    let mut out = Vec::new();
    let mut known: Option<Vec<(String, String)>> = None;
    for (name, text) in typed {
        let known = known.get_or_insert_with(variables);
        let Some((_, path)) = known.iter().find(|(variable, _)| variable == name) else {
            let origin = Some(Origin::Env(name.clone()));
            let allowed = known.iter().map(|(variable, _)| variable.clone()).collect();
            let problem = Problem::UnknownKey { found: name.clone(), allowed };
            return Err(Fault { origin, path: String::new(), problem });
        };
        out.push((path.clone(), read(name, text)?));
    }
    Ok(out)
}

fn variables() -> Vec<(String, String)> {
    let short = SHORT.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned()));
    let lists = std::iter::once(("STETH_SERVICES".to_owned(), "services".to_owned()));
    let sections = sections();
    let leaves = sections.into_iter().flat_map(|section| section.leaves);
    let long = leaves.filter(|leaf| leaf.alone).map(|leaf| (leaf.variable(), leaf.path));
    short.chain(lists).chain(long).collect()
}

/// Lists and mappings may be written as YAML in one line; all else is text.
fn read(name: &str, text: &str) -> Result<Node, Fault> {
    let origin = Origin::Env(name.to_owned());
    let text = text.trim();
    if !text.starts_with(['[', '{']) {
        return Ok(Node { origin, value: Value::Text(text.to_owned()) });
    }
    let node = yaml::tree(text).map_err(|fault| Fault { origin: Some(origin.clone()), ..fault })?;
    Ok(relocated(node, &origin))
}

fn relocated(node: Node, origin: &Origin) -> Node {
    let value = match node.value {
        Value::List(items) => {
            Value::List(items.into_iter().map(|item| relocated(item, origin)).collect())
        }
        Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(mut key, value)| {
                    key.origin = origin.clone();
                    (key, relocated(value, origin))
                })
                .collect(),
        ),
        other => other,
    };
    Node { origin: origin.clone(), value }
}

/// Kubernetes gives every pod variables for each Service of its namespace; a Service named `steth`
/// makes `STETH_SERVICE_HOST`, `STETH_PORT_9464_TCP` and so on, which nobody typed.
fn is_service_link(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("STETH_") else { return false };
    let rest = rest.trim_end_matches(|c: char| c.is_ascii_digit());
    rest == "SERVICE_HOST"
        || rest.starts_with("SERVICE_PORT")
        || rest == "PORT"
        || rest.starts_with("PORT_")
}
