//! Which requests become spans, and what spans say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::unit::{Count, HeaderName, Hosts, Period, Share, Size};

/// Which requests become spans, and what spans say. Every request is counted before any of this
/// decides anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// Make spans and push them. Nothing: only if `otlp.traces_endpoint` is set or
    /// `OTEL_TRACES_EXPORTER` is `otlp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Share of the traces that is kept beside errors, slow ones and those that an incoming context
    /// marks as sampled, as far as `rate` and the budgets allow: `0.01` or `1%`. Decided by the trace id, so that all
    /// agents agree. Nothing: 1 %, or all where `sampler` says to sample by ratio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Share>,
    /// What the OpenTelemetry specification means by these names. Nothing: what an incoming context
    /// marks as sampled is kept, of the rest the share `ratio`. Errors and slow requests are kept
    /// beside what a sampler keeps, unless it is one of those that are always off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Sampler>,
    /// What takes longer is worth keeping, whatever is usual for its route. So is what is slower than 99 % of its
    /// own route's requests.
    pub slow: Period<1, 3_600_000>,
    /// A request in flight for longer is told of while it hangs, by a span of its own that its span
    /// links to when it has ended.
    pub hanging: Period<1000, 86_400_000>,
    /// Requests a second, each end of one counted, that are looked at for spans. Where more come, whole traces are
    /// looked at for a share of the time, and each stands for more; errors, what is slower than `slow` and what an
    /// incoming context or another host's agent names are looked at whenever they come, so this is no bound where all
    /// do. Counts and durations are of all requests, always.
    pub rate: Count<1, 10_000_000>,
    /// Spans a second of one service at most. Where more is wanted, fewer are kept and each stands for
    /// more; what is beyond even so is dropped and counted.
    pub per_service: Count<1, 100_000>,
    /// Spans a second of all services at most.
    pub total: Count<1, 1_000_000>,
    /// How long a request waits for the rest of its trace on this host before it is decided on. It is remembered
    /// as long again for others of its trace.
    pub window: Period<100, 300_000>,
    /// Memory of the requests in the window. Half of it is for those that are not decided on; when that is used up,
    /// the oldest are decided on early.
    pub window_bytes: Size<65_536, 4_294_967_296>,
    /// Whether traces are carried to and from other hosts that have an agent: `off`, `on`, or only of programs
    /// in a control group such as `/system.slice/shop.service`. A request on a connection made from here begins
    /// with a segment that has a TCP option of 28 bytes; nothing else of it changes, and it works under TLS. A path
    /// that drops such segments costs the first requests one retransmission each and gets no more of them. Asks for
    /// `CAP_NET_ADMIN`.
    pub hosts: Hosts,
    /// Link the calls of event loops (nginx, Node, asyncio) to the request they were made for, by the slices of
    /// the loop in which both fell. What a thread or goroutine does that holds one request at a time is linked always, and
    /// without doubt; what a loop does is told by coincidence and habit, so a link can be wrong, if seldom.
    pub event_loops: bool,
    /// Where the time of a request went, measured in the kernel, on its span and as
    /// `steth.request.*`: `off`, `on` or `exact`. `exact` tells waits to be read of less than two of the
    /// kernel's ticks as well, and waits to be accepted where the host lets nobody hook functions; it
    /// costs a program on every segment that arrives.
    pub why: Why,
    /// Query parameters whose values may be told; all others read `REDACTED`.
    pub query_parameters: Vec<String>,
    /// Request headers that are told, as `http.request.header.<name>`.
    pub request_headers: Vec<HeaderName>,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            enabled: None,
            ratio: None,
            sampler: None,
            slow: Period::from_millis(1000),
            hanging: Period::from_millis(30_000),
            rate: Count::of(10_000),
            per_service: Count::of(100),
            total: Count::of(1000),
            window: Period::from_millis(10_000),
            window_bytes: Size::from_bytes(16 << 20),
            hosts: Hosts::default(),
            event_loops: false,
            why: Why::default(),
            query_parameters: Vec::new(),
            request_headers: Vec::new(),
        }
    }
}

/// How much is told of where the time of a request went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Nothing.
    Off,
    /// By what the kernel keeps anyway.
    #[default]
    On,
    /// With the arrival of all bytes.
    Exact,
}

/// The samplers of the OpenTelemetry specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// Everything, as far as `rate` and the budgets allow.
    AlwaysOn,
    /// Nothing.
    AlwaysOff,
    /// The share `ratio` of all.
    #[serde(rename = "traceidratio")]
    TraceIdRatio,
    /// What an incoming context says; everything where there is none.
    #[serde(rename = "parentbased_always_on")]
    ParentBasedAlwaysOn,
    /// What an incoming context says; nothing where there is none.
    #[serde(rename = "parentbased_always_off")]
    ParentBasedAlwaysOff,
    /// What an incoming context says; the share `ratio` where there is none.
    #[serde(rename = "parentbased_traceidratio")]
    ParentBasedTraceIdRatio,
}
