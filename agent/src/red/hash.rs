//! A hasher for numbers that are already told apart by their bits: one multiplication.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds [`Number`]s.
pub type ByNumber = BuildHasherDefault<Number>;

/// Hashes one number of up to 64 bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Number(u64);

impl Hasher for Number {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        let (low, high) =
            (self.0 ^ number ^ 0x2545_f491_4f6c_dd1d).carrying_mul(0x9e37_79b9_7f4a_7c15, 0);
        self.0 = low ^ high;
    }
}
