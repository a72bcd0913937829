//! Patterns with `*` (any run of characters, slashes too) and `?` (any one).

/// A pattern over a whole text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    pattern: Vec<char>,
    is_path: bool,
}

impl Glob {
    /// The pattern that `text` stands for; every text stands for one.
    pub fn new(text: &str) -> Self {
        Self { pattern: text.chars().collect(), is_path: text.contains('/') }
    }

    /// True if the pattern says something of directories.
    pub fn is_path(&self) -> bool {
        self.is_path
    }

    /// Whether the whole of `text` fits. Takes at most the product of both lengths.
    pub fn matches(&self, text: &str) -> bool {
        let pattern = self.pattern.as_slice();
        let text: Vec<char> = text.chars().collect();
        let (mut p, mut t) = (0, 0);
        // Where the last star stood, and how much it has taken so far.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, t));
                    p += 1;
                    continue;
                }
                Some('?') => {
                    (p, t) = (p + 1, t + 1);
                    continue;
                }
                Some(c) if text.get(t) == Some(c) => {
                    (p, t) = (p + 1, t + 1);
                    continue;
                }
                _ => {}
            }
            let Some((at, taken)) = star else { return false };
            star = Some((at, taken + 1));
            (p, t) = (at + 1, taken + 1);
        }
        pattern.iter().skip(p).all(|c| *c == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_the_whole_text() {
        let check = |pattern: &str, text: &str, expect: bool| {
            assert_eq!(Glob::new(pattern).matches(text), expect, "{pattern} {text}");
        };
        check("nginx", "nginx", true);
        check("nginx", "nginx2", false);
        check("ngin", "nginx", false);
        check("*", "", true);
        check("", "", true);
        check("", "x", false);
        check("python?.*", "python3.11", true);
        check("*.service", "/system.slice/x.service", true);
        check("/kubepods*/*pod1*", "/kubepods.slice/a-pod1b.slice/x", true);
        check("a*b*c", "aXbYbZc", true);
        check("a*b*c", "aXbYbZ", false);
        check("*é?", "caféx", true);
        check(&"*a".repeat(50), &"a".repeat(49), false);
        check(&"*a".repeat(50), &"b".repeat(10_000), false);
    }
}
