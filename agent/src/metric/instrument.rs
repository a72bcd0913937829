//! Every instrument the agent has, by its conventional name.

/// How an instrument adds up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Grows and shrinks.
    UpDownCounter,
    /// A reading.
    Gauge,
    /// A distribution; its bounds in the exported unit.
    Histogram(&'static [f64]),
}

/// What the integers inside are multiplied with to give the exported unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As they are.
    One,
    /// Nanoseconds inside, seconds outside.
    NanosToSeconds,
}

/// One instrument.
#[derive(Debug, PartialEq)]
pub struct Instrument {
    /// Its name by convention.
    pub name: &'static str,
    /// Its unit, UCUM.
    pub unit: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// How it adds up.
    pub kind: Kind,
    /// From what is kept inside to the unit.
    pub scale: Scale,
}

/// Bounds in seconds advised for HTTP, RPC, messaging and DNS durations.
pub const SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Bounds for sizes in bytes; the conventions advise none.
pub const BYTES: &[f64] = &[
    0.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
];

/// Duration of HTTP server requests.
pub static HTTP_SERVER_REQUEST_DURATION: Instrument = Instrument {
    name: "http.server.request.duration",
    unit: "s",
    description: "Duration of HTTP server requests.",
    kind: Kind::Histogram(SECONDS),
    scale: Scale::NanosToSeconds,
};

/// Duration of HTTP client requests.
pub static HTTP_CLIENT_REQUEST_DURATION: Instrument = Instrument {
    name: "http.client.request.duration",
    unit: "s",
    description: "Duration of HTTP client requests.",
    kind: Kind::Histogram(SECONDS),
    scale: Scale::NanosToSeconds,
};
