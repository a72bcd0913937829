//! `seen = reported + lost`: what became of everything that came in, live or replayed.

use agent_common::counter::Counter;

use crate::health::{KernelCounter, Loss, Totals};
use crate::pipeline::Pipeline;
use crate::protocol::http1::Count;

/// The kernel side's name among the stages.
pub(super) const KERNEL: &str = "kernel";
const HTTP1: &str = "http1";
const RING_EXCHANGE: &str = "ring_full_exchange";

/// What became of what came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Exchanges.
    pub exchanges: Totals,
    /// Everything lost; only what is not zero.
    pub losses: Vec<Loss>,
    /// What the kernel side counted that is no loss.
    pub kernel: Vec<KernelCounter>,
}

/// The account of a pipeline and of the kernel side's counters.
pub fn account(of: &dyn Fn(Counter) -> u64, pipeline: &Pipeline) -> Account {
    let http1 = pipeline.http1().counters();
    let red = pipeline.red().counters();
    let exchanges = Totals {
        seen: http1.get(Count::Requests) + of(Counter::LostRingExchange),
        reported: red.observed + pipeline.counters().filtered,
        lost: of(Counter::LostRingExchange) + http1.lost(),
        in_flight: pipeline.http1().in_flight().count() as u64,
    };
    Account { exchanges, losses: losses(of, pipeline), kernel: kernel(of) }
}

/// Whether exchanges were lost, and not records.
pub(super) fn is_of_exchanges(loss: &Loss) -> bool {
    loss.stage == HTTP1 || loss.reason == RING_EXCHANGE
}

/// Everything lost, where and why.
fn losses(of: &dyn Fn(Counter) -> u64, pipeline: &Pipeline) -> Vec<Loss> {
    let http1 = pipeline.http1().counters();
    let kernel = [
        (RING_EXCHANGE, Counter::LostRingExchange),
        ("ring_full_segment", Counter::LostRingSegment),
        ("ring_full_close", Counter::LostRingClose),
        ("ring_full_connect", Counter::LostRingConnect),
        ("ring_full_process", Counter::LostRingProcess),
        ("no_socket_state", Counter::LostNoState),
        ("no_thread_state", Counter::LostNoThread),
        ("ring_full_thread", Counter::LostRingThread),
        ("ring_full_carried", Counter::LostRingCarried),
    ];
    let malformed = ["short", "kind", "field", "alignment"];
    let requests = [
        ("gap", Count::LostGap),
        ("evicted", Count::LostEvicted),
        ("vanished", Count::LostVanished),
        ("pipeline_full", Count::LostPipeline),
        ("records_missing", Count::LostSequence),
        ("tunnel", Count::LostTunnel),
    ];
    let kernel = kernel.map(|(reason, counter)| Loss { stage: KERNEL, reason, count: of(counter) });
    let malformed = malformed.into_iter().zip(pipeline.counters().malformed);
    let malformed = malformed.map(|(reason, count)| Loss { stage: "event", reason, count });
    let requests =
        requests.map(|(reason, count)| Loss { stage: HTTP1, reason, count: http1.get(count) });
    kernel.into_iter().chain(malformed).chain(requests).filter(|loss| loss.count > 0).collect()
}

/// What is counted beside exchanges and losses.
fn kernel(of: &dyn Fn(Counter) -> u64) -> Vec<KernelCounter> {
    let counters = [
        ("exchanges_seen", Counter::ExchangesSeen),
        ("segments_seen", Counter::SegmentsSeen),
        ("calls_unseen", Counter::Unseen),
        ("bytes_skipped", Counter::SkippedBytes),
        ("connections_opaque", Counter::Opaque),
        ("bytes_opaque", Counter::OpaqueBytes),
        ("exchanges_unknown", Counter::Unknown),
        ("connections_filtered", Counter::Filtered),
        ("carry_written", Counter::CarryWritten),
        ("carry_read", Counter::CarryRead),
        ("carry_no_room", Counter::CarryNoRoom),
        ("carry_sent_again", Counter::CarryAgain),
        ("carry_struck", Counter::CarryStruck),
    ];
    counters.map(|(name, counter)| KernelCounter { name, count: of(counter) }).into()
}
