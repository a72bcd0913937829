//! Names, labels and values as the exposition allows them, by the OpenTelemetry specification's rules
//! of compatibility with Prometheus.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::metric::exposition::{PER, RATIO, TOTAL, UNITS};
use crate::metric::instrument::{Instrument, Kind};
use crate::metric::snapshot::Value;

/// The name of an instrument's family, with its unit and, for a counter, `_total`.
pub(super) fn metric(instrument: &Instrument) -> String {
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
pub(super) fn unit(instrument: &Instrument) -> Option<String> {
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

/// The name of a label: letters, digits and single underscores, no digit first.
pub(super) fn label(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 1);
    for character in key.chars() {
        let character = if character.is_ascii_alphanumeric() { character } else { '_' };
        if character == '_' && name.ends_with('_') {
            continue;
        }
        if name.is_empty() && character.is_ascii_digit() {
            name.push_str("key_");
        }
        name.push(character);
    }
    if name.is_empty() { "_".to_owned() } else { name }
}

/// An attribute's value as text; a list as a JSON array.
pub(super) fn label_value(value: &Value) -> String {
    match value {
        Value::Static(text) => (*text).to_owned(),
        Value::Text(text) => text.as_ref().to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::List(texts) => {
            let quoted: Vec<String> = texts
                .iter()
                .map(|text| serde_json::Value::from(text.as_ref()).to_string())
                .collect();
            format!("[{}]", quoted.join(","))
        }
    }
}

/// Labels in the order of their names.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelSet(BTreeMap<String, String>);

impl LabelSet {
    /// Adds a label. Two keys may become the same name: then both values stand there.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        match self.0.entry(name.to_owned()) {
            Entry::Vacant(free) => {
                free.insert(value.to_owned());
            }
            Entry::Occupied(mut taken) => {
                let both = taken.get_mut();
                both.push(';');
                both.push_str(value);
            }
        }
    }

    /// `{a="b",c="d"}`, or nothing.
    pub(super) fn text(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let mut text = String::from("{");
        for (name, value) in &self.0 {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            text.push_str(&escaped(value));
            text.push('"');
        }
        text.push('}');
        text
    }
}

/// Text as it stands between quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            other => escaped.push(other),
        }
    }
    escaped
}
