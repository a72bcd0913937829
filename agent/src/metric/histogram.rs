//! A distribution kept twice, exactly: with explicit bounds and with exponential buckets.

/// Base-2 exponential buckets, as OTLP has them, of the values in the exported unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exponential {
    /// Bucket `i` holds values in `(base^i, base^(i+1)]` with `base = 2^(2^-scale)`.
    pub scale: i32,
    /// Values that are zero.
    pub zero_count: u64,
    /// Index of the first bucket in `counts`.
    pub offset: i32,
    /// At most 160 buckets.
    pub counts: Vec<u64>,
}

/// A distribution of whole numbers (nanoseconds, bytes).
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// How many values.
    pub count: u64,
    /// Their sum, in the unit kept inside.
    pub sum: u128,
    /// The least; meaningless while `count` is 0.
    pub min: u64,
    /// The greatest.
    pub max: u64,
    /// One count a bound and one beyond the last, upper bounds inclusive.
    pub explicit: Box<[u64]>,
    /// The same values in exponential buckets.
    pub exponential: Exponential,
}
