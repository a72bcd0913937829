//! Where the bytes of the call in hand lie: the caller's registers say so after the call as before.

use agent_common::limit::PIECES;

use crate::{
    conn::Conn,
    kread::{Memory, user_two},
    maps,
};

/// How many pieces of a vectored call are looked at.
pub(crate) const LOOK: u64 = PIECES as u64;

/// Notes the buffer of the system call whose registers are `regs`.
///
/// # Safety
/// `regs` is `pt_regs` as [`Memory`] asks.
#[inline(never)]
pub(crate) unsafe fn find<M: Memory>(regs: *const u8, conn: &mut Conn) {
    let arch = maps::arch();
    // SAFETY: as asked of the caller.
    let (number, buffer): (u32, u64) = unsafe {
        (M::read(regs, arch.get(|a| &a.number)), M::read(regs, arch.get(|a| &a.args[1])))
    };
    // Bytes that are not the caller's (sendfile, splice, io_uring), or not understood.
    conn.call.pieces = 0;
    conn.call.vector = 0;
    conn.call.first = buffer;
    if number == arch.get(|a| &a.plain[0])
        || number == arch.get(|a| &a.plain[1])
        || number == arch.get(|a| &a.plain[2])
        || number == arch.get(|a| &a.plain[3])
        || number == arch.get(|a| &a.plain[4])
        || number == arch.get(|a| &a.plain[5])
    {
        conn.call.pieces = 1;
    } else if number == arch.get(|a| &a.vector[0])
        || number == arch.get(|a| &a.vector[1])
        || number == arch.get(|a| &a.vector[2])
        || number == arch.get(|a| &a.vector[3])
    {
        conn.call.vector = buffer;
        // SAFETY: as asked of the caller.
        conn.call.pieces = unsafe { M::read(regs, arch.get(|a| &a.args[2])) };
    } else if number == arch.get(|a| &a.message[0]) || number == arch.get(|a| &a.message[1]) {
        message(conn, buffer);
    } else if number == arch.get(|a| &a.messages[0]) || number == arch.get(|a| &a.messages[1]) {
        // SAFETY: as asked of the caller.
        let many: u32 = unsafe { M::read(regs, arch.get(|a| &a.args[2])) };
        // One hit a message: which one it is, the socket remembers as long as the array is the same.
        let next = if conn.messages == buffer && conn.message < many { conn.message } else { 0 };
        conn.messages = buffer;
        conn.message = next + 1;
        message(conn, buffer + u64::from(next) * 64);
    }
}

/// The goroutine that makes the call, in so far as it is told from others: where it stands in 128 GiB, by the
/// least that the runtime's allocator rounds it to.
///
/// # Safety
/// As for [`find`].
#[inline(always)]
pub(crate) unsafe fn routine<M: Memory>(regs: *const u8) -> u32 {
    // SAFETY: as asked of the caller.
    let pointer: u64 = unsafe { M::read(regs, maps::arch().get(|a| &a.routine)) };
    (pointer >> 5) as u32
}

#[inline(always)]
fn message(conn: &mut Conn, header: u64) {
    [conn.call.vector, conn.call.pieces] = user_two(header + 16);
}

/// Goes to the first piece.
#[inline(always)]
pub(crate) fn rewind(conn: &mut Conn) {
    conn.call.next = 0;
    step(conn);
}

/// Goes to the next piece; an empty one behind the last.
#[inline(always)]
pub(crate) fn step(conn: &mut Conn) {
    let i = conn.call.next;
    conn.call.next = i + 1;
    conn.call.base = conn.call.first;
    conn.call.len = 0;
    if i >= conn.call.pieces {
        return;
    }
    if conn.call.vector == 0 {
        conn.call.len = conn.call.n;
        return;
    }
    [conn.call.base, conn.call.len] = user_two(conn.call.vector + i * 16);
}
