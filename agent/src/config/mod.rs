//! What the agent is told: one YAML file, the environment, and flags, each stronger than the last.
//!
//! The order is: defaults, file, `OTEL_*` variables, `STETH_*` variables, flags. All of them become
//! one tree of texts that know their place; the tree is typed once, and from then on nothing
//! re-checks. Adding a key is one field in [`keys`]: reader, schema, reference page and environment
//! variable follow from it.

pub mod cli;
mod environment;
mod error;
pub(crate) mod flag;
pub mod keys;
mod leaf;
mod node;
pub mod reference;
pub mod show;
pub mod stage;
mod typed;
pub mod unit;
mod yaml;

pub use error::{Complaint, ConfigError};
pub use keys::Config;
pub use node::Origin;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use error::Fault;
use node::{Node, Value};

/// Where a configuration is looked for when none is named.
pub const DEFAULT_FILE: &str = "/etc/steth/steth.yaml";

/// One value from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Dotted path of the key.
    pub path: &'static str,
    /// The flag.
    pub flag: &'static str,
    /// What was given, lists separated by commas.
    pub text: String,
}

/// Everything a configuration is made of.
#[derive(Debug, Default)]
pub struct Sources {
    /// The file, if one was named: it has to exist then.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// Flags.
    pub flags: Vec<Setting>,
}

/// A configuration and where it came from.
#[derive(Debug)]
pub struct Loaded {
    /// What was meant.
    pub config: Config,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    /// What was passed over, for the log: the specification asks to ignore `OTEL_*` values that
    /// make no sense.
    pub warnings: Vec<String>,
    /// What was typed.
    tree: Node,
    /// `OTEL_*` variables that no key stands for.
    keyless: BTreeMap<String, String>,
}

impl Loaded {
    /// Where the value of a key was set; `None` for a default.
    pub fn origin(&self, path: &str) -> Option<&Origin> {
        let mut at = &self.tree;
        for step in path.split('.') {
            let Value::Map(entries) = &at.value else { return None };
            at = entries.iter().find(|(key, _)| key.text == step).map(|(_, node)| node)?;
        }
        Some(&at.origin)
    }
}

/// Reads, merges and types all of it.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let named = sources.file.clone().or_else(|| {
        let value = |name| sources.environment.iter().find(|(key, _)| key == name);
        value(environment::FILE).filter(|(_, v)| !v.is_empty()).map(|(_, v)| PathBuf::from(v))
    });
    let file = match named {
        Some(path) => Some(path),
        None => Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.try_exists().unwrap_or(true)),
    };
    let text = file.as_deref().map(read).transpose()?.unwrap_or_default();
    load_text(file.as_deref(), &text, sources)
}

/// Types the text of one file with nothing over it.
pub fn validate(path: &Path) -> Result<Config, ConfigError> {
    let text = read(path)?;
    Ok(load_text(Some(path), &text, &Sources::default())?.config)
}

fn load_text(file: Option<&Path>, text: &str, sources: &Sources) -> Result<Loaded, ConfigError> {
    let wrong = |fault| ConfigError::Wrong(Box::new(Complaint::new(fault, file, text)));
    let mut tree = yaml::tree(text).map_err(wrong)?;
    // The file alone first: a mistake in it is not to be hidden by what lies over it.
    typed(&tree).map_err(wrong)?;
    let mut warnings = Vec::new();
    for (path, node) in environment::otel(&sources.environment, &mut warnings) {
        let mut with = tree.clone();
        with.set(&path, node);
        match typed(&with) {
            Ok(_) => tree = with,
            Err(fault) => {
                let told = Complaint::new(fault, None, "").to_string();
                warnings.push(format!("ignored: {}", told.replace("\n  ", "; ")));
            }
        }
    }
    for (path, node) in environment::own(&sources.environment).map_err(wrong)? {
        tree.set(&path.split('.').collect::<Vec<_>>(), node);
    }
    for Setting { path, flag, text } in &sources.flags {
        let node = Node { origin: Origin::Flag(flag), value: Value::Text(text.clone()) };
        tree.set(&path.split('.').collect::<Vec<_>>(), node);
    }
    let keyless = environment::keyless(&sources.environment);
    let config = typed(&tree).map_err(wrong)?;
    if let Some((path, message)) = config.contradiction() {
        return Err(wrong(Fault {
            origin: Some(tree.origin_of(path).clone()),
            path: path.join("."),
            problem: error::Problem::Wrong(message.to_owned()),
        }));
    }
    Ok(Loaded { config, file: file.map(Path::to_path_buf), warnings, tree, keyless })
}

fn typed(tree: &Node) -> Result<Config, Fault> {
    Config::deserialize(tree)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_path_buf(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    let limit = yaml::FILE_LIMIT;
    file.take(limit as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() > limit {
        return Err(ConfigError::TooLarge { path: path.to_path_buf(), limit });
    }
    Ok(text)
}

#[cfg(test)]
pub(crate) mod tests;
