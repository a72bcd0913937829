//! Names given to services by configuration.

use super::filter;
use super::glob::Glob;

/// A name for the processes that fit every pattern given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The executable's name; its path if the pattern has a slash.
    pub executable: Option<Glob>,
    /// The whole command line, joined by blanks.
    pub command: Option<Glob>,
    /// The control group's path.
    pub cgroup: Option<Glob>,
    /// The service's name.
    pub name: String,
    /// The service's namespace.
    pub namespace: Option<String>,
}

impl Rule {
    /// Whether a process fits. A rule without patterns fits none.
    pub fn fits(&self, executable: &str, path: Option<&str>, command: &str, cgroup: &str) -> bool {
        let Self {
            executable: by_executable,
            command: by_command,
            cgroup: by_cgroup,
            name: _,
            namespace: _,
        } = self;
        let given = by_executable.is_some() || by_command.is_some() || by_cgroup.is_some();
        given
            && by_executable.as_ref().is_none_or(|g| filter::executable(g, executable, path))
            && by_command.as_ref().is_none_or(|g| g.matches(command))
            && by_cgroup.as_ref().is_none_or(|g| g.matches(cgroup))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_given_must_fit() {
        let check = |executable: &str, command: &str, cgroup: &str, expect: bool| {
            let glob = |text: &str| (!text.is_empty()).then(|| Glob::new(text));
            let rule = Rule {
                executable: glob(executable),
                command: glob(command),
                cgroup: glob(cgroup),
                name: "x".to_owned(),
                namespace: None,
            };
            let fits = rule.fits("java", Some("/usr/bin/java"), "java -jar shop.jar", "/a.slice");
            assert_eq!(fits, expect, "{executable} {command} {cgroup}");
        };
        check("", "", "", false);
        check("java", "", "", true);
        check("java", "*shop*", "/a*", true);
        check("java", "*shop*", "/b*", false);
        check("/usr/*", "", "", true);
    }
}
