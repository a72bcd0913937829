//! Looking for the end of a head, eight bytes at a time.

/// `\r\n\r\n`, little-endian.
pub const MARK: u32 = u32::from_le_bytes(*b"\r\n\r\n");

/// The next word to look at begins so many bytes further: what two words have in common is enough for
/// what [`has_empty_line`] looks for to lie in one of them.
pub const STEP: u64 = 7;

/// Not zero if `word` has `\n\r` in it, as at the end of a head and nowhere else in one; now and then
/// not zero without.
#[allow(clippy::inline_always, reason = "the kernel's verifier counts what a call costs")]
#[inline(always)]
pub const fn has_empty_line(word: u64) -> u64 {
    any(word, 0x0a0a_0a0a_0a0a_0a0a) << 8 & any(word, 0x0d0d_0d0d_0d0d_0d0d)
}

/// The top bit of every byte that is as in `pattern`, and of some above one that is.
#[allow(clippy::inline_always, reason = "as above")]
#[inline(always)]
const fn any(word: u64, pattern: u64) -> u64 {
    let x = word ^ pattern;
    x.wrapping_sub(0x0101_0101_0101_0101) & !x & 0x8080_8080_8080_8080
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_an_empty_line_in_any_place() {
        for i in 0..7 {
            let mut bytes = *b"abcdefgh";
            assert_eq!(has_empty_line(u64::from_le_bytes(bytes)), 0);
            bytes[i + 1] = b'\r';
            assert_eq!(has_empty_line(u64::from_le_bytes(bytes)), 0);
            bytes[i] = b'\n';
            assert_ne!(has_empty_line(u64::from_le_bytes(bytes)), 0);
        }
    }

    #[test]
    fn passes_over_lines_that_are_not_empty() {
        assert_eq!(has_empty_line(u64::from_le_bytes(*b"a\r\nb: c\r")), 0);
    }
}
