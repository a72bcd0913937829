//! Configured routes: `/users/{id}`, `/files/{name}.pdf`, `/static/*`.

use std::borrow::Cow;
use std::sync::Arc;

/// One configured route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Arc<str>,
    parts: Vec<Part>,
    /// Ends in `*`: whatever follows belongs to it.
    open: bool,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    /// Anything that begins and ends so.
    Any(Box<str>, Box<str>),
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not begin with `/`.
    #[error("a route begins with `/`")]
    Start,
    /// `*` stands before the end.
    #[error("`*` can only be the last segment of a route; `{{name}}` stands for one segment")]
    Star,
    /// Braces that do not match, or more than one pair in a segment.
    #[error("a segment of a route has at most one `{{name}}`")]
    Braces,
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some(inside) = text.strip_prefix('/') else { return Err(PatternError::Start) };
        let mut segments: Vec<&str> = inside.split('/').filter(|s| !s.is_empty()).collect();
        let open = segments.last().is_some_and(|last| *last == "*" || *last == "**");
        if open {
            segments.pop();
        }
        let parts = segments.into_iter().map(Part::parse).collect::<Result<_, _>>()?;
        let trimmed = text.trim_end_matches('/');
        let text = if trimmed.is_empty() { "/" } else { trimmed };
        Ok(Self { text: text.into(), parts, open })
    }

    /// As it was written, without a slash at the end.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether a path of these segments is one of this route's.
    pub(super) fn is(&self, segments: &[Cow<'_, str>], deeper: bool) -> bool {
        let long_enough = segments.len() >= self.parts.len();
        let not_longer = self.open || (segments.len() == self.parts.len() && !deeper);
        long_enough && not_longer && self.parts.iter().zip(segments).all(|(p, s)| p.is(s))
    }
}

impl Part {
    fn parse(segment: &str) -> Result<Self, PatternError> {
        if segment.contains('*') && !segment.contains('{') {
            return Err(PatternError::Star);
        }
        let Some((before, rest)) = segment.split_once('{') else {
            let plain = !segment.contains('}');
            return if plain {
                Ok(Self::Literal(segment.into()))
            } else {
                Err(PatternError::Braces)
            };
        };
        match rest.split_once('}') {
            Some((_, after)) if !after.contains(['{', '}']) => {
                Ok(Self::Any(before.into(), after.into()))
            }
            _ => Err(PatternError::Braces),
        }
    }

    fn is(&self, segment: &str) -> bool {
        match self {
            Self::Literal(text) => **text == *segment,
            Self::Any(before, after) => {
                segment.len() > before.len() + after.len()
                    && segment.starts_with(&**before)
                    && segment.ends_with(&**after)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::path::segments;
    use super::*;

    fn check(pattern: &str, path: &str, expect: bool) {
        let pattern = Pattern::parse(pattern).unwrap();
        let path = segments(path).unwrap();
        assert_eq!(pattern.is(&path.kept, path.deeper), expect, "{}", pattern.text());
    }

    #[test]
    fn matches_whole_paths() {
        check("/users/{id}", "/users/7", true);
        check("/users/{id}/", "/users/7/", true);
        check("/users/{id}", "/users", false);
        check("/users/{id}", "/users/7/x", false);
        check("/static/*", "/static/a/b/c", true);
        check("/static/*", "/static", true);
        check("/static/*", "/statics/a", false);
        check("/files/{name}.pdf", "/files/a.pdf", true);
        check("/files/{name}.pdf", "/files/a.txt", false);
        check("/", "/", true);
        check("/*", "/1/2/3/4/5/6/7/8/9/10/11/12", true);
    }

    #[test]
    fn says_what_is_wrong() {
        let wrong = |text| Pattern::parse(text).unwrap_err();
        assert_eq!(wrong("users"), PatternError::Start);
        assert_eq!(wrong("/a/*/b"), PatternError::Star);
        assert_eq!(wrong("/{a}{b}"), PatternError::Braces);
        assert_eq!(wrong("/{a"), PatternError::Braces);
    }
}
