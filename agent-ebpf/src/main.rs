//! The kernel programs: what crosses sockets becomes turns, turns become pairs.
//!
//! Data flows `capture` (a hook hands over socket, direction, size and where the bytes lie) ->
//! `turn` (positions and turns, in the socket's own state) -> `emit` (the ring). `ends` and `life`
//! watch sockets and processes come and go; `sweep` reads the state of all sockets. Nothing here
//! knows an application protocol beyond the signatures that userspace hands over.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![allow(
    internal_features,
    reason = "an atomic addition whose result is not used is one instruction on every kernel"
)]

mod block;
mod calls;
mod capture;
mod conn;
mod debug;
mod drops;
mod emit;
mod ends;
mod hands;
mod head;
mod hosts;
mod kread;
mod life;
mod maps;
mod reclaim;
mod spare;
mod sweep;
mod switch;
mod tally;
mod tcp;
mod thread;
mod turn;
mod user;
mod why;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: the verifier rejects a program in which a panic can be reached.
    unsafe { core::hint::unreachable_unchecked() }
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
