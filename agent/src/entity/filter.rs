//! What is observed and what is left out, by executable, service and control group.

use super::glob::Glob;

/// What patterns are held against.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The executable's name as it was invoked.
    pub executable: &'a str,
    /// The executable's path, where it is known.
    pub path: Option<&'a str>,
    /// The service's name.
    pub service: &'a str,
    /// The control group's path; empty where it is not known.
    pub cgroup: &'a str,
}

/// Patterns of which one is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    /// Names of executables; those with a slash are paths.
    pub executables: Vec<Glob>,
    /// Names of services.
    pub services: Vec<Glob>,
    /// Paths of control groups.
    pub cgroups: Vec<Glob>,
}

impl Patterns {
    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        let Self { executables, services, cgroups } = self;
        executables.is_empty() && services.is_empty() && cgroups.is_empty()
    }

    fn matches(&self, subject: &Subject<'_>) -> bool {
        self.executables.iter().any(|glob| executable(glob, subject.executable, subject.path))
            || self.services.iter().any(|glob| glob.matches(subject.service))
            || self.cgroups.iter().any(|glob| glob.matches(subject.cgroup))
    }
}

/// Whether a pattern is that of an executable: of its name, or of its path if it has a slash.
pub(super) fn executable(glob: &Glob, name: &str, path: Option<&str>) -> bool {
    if glob.is_path() { path.is_some_and(|path| glob.matches(path)) } else { glob.matches(name) }
}

/// What to observe. Without patterns: everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// If there are any, only these.
    pub include: Patterns,
    /// Never these.
    pub exclude: Patterns,
}

impl Filter {
    /// True if nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether `subject` is to be observed.
    pub fn watches(&self, subject: &Subject<'_>) -> bool {
        (self.include.is_empty() || self.include.matches(subject)) && !self.exclude.matches(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excluding_wins_over_including() {
        let globs = |text: &str| text.split_whitespace().map(Glob::new).collect::<Vec<_>>();
        let check = |include: [&str; 3], exclude: [&str; 3], expect: bool| {
            let patterns = |[executables, services, cgroups]: [&str; 3]| Patterns {
                executables: globs(executables),
                services: globs(services),
                cgroups: globs(cgroups),
            };
            let filter = Filter { include: patterns(include), exclude: patterns(exclude) };
            let subject = Subject {
                executable: "python3",
                path: Some("/usr/bin/python3.11"),
                service: "shop",
                cgroup: "/system.slice/shop.service",
            };
            assert_eq!(filter.watches(&subject), expect, "{include:?} {exclude:?}");
        };
        check(["", "", ""], ["", "", ""], true);
        check(["python*", "", ""], ["", "", ""], true);
        check(["/usr/bin/*", "", ""], ["", "", ""], true);
        check(["/usr/sbin/*", "", ""], ["", "", ""], false);
        check(["nginx", "", ""], ["", "", ""], false);
        check(["nginx", "sh?p", ""], ["", "", ""], true);
        check(["", "", "/user.slice/*"], ["", "", ""], false);
        check(["", "shop", ""], ["", "", "*.service"], false);
        check(["", "", ""], ["", "bill*", ""], true);
    }
}
