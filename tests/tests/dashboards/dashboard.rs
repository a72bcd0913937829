//! Dashboards as they lie in `deploy/grafana`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

/// Said in the description of a panel that has nothing to show on many hosts, and why.
pub const EMPTY: &str = "Empty where";

/// One query.
#[derive(Clone, Debug)]
pub struct Query {
    /// Dashboard and panel, or variable.
    pub place: String,
    /// In the language of Prometheus, with variables.
    pub text: String,
    /// Why it may have no result, where its panel says so.
    pub may_be_empty: Option<String>,
}

/// A dashboard.
#[derive(Debug)]
pub struct Dashboard {
    /// The name of its file.
    pub name: String,
    /// All of it.
    pub json: Value,
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

impl Dashboard {
    /// All there are, by name.
    pub fn all() -> anyhow::Result<Vec<Self>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/grafana");
        let files = std::fs::read_dir(&folder).context("no dashboards")?;
        let mut files: Vec<PathBuf> =
            files.map(|file| Ok(file?.path())).collect::<std::io::Result<_>>()?;
        files.sort();
        let read = |file: &PathBuf| {
            let json = serde_json::from_slice(&std::fs::read(file)?)
                .with_context(|| file.display().to_string())?;
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok(Self { name, json })
        };
        files.iter().map(read).collect()
    }

    /// All panels, those within collapsed rows too.
    pub fn panels(&self) -> Vec<&Value> {
        let own = list(&self.json, "/panels").iter();
        own.flat_map(|panel| std::iter::once(panel).chain(list(panel, "/panels"))).collect()
    }

    /// Its variables, each with what stands for all of its values.
    pub fn variables(&self) -> Vec<(&str, &str)> {
        let all = list(&self.json, "/templating/list").iter();
        all.map(|one| (text(one, "/name"), text(one, "/allValue"))).collect()
    }

    /// Every query of its panels.
    pub fn queries(&self) -> Vec<Query> {
        let mut queries = Vec::new();
        for panel in self.panels() {
            let description = text(panel, "/description");
            for target in list(panel, "/targets") {
                queries.push(Query {
                    place: format!(
                        "{}: {} {}",
                        self.name,
                        text(panel, "/title"),
                        text(target, "/refId")
                    ),
                    text: text(target, "/expr").to_owned(),
                    may_be_empty: description.find(EMPTY).map(|at| description[at..].to_owned()),
                });
            }
        }
        queries
    }

    /// The queries of its variables, as queries for series.
    pub fn variable_queries(&self) -> Vec<Query> {
        let all = list(&self.json, "/templating/list").iter();
        let asked = all.filter(|one| text(one, "/type") == "query");
        asked
            .map(|one| {
                let query = text(one, "/query/query");
                let inner = |name: &str| Some(query.strip_prefix(name)?.strip_suffix(')')?.trim());
                let text_of = match (inner("label_values("), inner("query_result(")) {
                    (Some(values), _) => {
                        let (series, label) = values.rsplit_once(',').unwrap_or((values, ""));
                        format!("group by ({}) ({series})", label.trim())
                    }
                    (_, Some(result)) => result.to_owned(),
                    _ => query.to_owned(),
                };
                Query {
                    place: format!("{}: ${}", self.name, text(one, "/name")),
                    text: text_of,
                    may_be_empty: None,
                }
            })
            .collect()
    }
}

impl Query {
    /// With every variable filled in: everything there is, and short ranges for a short test.
    pub fn filled(&self, variables: &[(&str, &str)]) -> String {
        let mut all = vec![("__rate_interval", "10s"), ("__interval", "2s"), ("__range", "30s")];
        all.extend_from_slice(variables);
        // The longest first: one name may begin with another.
        all.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let mut out = self.text.clone();
        for (name, value) in all {
            out = out.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
        }
        out
    }
}
