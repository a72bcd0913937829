//! Holds every instrument and key against the conventions' model and our own registry.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::instrument::{self, Kind};
use super::key::{self, Type};

/// What a model says, by name.
#[derive(Default)]
struct Model {
    /// Instrument kind and unit.
    metrics: BTreeMap<String, (String, String)>,
    /// Type.
    attributes: BTreeMap<String, String>,
    /// Attributes that metrics refer to.
    references: BTreeSet<String>,
}

impl Model {
    fn read(&mut self, file: &Path) {
        let text = std::fs::read_to_string(file).unwrap();
        let value: Value = serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.take(&value);
    }

    /// Definitions stand at different depths in the two versions of the grammar.
    fn take(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.take(item)),
            Value::Object(map) => {
                let text = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
                if let (Some(kind), Some(unit)) = (text("instrument"), text("unit")) {
                    let name = text("metric_name").or_else(|| text("name")).unwrap();
                    self.metrics.insert(name, (kind, unit));
                } else if let (Some(name), Some(kind)) =
                    (text("id").or_else(|| text("key")), map.get("type"))
                {
                    // An enumeration is text, or a number if its members are.
                    let kind = kind.as_str().map_or_else(
                        || match kind.pointer("/members/0/value") {
                            Some(Value::Number(_)) => "int".to_owned(),
                            _ => "string".to_owned(),
                        },
                        str::to_owned,
                    );
                    self.attributes.insert(name, kind);
                }
                self.references.extend(text("ref"));
                map.values().for_each(|item| self.take(item));
            }
            _ => {}
        }
    }
}

fn yaml_files(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // What is deprecated is not there for us.
            if path.file_name().is_some_and(|name| name != "deprecated") {
                yaml_files(&path, into);
            }
        } else if path.extension().is_some_and(|e| e == "yaml") {
            into.push(path);
        }
    }
}

fn own() -> Model {
    let mut own = Model::default();
    let mut files = Vec::new();
    yaml_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("semconv"), &mut files);
    for file in &files {
        own.read(file);
    }
    own
}

fn conventions() -> Option<Model> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/semconv-1.44.0/model");
    if !directory.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "the conventions' model is missing");
        println!("left out: the conventions' model is not here");
        return None;
    }
    let mut files = Vec::new();
    yaml_files(&directory, &mut files);
    let mut model = Model::default();
    for file in &files {
        model.read(file);
    }
    Some(model)
}

#[test]
fn every_instrument_is_as_the_conventions_or_our_registry_have_it() {
    let (own, conventions) = (own(), conventions());
    for instrument in instrument::all() {
        let ours = instrument.name.starts_with("steth.");
        let Some(model) = (if ours { Some(&own) } else { conventions.as_ref() }) else { continue };
        let Some((kind, unit)) = model.metrics.get(instrument.name) else {
            panic!("{} is nowhere defined", instrument.name);
        };
        let expect = match instrument.kind {
            Kind::Counter => "counter",
            Kind::UpDownCounter => "updowncounter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        assert_eq!(
            (kind.as_str(), unit.as_str()),
            (expect, instrument.unit),
            "{}",
            instrument.name
        );
    }
}

#[test]
fn every_key_is_as_the_conventions_or_our_registry_have_it() {
    let (own, conventions) = (own(), conventions());
    for (key, kind) in key::ALL {
        let ours = own.attributes.contains_key(key.0);
        let Some(model) = (if ours { Some(&own) } else { conventions.as_ref() }) else { continue };
        let expect = match kind {
            Type::Text => "string",
            Type::Int => "int",
            Type::Bool => "boolean",
            Type::List => "string[]",
            Type::Double => "double",
        };
        assert_eq!(model.attributes.get(key.0).map(String::as_str), Some(expect), "{}", key.0);
    }
}

#[test]
fn our_registry_has_nothing_that_is_not_used() {
    let own = own();
    let instruments: BTreeSet<&str> = instrument::all().map(|i| i.name).collect();
    let keys: BTreeSet<&str> = key::ALL.iter().map(|(key, _)| key.0).collect();
    for name in own.metrics.keys() {
        assert!(instruments.contains(name.as_str()), "{name}");
    }
    for name in
        own.attributes.keys().filter(|name| name.contains('.') && !name.starts_with("registry."))
    {
        assert!(keys.contains(name.as_str()), "{name}");
    }
    for name in &own.references {
        assert!(keys.contains(name.as_str()), "{name}");
    }
}

#[test]
fn names_are_in_one_place_each() {
    let instruments: BTreeSet<&str> = instrument::all().map(|i| i.name).collect();
    assert_eq!(instruments.len(), instrument::all().count());
    let keys: BTreeSet<&str> = key::ALL.iter().map(|(key, _)| key.0).collect();
    assert_eq!(keys.len(), key::ALL.len());
}
