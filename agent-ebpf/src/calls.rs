//! Tier 3: bytes seen at the exit of system calls, on any kernel from 5.10. The socket is found by
//! a walk from the descriptor; it is a mere number to the verifier, so state is kept by address.

use agent_common::counter::Counter;
use aya_ebpf::{
    helpers::generated::bpf_get_current_task, macros::btf_tracepoint,
    programs::BtfTracePointContext,
};

use crate::{
    capture::{self, IN, MSG_PEEK, OUT},
    conn::OFF,
    kread::{Memory, Probed, Typed, pick},
    maps,
};

const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;

/// What a system call does with a socket.
struct Call {
    direction: u8,
    /// Which argument is the descriptor.
    fd: usize,
    /// Which argument has the flags; 0 if none has.
    flags: usize,
    /// The result is a number of messages, not of bytes.
    messages: bool,
}

#[inline(always)]
fn call(number: u32) -> Option<Call> {
    let arch = maps::arch();
    let plain = |direction, flags| Some(Call { direction, fd: 0, flags, messages: false });
    let messages = |direction| Some(Call { direction, fd: 0, flags: 0, messages: true });
    if number == arch.get(|a| &a.plain[0]) || number == arch.get(|a| &a.vector[0]) {
        plain(IN, 0)
    } else if number == arch.get(|a| &a.plain[1])
        || number == arch.get(|a| &a.vector[1])
        || number == arch.get(|a| &a.plain[3])
        || number == arch.get(|a| &a.message[1])
        || number == arch.get(|a| &a.elsewhere[0])
    {
        plain(OUT, 0)
    } else if number == arch.get(|a| &a.plain[2]) {
        plain(IN, 3)
    } else if number == arch.get(|a| &a.message[0]) {
        plain(IN, 2)
    } else if number == arch.get(|a| &a.elsewhere[1]) {
        Some(Call { direction: OUT, fd: 2, flags: 0, messages: false })
    } else if number == arch.get(|a| &a.messages[0]) {
        messages(IN)
    } else if number == arch.get(|a| &a.messages[1]) {
        messages(OUT)
    } else {
        None
    }
}

/// Every system call's exit. Arguments: the registers, the result.
#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    let (regs, ret): (*const u8, i64) = (ctx.arg(0), ctx.arg(1));
    if ret > 0 && maps::is_on() {
        // SAFETY: the verifier knows `regs`; everything further is probed.
        unsafe { by_call(regs, ret as u64) };
    }
    0
}

#[inline(always)]
unsafe fn by_call(regs: *const u8, ret: u64) {
    let arch = maps::arch();
    // SAFETY: as `sys_exit` says.
    unsafe {
        let number: u32 = Typed::read(regs, arch.get(|a| &a.number));
        let Some(call) = call(number) else { return };
        let fd: u32 = match call.fd {
            0 => Typed::read(regs, arch.get(|a| &a.args[0])),
            _ => Typed::read(regs, arch.get(|a| &a.args[2])),
        };
        let flags: u32 = match call.flags {
            2 => Typed::read(regs, arch.get(|a| &a.args[2])),
            3 => Typed::read(regs, arch.get(|a| &a.args[3])),
            _ => 0,
        };
        if call.direction == IN && flags as i32 & MSG_PEEK != 0 {
            return;
        }
        let sk = sock_by_fd(fd);
        if sk.is_null() {
            return;
        }
        let Some(unix) = capture::observed::<Probed>(sk) else { return };
        let conn = maps::by_sock(sk as u64, true);
        if conn.is_null() {
            maps::count(Counter::LostNoState, 1);
            return;
        }
        let conn = &mut *conn;
        if conn.mode == OFF {
            maps::count(Counter::OpaqueBytes, ret);
            return;
        }
        conn.unix = u8::from(unix);
        conn.call.direction = call.direction;
        // Whether the socket waits is behind a walk that nothing else asks for.
        conn.call.waits = 0;
        conn.call.n = if call.messages {
            if unix || conn.pair.conn == 0 {
                maps::count(Counter::Unseen, 1);
                return;
            }
            let seq = pick(capture::positions::<Probed>(sk), call.direction);
            u64::from(seq.wrapping_sub(pick(conn.seq, call.direction)))
        } else {
            ret
        };
        capture::moved::<Probed>(conn, sk, regs);
    }
}

/// The socket behind a descriptor of the current process, or null.
#[inline(always)]
unsafe fn sock_by_fd(fd: u32) -> *const u8 {
    let (task, sock) = (maps::task(), maps::sock());
    // SAFETY: every read is probed.
    unsafe {
        let current = bpf_get_current_task() as *const u8;
        let files: u64 = Probed::read(current, task.get(|t| &t.files));
        let table: u64 = Probed::read(files as *const u8, task.get(|t| &t.fdt));
        let many: u32 = Probed::read(table as *const u8, task.get(|t| &t.max_fds));
        if fd >= many {
            return core::ptr::null();
        }
        let array: u64 = Probed::read(table as *const u8, task.get(|t| &t.fd));
        let file: u64 = Probed::read((array + u64::from(fd) * 8) as *const u8, 0);
        let inode: u64 = Probed::read(file as *const u8, sock.get(|s| &s.file_inode));
        let mode: u16 = Probed::read(inode as *const u8, sock.get(|s| &s.inode_mode));
        if mode & S_IFMT != S_IFSOCK {
            return core::ptr::null();
        }
        let socket: u64 = Probed::read(file as *const u8, sock.get(|s| &s.file_private));
        let sk: u64 = Probed::read(socket as *const u8, sock.get(|s| &s.socket_sk));
        sk as *const u8
    }
}
