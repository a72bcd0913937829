//! Trace and span ids: random as W3C has them, from a generator whose seed is passed in.

use std::fmt;

/// The id of a trace; never all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub [u8; 16]);

/// The id of a span; never all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    /// Its last 56 bits, which W3C Trace Context level 2 has be random.
    pub fn randomness(self) -> u64 {
        (u128::from_be_bytes(self.0) & 0x00ff_ffff_ffff_ffff) as u64
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// xoshiro256++ (Blackman and Vigna): fast, equidistributed, and not secret. Whoever sees ids could
/// foretell the next ones, which gains them nothing: ids are no credentials.
#[derive(Clone, Debug)]
pub struct Ids {
    state: [u64; 4],
    /// What [`Ids::number`] begins with.
    key: u64,
}

impl Ids {
    /// A generator that begins at `seed`; one of only zeroes would stay there, so it is another.
    pub fn new(seed: [u64; 4]) -> Self {
        let state = if seed == [0; 4] { [0x9e37_79b9_7f4a_7c15, 1, 2, 3] } else { seed };
        Self { state, key: state[0] ^ state[2].rotate_left(32) }
    }

    fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let shifted = b << 17;
        let out = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (mut c, mut d) = (c ^ a, d ^ b);
        let (b, a) = (b ^ c, a ^ d);
        c ^= shifted;
        d = d.rotate_left(45);
        self.state = [a, b, c, d];
        out
    }

    /// 56 random bits that are always the same for the same `place`: splitmix64 (Steele, Lea, Flood).
    pub fn number(&self, place: u64) -> u64 {
        let mut mixed = self.key.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) >> 8
    }

    /// An id for a new trace, of this randomness.
    pub fn trace(&mut self, randomness: u64) -> TraceId {
        loop {
            let random = (u128::from(self.next()) << 64) | u128::from(self.next() & 0xff << 56);
            let id = random | u128::from(randomness & 0x00ff_ffff_ffff_ffff);
            if id != 0 {
                return TraceId(id.to_be_bytes());
            }
        }
    }

    /// An id for a new span.
    pub fn span(&mut self) -> SpanId {
        loop {
            let id = self.next();
            if id != 0 {
                return SpanId(id.to_be_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn is_the_generator_it_says_it_is() {
        // The first outputs of the authors' reference code for this state.
        let mut ids = Ids::new([1, 2, 3, 4]);
        let first: Vec<u64> = (0..4).map(|_| ids.next()).collect();
        assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn ids_differ_and_their_bits_are_even() {
        let mut ids = Ids::new([0; 4]);
        let (mut seen, mut ones) = (BTreeSet::new(), [0_u32; 56]);
        for place in 0..10_000 {
            let id = ids.trace(ids.number(place));
            assert!(seen.insert(id));
            for (bit, count) in ones.iter_mut().enumerate() {
                *count += u32::from(id.randomness() >> bit & 1 == 1);
            }
        }
        assert!(ones.iter().all(|count| count.abs_diff(5000) < 250), "{ones:?}");
        assert_eq!(TraceId([0xff; 16]).randomness(), (1 << 56) - 1);
    }
}
