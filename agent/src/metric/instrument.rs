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

impl Scale {
    /// A value in the exported unit.
    #[inline]
    pub fn apply(self, value: u64) -> f64 {
        match self {
            Self::One => value as f64,
            Self::NanosToSeconds => value as f64 / 1e9,
        }
    }
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

impl Instrument {
    /// Upper bounds of its explicit buckets, in the exported unit; none if it is no histogram.
    #[inline]
    pub fn bounds(&self) -> &'static [f64] {
        match self.kind {
            Kind::Histogram(bounds) => bounds,
            Kind::Counter | Kind::UpDownCounter | Kind::Gauge => &[],
        }
    }
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

/// Size of HTTP server request bodies.
pub static HTTP_SERVER_REQUEST_BODY_SIZE: Instrument = Instrument {
    name: "http.server.request.body.size",
    unit: "By",
    description: "Size of HTTP server request bodies.",
    kind: Kind::Histogram(BYTES),
    scale: Scale::One,
};

/// Size of HTTP server response bodies.
pub static HTTP_SERVER_RESPONSE_BODY_SIZE: Instrument = Instrument {
    name: "http.server.response.body.size",
    unit: "By",
    description: "Size of HTTP server response bodies.",
    kind: Kind::Histogram(BYTES),
    scale: Scale::One,
};

/// Size of HTTP client request bodies.
pub static HTTP_CLIENT_REQUEST_BODY_SIZE: Instrument = Instrument {
    name: "http.client.request.body.size",
    unit: "By",
    description: "Size of HTTP client request bodies.",
    kind: Kind::Histogram(BYTES),
    scale: Scale::One,
};

/// Size of HTTP client response bodies.
pub static HTTP_CLIENT_RESPONSE_BODY_SIZE: Instrument = Instrument {
    name: "http.client.response.body.size",
    unit: "By",
    description: "Size of HTTP client response bodies.",
    kind: Kind::Histogram(BYTES),
    scale: Scale::One,
};

/// Number of active HTTP server requests.
pub static HTTP_SERVER_ACTIVE_REQUESTS: Instrument = Instrument {
    name: "http.server.active_requests",
    unit: "{request}",
    description: "Number of active HTTP server requests.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Number of outbound HTTP connections that are active or idle.
pub static HTTP_CLIENT_OPEN_CONNECTIONS: Instrument = Instrument {
    name: "http.client.open_connections",
    unit: "{connection}",
    description: "Number of outbound HTTP connections that are active or idle.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Connects that came to nothing.
pub static STETH_TCP_CONNECT_FAILURES: Instrument = Instrument {
    name: "steth.tcp.connect.failures",
    unit: "{connection}",
    description: "Connects that came to nothing.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Exchanges that the kernel side or the parser knew of.
pub static STETH_EXCHANGE_SEEN: Instrument = Instrument {
    name: "steth.exchange.seen",
    unit: "{exchange}",
    description: "Exchanges that the kernel side or the parser knew of.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Exchanges that are in the exported metrics.
pub static STETH_EXCHANGE_REPORTED: Instrument = Instrument {
    name: "steth.exchange.reported",
    unit: "{exchange}",
    description: "Exchanges that are in the exported metrics.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Exchanges that were seen and are in no metric, by the stage that lost them and why.
pub static STETH_EXCHANGE_LOST: Instrument = Instrument {
    name: "steth.exchange.lost",
    unit: "{exchange}",
    description: "Exchanges that were seen and are in no metric, by the stage that lost them and why.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Kernel records read.
pub static STETH_RECORD_SEEN: Instrument = Instrument {
    name: "steth.record.seen",
    unit: "{record}",
    description: "Kernel records read.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Kernel records that were not written or made no sense, by stage and reason.
pub static STETH_RECORD_LOST: Instrument = Instrument {
    name: "steth.record.lost",
    unit: "{record}",
    description: "Kernel records that were not written or made no sense, by stage and reason.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Kernel records that were to be written, by kind.
pub static STETH_RECORD_WRITTEN: Instrument = Instrument {
    name: "steth.record.written",
    unit: "{record}",
    description: "Kernel records that were to be written, by kind.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Connections that turned out to carry no known protocol.
pub static STETH_CONNECTION_OPAQUE: Instrument = Instrument {
    name: "steth.connection.opaque",
    unit: "{connection}",
    description: "Connections that turned out to carry no known protocol.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Bytes moved on connections of no known protocol.
pub static STETH_CONNECTION_OPAQUE_IO: Instrument = Instrument {
    name: "steth.connection.opaque.io",
    unit: "By",
    description: "Bytes moved on connections of no known protocol.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Bytes that moved past every hook and are known by position alone.
pub static STETH_CONNECTION_SKIPPED_IO: Instrument = Instrument {
    name: "steth.connection.skipped.io",
    unit: "By",
    description: "Bytes that moved past every hook and are known by position alone.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Connections left out by a filter.
pub static STETH_CONNECTION_FILTERED: Instrument = Instrument {
    name: "steth.connection.filtered",
    unit: "{connection}",
    description: "Connections left out by a filter.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Calls whose first bytes could not be read where they lay.
pub static STETH_CALL_UNSEEN: Instrument = Instrument {
    name: "steth.call.unseen",
    unit: "{call}",
    description: "Calls whose first bytes could not be read where they lay.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Exchanges on connections whose protocol was never known, which are not told.
pub static STETH_EXCHANGE_UNKNOWN: Instrument = Instrument {
    name: "steth.exchange.unknown",
    unit: "{exchange}",
    description: "Exchanges on connections whose protocol was never known, which are not told.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Bytes that wait in the ring between the kernel side and the agent.
pub static STETH_RING_USAGE: Instrument = Instrument {
    name: "steth.ring.usage",
    unit: "By",
    description: "Bytes that wait in the ring between the kernel side and the agent.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Size of the ring.
pub static STETH_RING_LIMIT: Instrument = Instrument {
    name: "steth.ring.limit",
    unit: "By",
    description: "Size of the ring.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Memory that kernel maps hold.
pub static STETH_BPF_MAP_USAGE: Instrument = Instrument {
    name: "steth.bpf.map.usage",
    unit: "By",
    description: "Memory that kernel maps hold.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Entries in use of a kernel map.
pub static STETH_BPF_MAP_ENTRY_USAGE: Instrument = Instrument {
    name: "steth.bpf.map.entry.usage",
    unit: "{entry}",
    description: "Entries in use of a kernel map.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Entries that a kernel map can hold.
pub static STETH_BPF_MAP_ENTRY_LIMIT: Instrument = Instrument {
    name: "steth.bpf.map.entry.limit",
    unit: "{entry}",
    description: "Entries that a kernel map can hold.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Time spent in a kernel program; counted while BPF run-time statistics are on.
pub static STETH_BPF_PROGRAM_TIME: Instrument = Instrument {
    name: "steth.bpf.program.time",
    unit: "s",
    description: "Time spent in a kernel program; counted while BPF run-time statistics are on.",
    kind: Kind::Counter,
    scale: Scale::NanosToSeconds,
};

/// Runs of a kernel program; counted while BPF run-time statistics are on.
pub static STETH_BPF_PROGRAM_RUNS: Instrument = Instrument {
    name: "steth.bpf.program.runs",
    unit: "{run}",
    description: "Runs of a kernel program; counted while BPF run-time statistics are on.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// CPU time of the agent itself.
pub static STETH_CPU_TIME: Instrument = Instrument {
    name: "steth.cpu.time",
    unit: "s",
    description: "CPU time of the agent itself.",
    kind: Kind::Counter,
    scale: Scale::NanosToSeconds,
};

/// Resident memory of the agent itself.
pub static STETH_MEMORY_USAGE: Instrument = Instrument {
    name: "steth.memory.usage",
    unit: "By",
    description: "Resident memory of the agent itself.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Bytes that a stage of the agent holds.
pub static STETH_STAGE_MEMORY_USAGE: Instrument = Instrument {
    name: "steth.stage.memory.usage",
    unit: "By",
    description: "Bytes that a stage of the agent holds.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Bytes that a stage of the agent may hold.
pub static STETH_STAGE_MEMORY_LIMIT: Instrument = Instrument {
    name: "steth.stage.memory.limit",
    unit: "By",
    description: "Bytes that a stage of the agent may hold.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Connections that are followed.
pub static STETH_CONNECTION_USAGE: Instrument = Instrument {
    name: "steth.connection.usage",
    unit: "{connection}",
    description: "Connections that are followed.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Connections that can be followed at once.
pub static STETH_CONNECTION_LIMIT: Instrument = Instrument {
    name: "steth.connection.limit",
    unit: "{connection}",
    description: "Connections that can be followed at once.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Series that are kept.
pub static STETH_SERIES_USAGE: Instrument = Instrument {
    name: "steth.series.usage",
    unit: "{series}",
    description: "Series that are kept.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Series that can be kept.
pub static STETH_SERIES_LIMIT: Instrument = Instrument {
    name: "steth.series.limit",
    unit: "{series}",
    description: "Series that can be kept.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Exchanges counted in an overflow series because a budget of series was used up.
pub static STETH_SERIES_OVERFLOW: Instrument = Instrument {
    name: "steth.series.overflow",
    unit: "{exchange}",
    description: "Exchanges counted in an overflow series because a budget of series was used up.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Routes that are kept.
pub static STETH_ROUTE_USAGE: Instrument = Instrument {
    name: "steth.route.usage",
    unit: "{route}",
    description: "Routes that are kept.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Routes that can be kept.
pub static STETH_ROUTE_LIMIT: Instrument = Instrument {
    name: "steth.route.limit",
    unit: "{route}",
    description: "Routes that can be kept.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Exchanges counted under the route for all others.
pub static STETH_ROUTE_OTHER: Instrument = Instrument {
    name: "steth.route.other",
    unit: "{exchange}",
    description: "Exchanges counted under the route for all others.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Export requests by what came of them.
pub static STETH_EXPORT_REQUESTS: Instrument = Instrument {
    name: "steth.export.requests",
    unit: "{request}",
    description: "Export requests by what came of them.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Data points by what came of them.
pub static STETH_EXPORT_POINTS: Instrument = Instrument {
    name: "steth.export.points",
    unit: "{point}",
    description: "Data points by what came of them.",
    kind: Kind::Counter,
    scale: Scale::One,
};

/// Duration of export requests.
pub static STETH_EXPORT_DURATION: Instrument = Instrument {
    name: "steth.export.duration",
    unit: "s",
    description: "Duration of export requests.",
    kind: Kind::Histogram(SECONDS),
    scale: Scale::NanosToSeconds,
};

/// Bytes that wait to be exported.
pub static STETH_EXPORT_QUEUE_USAGE: Instrument = Instrument {
    name: "steth.export.queue.usage",
    unit: "By",
    description: "Bytes that wait to be exported.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// Bytes that may wait to be exported.
pub static STETH_EXPORT_QUEUE_LIMIT: Instrument = Instrument {
    name: "steth.export.queue.limit",
    unit: "By",
    description: "Bytes that may wait to be exported.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// 1 for the state that a probe is in.
pub static STETH_PROBE_STATE: Instrument = Instrument {
    name: "steth.probe.state",
    unit: "{probe}",
    description: "1 for the state that a probe is in.",
    kind: Kind::UpDownCounter,
    scale: Scale::One,
};

/// All of them.
pub static ALL: &[&Instrument] = &[
    &HTTP_SERVER_REQUEST_DURATION,
    &HTTP_CLIENT_REQUEST_DURATION,
    &HTTP_SERVER_REQUEST_BODY_SIZE,
    &HTTP_SERVER_RESPONSE_BODY_SIZE,
    &HTTP_CLIENT_REQUEST_BODY_SIZE,
    &HTTP_CLIENT_RESPONSE_BODY_SIZE,
    &HTTP_SERVER_ACTIVE_REQUESTS,
    &HTTP_CLIENT_OPEN_CONNECTIONS,
    &STETH_TCP_CONNECT_FAILURES,
    &STETH_EXCHANGE_SEEN,
    &STETH_EXCHANGE_REPORTED,
    &STETH_EXCHANGE_LOST,
    &STETH_RECORD_SEEN,
    &STETH_RECORD_LOST,
    &STETH_RECORD_WRITTEN,
    &STETH_CONNECTION_OPAQUE,
    &STETH_CONNECTION_OPAQUE_IO,
    &STETH_CONNECTION_SKIPPED_IO,
    &STETH_CONNECTION_FILTERED,
    &STETH_CALL_UNSEEN,
    &STETH_EXCHANGE_UNKNOWN,
    &STETH_RING_USAGE,
    &STETH_RING_LIMIT,
    &STETH_BPF_MAP_USAGE,
    &STETH_BPF_MAP_ENTRY_USAGE,
    &STETH_BPF_MAP_ENTRY_LIMIT,
    &STETH_BPF_PROGRAM_TIME,
    &STETH_BPF_PROGRAM_RUNS,
    &STETH_CPU_TIME,
    &STETH_MEMORY_USAGE,
    &STETH_STAGE_MEMORY_USAGE,
    &STETH_STAGE_MEMORY_LIMIT,
    &STETH_CONNECTION_USAGE,
    &STETH_CONNECTION_LIMIT,
    &STETH_SERIES_USAGE,
    &STETH_SERIES_LIMIT,
    &STETH_SERIES_OVERFLOW,
    &STETH_ROUTE_USAGE,
    &STETH_ROUTE_LIMIT,
    &STETH_ROUTE_OTHER,
    &STETH_EXPORT_REQUESTS,
    &STETH_EXPORT_POINTS,
    &STETH_EXPORT_DURATION,
    &STETH_EXPORT_QUEUE_USAGE,
    &STETH_EXPORT_QUEUE_LIMIT,
    &STETH_PROBE_STATE,
];
