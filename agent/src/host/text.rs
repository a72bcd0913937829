//! Bytes that a process chose itself, made fit to be shown: valid, short, without control characters.

/// Bytes of a text that is kept at most.
pub const TEXT: usize = 255;

/// The text of `bytes`: lossy, control characters replaced, at most [`TEXT`] bytes.
pub fn text(bytes: &[u8]) -> String {
    limited(bytes, TEXT)
}

/// As [`text`], with another limit.
pub fn limited(bytes: &[u8], limit: usize) -> String {
    // Four times the limit is more than enough to fill it, whatever the bytes decode to.
    let bytes = bytes.get(..limit.saturating_mul(4)).unwrap_or(bytes);
    let mut out = String::new();
    for c in String::from_utf8_lossy(bytes).chars() {
        let c = if c.is_control() { '\u{fffd}' } else { c };
        if out.len() + c.len_utf8() > limit {
            break;
        }
        out.push(c);
    }
    out
}

/// What follows the last slash; the whole if there is none.
pub fn basename(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// The pieces of a NUL-separated block, without the empty one behind the last NUL.
pub fn pieces(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.strip_suffix(b"\0").unwrap_or(block).split(|b| *b == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_bytes_become_harmless_text() {
        let check = |input: &[u8], expect: &str| assert_eq!(text(input), expect);
        check(b"plain", "plain");
        check(b"a\nb\0c\x1b[31m", "a\u{fffd}b\u{fffd}c\u{fffd}[31m");
        check(b"\xff\xfe", "\u{fffd}\u{fffd}");
        check("héé".as_bytes(), "héé");
        assert_eq!(text(&vec![b'x'; 1 << 20]).len(), TEXT);
        assert_eq!(limited("ééé".as_bytes(), 5), "éé");
        assert_eq!(basename("/usr/bin/x"), "x");
        assert_eq!(basename("x/"), "x");
    }
}
