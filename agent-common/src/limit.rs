//! The bounds of the kernel side, in one place.

/// Bytes of a turn asked that are kept with the socket.
pub const ASK_HEAD: usize = 511;
/// Bytes of a turn answered that are kept with the socket.
pub const ANSWER_HEAD: usize = 255;
/// Both heads stand in one buffer, the answer right behind the ask; the rest is room for the
/// verifier, which cannot know that both lengths are never at their limits and beyond.
pub const HEADS: usize = 1024;
/// Bytes of one [`crate::record::Segment`]'s data, small and large class.
pub const SEGMENT_SMALL: usize = 512;
/// See [`SEGMENT_SMALL`].
pub const SEGMENT_LARGE: usize = 4095;
/// Large segments shipped of one call at most; what is beyond is counted, not carried.
pub const SEGMENTS_PER_CALL: usize = 16;
/// Bytes of one turn that are shipped at most when a connection is followed in full.
pub const FULL_PER_TURN: u64 = 64 * 1024;
/// The same when it is followed for its heads alone.
pub const FOLLOW_PER_TURN: u64 = 4096;
/// Pieces of a vectored call that are looked at.
pub const PIECES: usize = 8;
/// Turns without a known signature after which a connection is opaque: counted, never copied.
pub const OPAQUE_AFTER: u8 = 4;
/// Bytes of a new program's command line that cross to userspace.
pub const EXEC_ARGS: usize = 512;
/// Bytes of a new program's environment that cross to userspace.
pub const EXEC_ENV: usize = 4096;
/// Bytes of the names of a new program's control groups that cross to userspace.
pub const EXEC_GROUPS: usize = 512;
/// Bytes of one such name, its NUL with it: `kubepods-burstable-pod<uid>.slice:cri-containerd:<id>` fits.
pub const EXEC_GROUP: usize = 192;
/// Levels of control groups that cross, from the innermost outward.
pub const EXEC_LEVELS: usize = 12;
/// Bytes of all rings of connections together, unless userspace asks for another size. The agent maps
/// each twice, which shows in its resident size.
pub const RING_BYTES: u32 = 4 << 20;
/// Places for rings of connections; a power of two.
pub const RINGS: usize = 8;
/// A connection's place among them. Ids have the processor that the connection was met on in their
/// lowest byte: two processors seldom write to one ring, and a connection's records keep their order.
#[expect(clippy::cast_possible_truncation, reason = "the mask leaves fewer bits than are cut off")]
#[inline]
pub const fn ring_place(conn: u64) -> u32 {
    (conn & (RINGS as u64 - 1)) as u32
}
/// Bytes of the ring of processes that begin and end.
pub const LIVES_BYTES: u32 = 512 << 10;
/// Places in the verdict table.
pub const VERDICTS: u32 = 1 << 14;

/// A connection's place in it. Ids have the processor in their lowest byte and time above it.
#[expect(clippy::cast_possible_truncation, reason = "the mask leaves fewer bits than are cut off")]
#[inline]
pub const fn verdict_place(conn: u64) -> u32 {
    ((conn >> 8) & (VERDICTS as u64 - 1)) as u32
}
/// Places for tasks that are between the two programs of one hook.
pub const RUNS: u32 = 1 << 12;
/// Bytes of the ring of threads' last words: about twelve hundred, of which userspace looks four times a second.
pub const ENDED_BYTES: u32 = 512 << 10;
