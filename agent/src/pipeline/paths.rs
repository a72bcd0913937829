//! Which request paths are counted: a filter that only userspace can apply.

/// Patterns with `*` and `?`. Without any, every path is counted.
#[derive(Debug, Default)]
pub struct Paths {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

use crate::entity::glob::Glob;

impl Paths {
    /// Only what fits one of `include`, if there are any, and never what fits one of `exclude`.
    pub fn new(include: Vec<Glob>, exclude: Vec<Glob>) -> Self {
        Self { include, exclude }
    }

    /// Whether a path is counted.
    pub fn watches(&self, path: &str) -> bool {
        (self.include.is_empty() || self.include.iter().any(|glob| glob.matches(path)))
            && !self.exclude.iter().any(|glob| glob.matches(path))
    }
}
