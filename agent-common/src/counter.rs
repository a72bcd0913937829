//! Counters of the kernel side, one place a reason, per CPU.

/// What is counted. The number is the index in the per-CPU array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// Exchanges that ended and were to be told: `seen = reported + lost` begins here.
    ExchangesSeen = 0,
    /// Exchanges lost because the ring was full.
    LostRingExchange,
    /// Segments lost because the ring was full.
    LostRingSegment,
    /// Ends of sockets lost because the ring was full.
    LostRingClose,
    /// Failed connects lost because the ring was full.
    LostRingConnect,
    /// Process events lost because the ring was full.
    LostRingProcess,
    /// Calls on sockets for which no state could be had.
    LostNoState,
    /// Calls whose first bytes could not be read where they lay.
    Unseen,
    /// Bytes that moved past every hook and were known by position alone.
    SkippedBytes,
    /// Connections that became opaque.
    Opaque,
    /// Bytes moved on opaque connections.
    OpaqueBytes,
    /// Exchanges of connections whose protocol was never known: not told.
    Unknown,
    /// Segments written.
    SegmentsSeen,
    /// Connections left out by a filter.
    Filtered,
    /// Switches of threads for which no storage could be had.
    LostNoThread,
    /// Last words of threads lost because the ring was full.
    LostRingThread,
    /// Segments written with the option that carries a trace.
    CarryWritten,
    /// Asks that came with it.
    CarryRead,
    /// Asks that were to have it and had no room.
    CarryNoRoom,
    /// Segments with it that had to be sent again.
    CarryAgain,
    /// Asks without it because segments with it do not reach their address.
    CarryStruck,
    /// What was carried, lost because the ring was full.
    LostRingCarried,
}

/// How many counters there are.
pub const COUNTERS: u32 = Counter::LostRingCarried as u32 + 1;

impl Counter {
    /// All of them, in order.
    pub const ALL: [Self; COUNTERS as usize] = [
        Self::ExchangesSeen,
        Self::LostRingExchange,
        Self::LostRingSegment,
        Self::LostRingClose,
        Self::LostRingConnect,
        Self::LostRingProcess,
        Self::LostNoState,
        Self::Unseen,
        Self::SkippedBytes,
        Self::Opaque,
        Self::OpaqueBytes,
        Self::Unknown,
        Self::SegmentsSeen,
        Self::Filtered,
        Self::LostNoThread,
        Self::LostRingThread,
        Self::CarryWritten,
        Self::CarryRead,
        Self::CarryNoRoom,
        Self::CarryAgain,
        Self::CarryStruck,
        Self::LostRingCarried,
    ];
}
