//! The keys as a list, read off the schema of the types: for the environment, the reference page
//! and whoever asks which keys there are.

use serde_json::{Map, Value};

use super::keys::Config;

/// One key that takes a value.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// Its path, dotted; `[]` marks an item of a list.
    pub(crate) path: String,
    /// What it takes, in words.
    pub(crate) takes: String,
    /// What each word means, where it takes one of a few.
    pub(crate) words: Vec<(String, String)>,
    /// Its default, as YAML in one line; empty where there is none.
    pub(crate) default: String,
    /// What it is for.
    pub(crate) description: String,
    /// Whether an environment variable or a flag can hold it: not what is inside a list.
    pub(crate) alone: bool,
}

impl Leaf {
    /// Its environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("STETH_{}", self.path.replace('.', "_").to_uppercase())
    }
}

/// One top-level key with the leaves under it.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its name.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) description: String,
    /// Its keys.
    pub(crate) leaves: Vec<Leaf>,
}

/// The schema of the configuration with nothing referred to: every type stands where it is used.
pub(crate) fn schema() -> Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value()
}

/// All sections in the order of their fields.
pub(crate) fn sections() -> Vec<Section> {
    let schema = schema();
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let Some(properties) = properties(&schema) else { return Vec::new() };
    properties
        .iter()
        .map(|(name, schema)| {
            let mut leaves = Vec::new();
            walk(schema, defaults.get(name), name, true, &mut leaves);
            Section { name: name.clone(), description: description(schema), leaves }
        })
        .collect()
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

fn walk(schema: &Value, default: Option<&Value>, path: &str, alone: bool, out: &mut Vec<Leaf>) {
    if let Some(properties) = properties(schema) {
        for (name, schema) in properties {
            let default = default.and_then(|default| default.get(name));
            walk(schema, default, &format!("{path}.{name}"), alone, out);
        }
        return;
    }
    if let Some(item) = schema.get("items").filter(|item| properties(item).is_some()) {
        walk(item, None, &format!("{path}[]"), false, out);
        return;
    }
    let default = match default {
        None if alone => "unset".to_owned(),
        None => String::new(),
        Some(value) => value.to_string().trim_matches('"').to_owned(),
    };
    out.push(Leaf {
        path: path.to_owned(),
        takes: takes(schema),
        words: words(schema),
        default,
        description: description(schema),
        alone,
    });
}

/// Comments are wrapped where the source is wrapped; the reader's page wraps by itself.
fn description(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Words of a closed set, with their meaning.
fn words(schema: &Value) -> Vec<(String, String)> {
    let choices = ["oneOf", "anyOf"].iter().find_map(|key| schema.get(key)?.as_array());
    let mut words = Vec::new();
    for choice in choices.into_iter().flatten() {
        if let Some(word) = choice.get("const").and_then(Value::as_str) {
            words.push((word.to_owned(), description(choice)));
        } else {
            words.extend(self::words(choice));
        }
    }
    words
}

fn takes(schema: &Value) -> String {
    let words = words(schema);
    if !words.is_empty() {
        return words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
    }
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        return choices.first().map(takes).unwrap_or_default();
    }
    let title = schema.get("title").and_then(Value::as_str);
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        Some(kind) => kind.as_str(),
        None => None,
    };
    match (title, kind) {
        (Some(title), _) => title.to_owned(),
        (None, Some("integer")) => {
            let limit = |name| schema.get(name).map(Value::to_string).unwrap_or_default();
            format!("whole number, {} to {}", limit("minimum"), limit("maximum"))
        }
        (None, Some("boolean")) => "`true` or `false`".to_owned(),
        (None, Some("array")) => {
            format!("list of: {}", schema.get("items").map(takes).unwrap_or_default())
        }
        (None, Some("object")) => "mapping of names to texts".to_owned(),
        (None, _) => "text".to_owned(),
    }
}
