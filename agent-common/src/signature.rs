//! How the kernel side tells the first bytes of a protocol it does not know: eight bytes, masked.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a signature at the beginning of a turn says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Class {
    /// No signature.
    None = 0,
    /// The turn asks.
    Ask = 1,
    /// The turn answers.
    Answer = 2,
    /// The turn answers, and may hold more than one message: follow it in full.
    Interim = 3,
}

/// One signature.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Signature {
    /// The first eight bytes as a little-endian number, zero where the mask is.
    pub value: u64,
    /// Which of them count.
    pub mask: u64,
    /// [`Class`].
    pub class: u32,
    /// Where the eight bytes begin; only 0 may settle what a connection is.
    pub at: u32,
}

/// How many signatures there are at most.
pub const SIGNATURES: usize = 16;

impl Signature {
    /// The signature of up to eight first bytes.
    #[allow(
        clippy::indexing_slicing,
        reason = "the loop ends at the text's end; a const has no get"
    )]
    pub const fn of(at: u32, text: &[u8], class: Class) -> Self {
        let (mut value, mut mask, mut i) = (0u64, 0u64, 0);
        while i < text.len() && i < 8 {
            value |= (text[i] as u64) << (8 * i);
            mask |= 0xff << (8 * i);
            i += 1;
        }
        Self { value, mask, class: class as u32, at }
    }

    /// Whether `first` (eight bytes, little-endian) begins with it.
    #[allow(clippy::inline_always, reason = "the kernel's verifier counts what a call costs")]
    #[inline(always)]
    pub const fn is(&self, first: u64) -> bool {
        self.mask != 0 && first & self.mask == self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_only_its_own_first_bytes() {
        let get = Signature::of(0, b"GET ", Class::Ask);
        assert!(get.is(u64::from_le_bytes(*b"GET / HT")));
        assert!(!get.is(u64::from_le_bytes(*b"GETTING ")));
        assert!(!Signature::default().is(0));
    }
}
