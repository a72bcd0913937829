//! Queries of URLs without their values, and header values fit to be told.

use std::borrow::Cow;

/// What stands for a value.
const REDACTED: &str = "REDACTED";
/// No longer text is told.
const LONGEST: usize = 1024;

/// A query with every value redacted but those of the parameters that are allowed. A word without
/// `=` may be a secret as well as a name: it is a value.
pub(super) fn query(text: &str, allowed: &[String]) -> String {
    let mut out = String::new();
    for (place, parameter) in text.split('&').enumerate() {
        if out.len() > LONGEST {
            break;
        }
        if place > 0 {
            out.push('&');
        }
        let (key, value) = parameter.split_once('=').unwrap_or(("", parameter));
        if allowed.iter().any(|name| name == key || (key.is_empty() && name == value)) {
            out.push_str(parameter);
        } else if parameter.contains('=') {
            out.push_str(key);
            out.push('=');
            out.push_str(if value.is_empty() { "" } else { REDACTED });
        } else if !parameter.is_empty() {
            out.push_str(REDACTED);
        }
    }
    tidy(out.as_bytes())
}

/// Text of a header as it can be told: short, UTF-8, no control characters.
pub(super) fn tidy(bytes: &[u8]) -> String {
    let bytes = bytes.get(..LONGEST).unwrap_or(bytes);
    let text: Cow<'_, str> = String::from_utf8_lossy(bytes);
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_told_that_is_not_allowed() {
        let check = |text, expect: &str| {
            let allowed = ["page".to_owned(), "flag".to_owned()];
            assert_eq!(query(text, &allowed), expect, "{text}");
        };
        check("", "");
        check("a=secret", "a=REDACTED");
        check("a=secret&page=7&b=", "a=REDACTED&page=7&b=");
        check("page=1&page=2", "page=1&page=2");
        check("secret", "REDACTED");
        check("flag&&other", "flag&&REDACTED");
        check("a=b=c", "a=REDACTED");
        check("=secret", "=REDACTED");
        check("Page=7", "Page=REDACTED");
        check("sig=x&X-Amz-Signature=y", "sig=REDACTED&X-Amz-Signature=REDACTED");
        assert!(query(&"a=b&".repeat(100_000), &[]).len() <= LONGEST);
    }

    #[test]
    fn text_is_short_and_printable() {
        assert_eq!(tidy(b"curl/8.5 (x)"), "curl/8.5 (x)");
        assert_eq!(tidy(b"a\x1b[0m\xff"), "a\u{fffd}[0m\u{fffd}");
        assert!(tidy(&[0xff; 9000]).chars().count() <= LONGEST);
    }
}
