//! Keys that are not ours: what programs and their configuration call things.

use std::collections::HashSet;

use super::key::Key;

/// Keys that programs chose themselves, kept for as long as the agent runs: at most [`Keys::LIMIT`].
///
/// A [`Key`] is a name that never goes away; the few that configuration and programs add to ours
/// are made so by leaking them, once each.
#[derive(Debug, Default)]
pub struct Keys {
    known: HashSet<&'static str>,
}

impl Keys {
    /// Different keys that programs may add in all.
    pub const LIMIT: usize = 512;

    /// The key of this name; `None` if there are too many.
    pub fn of(&mut self, name: &str) -> Option<Key> {
        if let Some(known) = self.known.get(name) {
            return Some(Key(known));
        }
        if self.known.len() >= Self::LIMIT {
            return None;
        }
        let leaked: &'static str = Box::leak(name.to_owned().into_boxed_str());
        self.known.insert(leaked);
        Some(Key(leaked))
    }
}

#[cfg(test)]
mod tests {
    use super::Keys;

    #[test]
    fn foreign_keys_are_bounded() {
        let mut keys = Keys::default();
        assert_eq!(keys.of("a"), keys.of("a"));
        let made = (0..10_000).filter(|i| keys.of(&format!("k{i}")).is_some()).count();
        assert_eq!(made, Keys::LIMIT - 1);
        assert!(keys.of("a").is_some());
    }
}
