//! A request path as segments: percent-encoding undone, empty segments gone, nonsense refused.

use std::borrow::Cow;

/// Longer paths are not looked at.
const MAX_BYTES: usize = 2048;
/// Deeper paths end in a placeholder for the rest.
pub(super) const MAX_SEGMENTS: usize = 10;

/// The segments of a path.
pub(super) struct Segments<'a> {
    /// The first [`MAX_SEGMENTS`] of them.
    pub(super) kept: Vec<Cow<'a, str>>,
    /// There are more.
    pub(super) deeper: bool,
}

/// Takes a path apart; `None` if it is over-long, has control characters, climbs (`..`) or is none.
///
/// `/a/`, `//a` and `/./a` are `/a`; `;parameters` of a segment are cut off; `%61` is `a`.
pub(super) fn segments(path: &str) -> Option<Segments<'_>> {
    if !path.starts_with('/') || path.len() > MAX_BYTES {
        return None;
    }
    if path.bytes().any(|b| b.is_ascii_control()) {
        return None;
    }
    let mut kept = Vec::with_capacity(8);
    let mut deeper = false;
    for raw in path.split('/') {
        let raw = raw.split(';').next().unwrap_or(raw);
        let segment = decode(raw)?;
        match segment.as_ref() {
            "" | "." => continue,
            ".." => return None,
            _ => {}
        }
        if kept.len() == MAX_SEGMENTS {
            deeper = true;
        } else {
            kept.push(segment);
        }
    }
    Some(Segments { kept, deeper })
}

/// Undoes percent-encoding; what is no valid escape stays as it is; control characters refuse.
fn decode(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains('%') {
        return Some(Cow::Borrowed(raw));
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, tail @ ..] = rest {
        if let (b'%', [high, low, behind @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            let byte = high << 4 | low;
            if byte.is_ascii_control() {
                return None;
            }
            bytes.push(byte);
            rest = behind;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expect: Option<&[&str]>) {
        let found = segments(path).map(|s| s.kept);
        assert_eq!(
            found.as_deref(),
            expect.map(|e| e.iter().map(|s| Cow::from(*s)).collect::<Vec<_>>()).as_deref(),
            "{path}"
        );
    }

    #[test]
    fn takes_paths_apart() {
        check("/", Some(&[]));
        check("/a/b/", Some(&["a", "b"]));
        check("//a/./b", Some(&["a", "b"]));
        check("/%61%2Fb/c%zz%", Some(&["a/b", "c%zz%"]));
        check("/a;jsessionid=1/b", Some(&["a", "b"]));
        check("", None);
        check("a", None);
        check("/a/../b", None);
        check("/a\u{7}", None);
        check("/a%00", None);
        check("/a%2e%2E/b", Some(&["a..", "b"]));
        check("/%2e%2e/b", None);
        check(&format!("/{}", "a".repeat(4000)), None);
        assert!(
            segments("/1/2/3/4/5/6/7/8/9/10/11").is_some_and(|s| s.deeper && s.kept.len() == 10)
        );
    }
}
