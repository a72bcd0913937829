//! Whether traces are carried between hosts, and of whom.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

as_text! {
    [] Hosts;
}

/// Whether traces are carried between hosts: `off`, `on`, or only of a control group's programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Option<PathBuf>);

impl Hosts {
    /// The control group below the root of its hierarchy, empty for that root; none if it is off.
    pub fn group(&self) -> Option<&Path> {
        self.0.as_deref()
    }
}

impl FromStr for Hosts {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" | "false" => Ok(Self(None)),
            "on" | "true" => Ok(Self(Some(PathBuf::new()))),
            _ => {
                let group = text.strip_prefix('/').filter(|group| !group.is_empty());
                let is_plain =
                    |group: &&str| group.split('/').all(|name| !matches!(name, "" | "." | ".."));
                let group =
                    group.filter(is_plain).ok_or("off, on, or the path of a control group")?;
                Ok(Self(Some(PathBuf::from(group))))
            }
        }
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("off"),
            Some(group) if group.as_os_str().is_empty() => f.write_str("on"),
            Some(group) => write!(f, "/{}", group.display()),
        }
    }
}

impl JsonSchema for Hosts {
    fn schema_name() -> Cow<'static, str> {
        "Hosts".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "boolean"], "title": "off, on, or a control group" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_off_on_or_of_one_group() {
        let check = |text: &str, group: Option<&str>, shown: &str| {
            let hosts: Hosts = text.parse().unwrap();
            assert_eq!((hosts.group(), hosts.to_string().as_str()), (group.map(Path::new), shown));
        };
        check("off", None, "off");
        check("false", None, "off");
        check("on", Some(""), "on");
        check("true", Some(""), "on");
        check(
            "/system.slice/shop.service",
            Some("system.slice/shop.service"),
            "/system.slice/shop.service",
        );
        for text in ["", "/", "yes", "a/b", "/a/../b", "//a", "/a/"] {
            assert!(text.parse::<Hosts>().is_err(), "{text}");
        }
    }
}
