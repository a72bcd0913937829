//! Counters that the kernel keeps in 32 bits, made wide.

/// One counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wide {
    last: Option<u64>,
    sum: u64,
}

impl Wide {
    /// Everything counted so far.
    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    /// Everything counted so far, given what the source says at this moment. A step back from near the
    /// end of 32 bits is a wrap; any other is a source that began anew.
    pub(crate) fn take(&mut self, raw: u64) -> u64 {
        const SPAN: u64 = 1 << 32;
        let step = match self.last {
            Some(last) if raw >= last => raw - last,
            Some(last) if last < SPAN && last - raw > SPAN / 2 => raw + SPAN - last,
            Some(_) | None => raw,
        };
        self.last = Some(raw);
        self.sum = self.sum.saturating_add(step);
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrap_goes_on_and_a_reset_begins_anew() {
        let check = |readings: &[u64], expect: u64| {
            let mut counter = Wide::default();
            let got = readings.iter().fold(0, |_, raw| counter.take(*raw));
            assert_eq!(got, expect, "{readings:?}");
        };
        check(&[5, 7], 7);
        check(&[0xffff_fff0, 16], (1 << 32) + 16);
        check(&[0xffff_ffff, 0, 0xffff_ffff, 0], 1 << 33);
        check(&[1000, 3], 1003);
        check(&[1 << 40, 3], (1 << 40) + 3);
        check(&[u64::MAX, 0, u64::MAX], u64::MAX);
    }
}
