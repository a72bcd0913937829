//! Looking for the end of a head, eight bytes at a time.

/// `\r\n\r\n`, little-endian.
pub const MARK: u32 = u32::from_le_bytes(*b"\r\n\r\n");

/// A bit pattern that is not zero if `word` has a carriage return in any byte.
#[allow(clippy::inline_always, reason = "the kernel's verifier counts what a call costs")]
#[inline(always)]
pub const fn has_return(word: u64) -> u64 {
    let x = word ^ 0x0d0d_0d0d_0d0d_0d0d;
    x.wrapping_sub(0x0101_0101_0101_0101) & !x & 0x8080_8080_8080_8080
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_return_in_any_place() {
        for i in 0..8 {
            let mut bytes = *b"abcdefgh";
            assert_eq!(has_return(u64::from_le_bytes(bytes)), 0);
            bytes[i] = b'\r';
            assert_ne!(has_return(u64::from_le_bytes(bytes)), 0);
        }
    }
}
