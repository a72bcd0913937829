//! What an image is called: as it was given, and as runtimes keep it.

use anyhow::{Result, bail};

/// A name with its tag: `steth:0.1.0`, `registry.example/team/steth:0.1.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    /// Checked against what a registry takes.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (path, tag) = text.rsplit_once(':').unwrap_or((text, ""));
        let part = |part: &str, also: &str| {
            part.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
        };
        let lower = !path.chars().any(|c| c.is_ascii_uppercase());
        if lower && path.split('/').all(|of| part(of, "._-:")) && part(tag, "._-") {
            return Ok(Self(text.to_owned()));
        }
        bail!("`{text}` names no image. What to do: give a name and a tag, as in `steth:0.1.0`");
    }

    /// As it was given.
    pub(crate) fn given(&self) -> &str {
        &self.0
    }

    /// With the registry and the folder that runtimes add to a name that has none, as the kubelet asks
    /// for it.
    pub(crate) fn full(&self) -> String {
        let given = &self.0;
        match given.split_once('/') {
            None => format!("docker.io/library/{given}"),
            Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => given.clone(),
            Some(_) => format!("docker.io/{given}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn names_are_completed_as_runtimes_do() {
        let check =
            |text: &str, expect: &str| assert_eq!(Name::parse(text).unwrap().full(), expect);
        check("steth:0.1.0", "docker.io/library/steth:0.1.0");
        check("team/steth:1", "docker.io/team/steth:1");
        check("localhost/steth:1", "localhost/steth:1");
        check("test.invalid/steth:1", "test.invalid/steth:1");
        check("registry:5000/a/steth:1", "registry:5000/a/steth:1");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "steth", ":1", "steth:", "Steth:1", "a b:1", "host:5000/steth", "a//b:1"] {
            assert!(Name::parse(text).is_err(), "{text}");
        }
    }
}
