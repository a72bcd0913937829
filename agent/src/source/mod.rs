//! Where records come from: the kernel while it runs, or a recording of it.
//!
//! A recording is the raw input of the pipeline: batches of records byte for byte as they came off
//! the ring, rows of tables, ticks, and what `/proc` answered when it was asked. Replayed, it gives
//! the same snapshots on any machine, without privileges.
//!
//! ```text
//! "STETHREC" | format u32 | abi u32 | frames
//! frame:  kind u8 | length u32 | payload        all numbers little-endian
//! header  the first frame: kernel, host, clocks
//! records | rows: (length u32 | bytes)*         tick: u64    clocks: 3 * u64
//! note    a question to `/proc` and its answer, behind the frame in whose handling it was asked
//! ```
//!
//! What is written is redacted first: of environments only what names the service, of heads no
//! credentials. Command lines and paths are written as they are, unless [`anonymise`] takes them out.

mod anonymous;
mod batch;
mod note;
mod read;
pub mod redact;
mod wire;
mod write;

#[cfg(test)]
mod tests;

pub use anonymous::anonymise;
pub use batch::Batch;
pub use note::{Note, Noted, Notes, Recorded};
pub use read::{Error, Reader, Replay, What};
pub use write::{Counts, Writer};

use crate::event::Timestamp;
use crate::host::{Anchor, Machine};

/// The format this writes, and the only one it reads.
pub const FORMAT: u32 = 1;
/// Bytes of a frame's payload at most.
pub const FRAME: usize = 4 << 20;

/// What a recording says of itself before anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The host it was made on, with its kernel's release.
    pub machine: Machine,
    /// The clocks when it began.
    pub anchor: Anchor,
}

/// Which table rows are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table(pub u8);

impl Table {
    /// Part of a sweep over all sockets: its rows are records.
    pub const SWEEP: Self = Self(0);
    /// The kernel side's counters: one row, numbers in the order of the counters.
    pub const COUNTERS: Self = Self(1);
    /// A sweep begins: one row, its time.
    pub const SWEEP_BEGIN: Self = Self(2);
    /// The sweep was whole: no rows.
    pub const SWEEP_END: Self = Self(3);
}

/// What came next. Records and rows stand in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Records off the ring.
    Records,
    /// Rows of a table.
    Rows(Table),
    /// Time has come to this point.
    Tick(Timestamp),
    /// How the clocks stand to each other.
    Clocks(Anchor),
    /// There is no more.
    End,
}

/// Gives what happened, in its order.
pub trait Source {
    /// The next step; records and rows replace what is in `batch`.
    fn next(&mut self, batch: &mut Batch) -> Result<Step, Error>;
}
