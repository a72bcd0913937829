//! Gives up what starting needed and running does not, for this thread and those that it starts.

use std::io;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
};

/// What naming a process needs, whenever one comes.
const NAMING: CapabilitySet = CapabilitySet::SYS_PTRACE.union(CapabilitySet::DAC_READ_SEARCH);

/// What reading maps may need, the least first: nothing since 5.19, or where `kernel.unprivileged_bpf_disabled` is 0;
/// `CAP_BPF` before; `CAP_SYS_ADMIN` where there is no `CAP_BPF`; all that loaded the programs where none of these
/// was enough.
const READING: [CapabilitySet; 4] = [
    CapabilitySet::empty(),
    CapabilitySet::BPF,
    CapabilitySet::SYS_ADMIN,
    CapabilitySet::BPF.union(CapabilitySet::PERFMON).union(CapabilitySet::SYS_ADMIN),
];

/// Bits of the bounding set that there may be.
const BITS: u32 = 64;

/// Keeps what is needed of this thread's capabilities and gives up the others; `works` says whether the kernel side
/// still answers. False: the bounding set could not be emptied, for want of `CAP_SETPCAP`.
pub(crate) fn give_up(works: &mut dyn FnMut() -> io::Result<()>) -> io::Result<bool> {
    let had = capabilities(None)?;
    let kept = had.permitted & (NAMING | reading(&had, works)?);
    // The trial may have taken away what taking away needs.
    set_capabilities(None, had)?;
    let emptied = empty_bounding_set(kept)?;
    clear_ambient_capability_set()?;
    set_capabilities(
        None,
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() },
    )?;
    Ok(emptied)
}

/// The least with which the kernel side answers. What is taken from the effective set alone can be had back.
fn reading(
    had: &CapabilitySets,
    works: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<CapabilitySet> {
    for least in READING {
        let effective = had.permitted & (NAMING | least);
        set_capabilities(None, CapabilitySets { effective, ..*had })?;
        if works().is_ok() {
            return Ok(least);
        }
    }
    // It is not for want of capabilities: somebody else says why. Nothing is made worse.
    let [.., most] = READING;
    Ok(most)
}

/// Nothing is executed from here on, so the set has no use; it is emptied for whoever looks.
fn empty_bounding_set(kept: CapabilitySet) -> io::Result<bool> {
    for bit in 0..BITS {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        match capability_is_in_bounding_set(one) {
            Ok(true) if !kept.contains(one) => match remove_capability_from_bounding_set(one) {
                Ok(()) => {}
                Err(rustix::io::Errno::PERM) => return Ok(false),
                Err(error) => return Err(error.into()),
            },
            Ok(_) => {}
            // Beyond the last that this kernel knows.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}
