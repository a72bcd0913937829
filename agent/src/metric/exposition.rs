//! What the Prometheus exposition adds to the names of instruments and keys.

use super::instrument::{Instrument, Kind};

/// The metric that carries what a resource is, once a resource.
pub const TARGET_INFO: &str = "target_info";
/// The same as OpenMetrics names its family.
pub const TARGET: &str = "target";
/// What that metric says of itself.
pub const TARGET_HELP: &str = "What is observed, by job and instance.";
/// Namespace and name of the service.
pub const JOB: &str = "job";
/// The instance of the service.
pub const INSTANCE: &str = "instance";
/// The label of an exemplar's trace.
pub const TRACE_ID: &str = "trace_id";
/// The label of an exemplar's span.
pub const SPAN_ID: &str = "span_id";
/// The upper bound of a bucket.
pub const LE: &str = "le";
/// Ends the name of a counter.
pub const TOTAL: &str = "total";
/// Ends the name of a gauge of unit 1.
pub const RATIO: &str = "ratio";

/// UCUM units by the words that end a name.
pub const UNITS: &[(&str, &str)] = &[
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
];

/// UCUM units behind a `/` by their words.
pub const PER: &[(&str, &str)] = &[
    ("s", "second"),
    ("min", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("wk", "week"),
    ("mo", "month"),
    ("a", "year"),
];

/// The name of an instrument's family, with its unit and, for a counter, `_total`: by the OpenTelemetry
/// specification's rules of compatibility with Prometheus.
pub fn name(instrument: &Instrument) -> String {
    let mut tokens: Vec<&str> = tokens(instrument.name).collect();
    let (unit, per) = unit_words(instrument);
    for word in [unit, per.map(|_| "per"), per].into_iter().flatten() {
        if !tokens.contains(&word) {
            tokens.push(word);
        }
    }
    if instrument.kind == Kind::Counter {
        tokens.retain(|token| *token != TOTAL);
        tokens.push(TOTAL);
    }
    let name = tokens.join("_");
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// The unit that OpenMetrics is told, if the name ends with it.
pub fn unit(instrument: &Instrument) -> Option<String> {
    match unit_words(instrument) {
        (Some(unit), None) => Some(unit.to_owned()),
        (Some(unit), Some(per)) => Some(format!("{unit}_per_{per}")),
        (None, _) => None,
    }
}

fn unit_words(instrument: &Instrument) -> (Option<&'static str>, Option<&'static str>) {
    fn word(table: &[(&str, &'static str)], unit: &str) -> Option<&'static str> {
        table.iter().find(|(known, _)| *known == unit).map(|(_, word)| *word)
    }
    if instrument.unit == "1" {
        return ((instrument.kind == Kind::Gauge).then_some(RATIO), None);
    }
    // What stands in braces counts as nothing.
    let (unit, per) = instrument.unit.split_once('/').unwrap_or((instrument.unit, ""));
    (word(UNITS, unit), word(PER, per))
}

/// What lies between the characters that no name may have.
fn tokens(name: &str) -> impl Iterator<Item = &str> {
    name.split(|character: char| !(character.is_ascii_alphanumeric() || character == ':'))
        .filter(|token| !token.is_empty())
}
