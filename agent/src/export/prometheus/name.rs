//! Labels and values as the exposition allows them, by the OpenTelemetry specification's rules of
//! compatibility with Prometheus.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::metric::snapshot::Value;

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
        Value::Seconds(nanos) => (*nanos as f64 / 1e9).to_string(),
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
