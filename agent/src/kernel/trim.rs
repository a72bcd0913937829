//! Gives memory back after start-up: aya reads the kernel's whole type description to load programs,
//! and glibc keeps what that took.
#![allow(unsafe_code, reason = "malloc_trim(3) has no safe wrapper")]

/// Gives back what the heap does not use.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the function takes no pointer and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
