//! Reads of kernel and user memory, and the two tricks the verifier needs.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{
    bpf_get_current_task, bpf_get_current_task_btf, bpf_probe_read_kernel, bpf_probe_read_user,
    bpf_skc_to_tcp_sock,
};

/// How kernel memory is read: directly where the verifier knows the pointer's type, else probed.
pub(crate) trait Memory {
    /// Whether the verifier knows what pointers point to.
    const KNOWN: bool;

    /// `T` at `base + offset`.
    ///
    /// # Safety
    /// For [`Typed`], `base` is a pointer whose type the verifier knows.
    unsafe fn read<T: Copy + Default>(base: *const u8, offset: u32) -> T;

    /// The current task.
    unsafe fn task() -> *const u8;

    /// The `tcp_sock` that the TCP socket `sk` is; null if it is none.
    ///
    /// # Safety
    /// As for [`Memory::read`].
    unsafe fn tcp(sk: *const u8) -> *const u8;
}

/// Pointers the verifier knows.
pub(crate) struct Typed;
/// Pointers that are mere numbers to it.
pub(crate) struct Probed;

impl Memory for Typed {
    const KNOWN: bool = true;

    #[inline(always)]
    unsafe fn read<T: Copy + Default>(base: *const u8, offset: u32) -> T {
        // SAFETY: the verifier turns the load into one that cannot fault.
        unsafe { core::ptr::read_volatile(base.add(offset as usize).cast()) }
    }

    #[inline(always)]
    unsafe fn task() -> *const u8 {
        // SAFETY: a helper without arguments.
        unsafe { bpf_get_current_task_btf() as *const u8 }
    }

    #[inline(always)]
    unsafe fn tcp(sk: *const u8) -> *const u8 {
        // SAFETY: the helper checks what it is given.
        unsafe { bpf_skc_to_tcp_sock(sk.cast_mut().cast()) as *const u8 }
    }
}

impl Memory for Probed {
    const KNOWN: bool = false;

    #[inline(always)]
    unsafe fn read<T: Copy + Default>(base: *const u8, offset: u32) -> T {
        let mut value = T::default();
        // SAFETY: the helper checks the address; `value` is ours.
        unsafe {
            bpf_probe_read_kernel(
                (&raw mut value).cast::<c_void>(),
                size_of::<T>() as u32,
                base.add(offset as usize).cast::<c_void>(),
            );
        }
        value
    }

    #[inline(always)]
    unsafe fn task() -> *const u8 {
        // SAFETY: a helper without arguments.
        unsafe { bpf_get_current_task() as *const u8 }
    }

    #[inline(always)]
    unsafe fn tcp(sk: *const u8) -> *const u8 {
        sk
    }
}

/// One of two, without an address computed from the index.
#[inline(always)]
pub(crate) fn pick<T: Copy>(of: [T; 2], index: u8) -> T {
    let [first, second] = of;
    if index == 0 { first } else { second }
}

/// Two numbers that stand together in user memory; 0 where there are none.
#[inline(always)]
pub(crate) fn user_two(at: u64) -> [u64; 2] {
    let mut values = [0u64; 2];
    // SAFETY: the helper checks the address; `values` is ours.
    unsafe { bpf_probe_read_user((&raw mut values).cast::<c_void>(), 16, at as *const c_void) };
    values
}

/// `value & mask`, in a way that the compiler cannot undo before the verifier has seen it.
#[inline(always)]
pub(crate) fn bound(mut value: u64, mask: u64) -> u64 {
    // SAFETY: one register, one instruction.
    unsafe { core::arch::asm!("{0} &= {1}", inout(reg) value, in(reg) mask) };
    value
}
