//! What the semantic conventions and our own registry say a metric or an attribute is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::Value;

/// Both models together.
#[derive(Debug, Default)]
pub struct Conventions {
    /// Instrument and unit by the metric's name.
    pub metrics: BTreeMap<String, (String, String)>,
    /// Type by the attribute's name.
    pub attributes: BTreeMap<String, String>,
}

/// The conventions 1.44.0 with our registry; none if they are not here, which in CI is an error.
pub fn read() -> anyhow::Result<Option<Conventions>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let model = top.join("../shared/semconv-1.44.0/model");
    if !model.is_dir() {
        if std::env::var_os("CI").is_some() {
            bail!("the conventions' model is missing: {}", model.display());
        }
        eprintln!("left out: the conventions' model is not here");
        return Ok(None);
    }
    let mut files = Vec::new();
    yaml_files(&top.join("agent/semconv"), &mut files)?;
    yaml_files(&model, &mut files)?;
    let mut conventions = Conventions::default();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let value: Value =
            serde_saphyr::from_str(&text).with_context(|| file.display().to_string())?;
        conventions.take(&value);
    }
    Ok(Some(conventions))
}

fn yaml_files(directory: &Path, into: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "deprecated") {
            yaml_files(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            into.push(path);
        }
    }
    Ok(())
}

impl Conventions {
    /// Definitions stand at different depths in the two versions of the grammar.
    fn take(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.take(item)),
            Value::Object(map) => {
                let text = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
                let name = text("metric_name").or_else(|| text("name"));
                let id = text("id").or_else(|| text("key"));
                if let (Some(name), Some(kind), Some(unit)) =
                    (name, text("instrument"), text("unit"))
                {
                    self.metrics.insert(name, (kind, unit));
                } else if let (Some(id), Some(kind)) = (id, map.get("type")) {
                    self.attributes.insert(id, kind_of(kind));
                }
                map.values().for_each(|item| self.take(item));
            }
            _ => {}
        }
    }

    /// What is wrong with this attribute, if anything is.
    pub fn fault_of(&self, key: &str, value: &Value) -> Option<String> {
        let Some(kind) = self.attributes.get(key) else {
            return Some(format!("{key} is nowhere defined"));
        };
        let fits = match kind.as_str() {
            "string" => value.is_string(),
            "int" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            "double" => value.is_number(),
            // The wrapper of a list.
            "string[]" => value.is_object(),
            _ => false,
        };
        (!fits).then(|| format!("{key} is {kind}, not {value}"))
    }
}

/// An enumeration is text, or a number if its members are.
fn kind_of(kind: &Value) -> String {
    match (kind.as_str(), kind.pointer("/members/0/value")) {
        (Some(kind), _) => kind.to_owned(),
        (None, Some(Value::Number(_))) => "int".to_owned(),
        (None, _) => "string".to_owned(),
    }
}
