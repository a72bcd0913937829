//! Every map and every setting of the kernel side.

use agent_common::{
    counter::{COUNTERS, Counter},
    limit,
    settings::{ABSENT, Arch, SockOffsets, TaskOffsets, Watch},
    signature::{SIGNATURES, Signature},
};
use aya_ebpf::{
    btf_maps::{ArrayOfMaps, RingBuf as RingOf, SkStorage},
    helpers::generated::bpf_sk_storage_get,
    macros::{btf_map, map},
    maps::{Array, HashMap, PerCpuArray, RingBuf},
};
use core::ffi::c_void;

use crate::conn::Conn;

/// State of every socket, kept with the socket: it dies with it and cannot be evicted.
#[btf_map]
pub(crate) static CONNS: SkStorage<Conn> = SkStorage::new();

/// The same for kernels without tracing access to socket storage, by the socket's address.
#[map]
pub(crate) static CONNS_BY_SOCK: HashMap<u64, Conn> =
    HashMap::with_max_entries(16384, aya_ebpf::bindings::BPF_F_NO_PREALLOC);

/// One zeroed state, to insert from: it does not fit on the stack.
#[map]
pub(crate) static EMPTY_CONN: Array<Conn> = Array::with_max_entries(1, 0);

/// A ring of connections; userspace makes them, of a size of its own.
pub(crate) type Ring = RingOf<(), 4096>;

/// What is told of connections. A line that two processors write in turns is dear: each connection
/// keeps to one ring, that of the processor it was met on.
#[btf_map]
pub(crate) static EVENTS: ArrayOfMaps<Ring, { limit::RINGS }> = ArrayOfMaps::new();

/// What is told of processes.
#[map]
pub(crate) static LIVES: RingBuf = RingBuf::with_byte_size(limit::LIVES_BYTES, 0);

/// `agent_common::counter`.
#[map]
pub(crate) static COUNTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNTERS, 0);

/// What userspace wants of a connection: its id in the upper 56 bits, the verdict in the lower 8.
#[map]
pub(crate) static VERDICTS: Array<u64> = Array::with_max_entries(limit::VERDICTS, 0);

/// A bit a port: left out, or watched alone (`Watch::ports_only`).
#[map]
pub(crate) static PORTS: Array<u64> = Array::with_max_entries(1024, 0);

/// Processes that are left out.
#[map]
pub(crate) static PROCESSES: HashMap<u32, u8> = HashMap::with_max_entries(8192, 0);

/// Tasks whose call the first program of a hook has taken, until the spare one has seen that.
#[map]
pub(crate) static RUNS: Array<u64> = Array::with_max_entries(limit::RUNS, 0);

/// What userspace asks of a sweep: rows that have not moved since this time are skipped.
#[map]
pub(crate) static SWEEP_SINCE: Array<u64> = Array::with_max_entries(1, 0);

/// Not 0 once every hook is in place. Before that one direction is seen without the other, and a busy
/// connection looks as if it pipelined.
#[map]
pub(crate) static READY: Array<u32> = Array::with_max_entries(1, 0);

/// First bytes of the protocols that userspace knows. A map and no setting: the verifier would
/// follow every constant through every loop over them.
#[map]
pub(crate) static SIGNATURES_KNOWN: Array<Signature> =
    Array::with_max_entries(SIGNATURES as u32, 0);

macro_rules! settings {
    ($(#[doc = $doc:literal] $name:ident: $type:ty = $value:expr, $read:ident;)*) => {$(
        #[doc = $doc]
        #[unsafe(no_mangle)]
        static $name: $type = $value;

        #[doc = $doc]
        #[inline(always)]
        pub(crate) fn $read() -> &'static $crate::maps::Volatile<$type> {
            // SAFETY: `Volatile` is transparent; it only forbids the compiler to fold the value.
            unsafe { &*(&raw const $name).cast() }
        }
    )*};
}

/// A value that the loader replaces before the program is loaded.
#[repr(transparent)]
pub(crate) struct Volatile<T>(T);

impl<T> Volatile<T> {
    /// One field, read so that the verifier sees a constant.
    #[inline(always)]
    pub(crate) fn get<F: Copy>(&self, field: impl FnOnce(&T) -> &F) -> F {
        // SAFETY: the reference is to a live static.
        unsafe { core::ptr::read_volatile(field(&self.0)) }
    }
}

const NO_SOCK: SockOffsets = SockOffsets {
    family: ABSENT,
    state: ABSENT,
    num: ABSENT,
    dport: ABSENT,
    daddr: ABSENT,
    v6_daddr: ABSENT,
    protocol: ABSENT,
    kind: ABSENT,
    err: ABSENT,
    write_seq: ABSENT,
    copied_seq: ABSENT,
    rcv_nxt: ABSENT,
    queued: ABSENT,
    lrcvtime: ABSENT,
    unix_peer: ABSENT,
    socket_sk: ABSENT,
    file_private: ABSENT,
    file_inode: ABSENT,
    inode_mode: ABSENT,
};
const NO_TASK: TaskOffsets = TaskOffsets {
    tgid: ABSENT,
    pid: ABSENT,
    parent: ABSENT,
    started: ABSENT,
    mm: ABSENT,
    arg_start: ABSENT,
    arg_end: ABSENT,
    env_start: ABSENT,
    env_end: ABSENT,
    files: ABSENT,
    fdt: ABSENT,
    fd: ABSENT,
    max_fds: ABSENT,
    live: ABSENT,
    signal: ABSENT,
    voluntary: ABSENT,
    groups: ABSENT,
    groups_unified: ABSENT,
    groups_pids: ABSENT,
    css_group: ABSENT,
    group_node: ABSENT,
    node_parent: ABSENT,
    node_name: ABSENT,
    reserved: 0,
};
const NO_WATCH: Watch = Watch {
    own: 0,
    ports_only: 0,
    ports: 0,
    processes: 0,
    unix: 1,
    high_water: u32::MAX,
    empty: 0,
    spares: 0,
    miss_every: 0,
    carry: 0,
};

pub(crate) use settings;

settings! {
    #[doc = "Where the fields of sockets stand."]
    SOCK: SockOffsets = NO_SOCK, sock;
    #[doc = "Where the fields of tasks stand."]
    TASK: TaskOffsets = NO_TASK, task;
    #[doc = "Where a system call's arguments stand."]
    ARCH: Arch = Arch::X86_64, arch;
    #[doc = "What to watch."]
    WATCH: Watch = NO_WATCH, watch;
    #[doc = "How many parameters `tcp_recvmsg` has: it lost two over the years."]
    RECVMSG_PARAMETERS: u32 = 5, recvmsg_parameters;
}

/// Whether every hook is in place, and is to do something.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    // SAFETY: a live map value; userspace writes it once.
    watch().get(|w| &w.empty) == 0
        && READY.get(0).is_some_and(|ready| unsafe { core::ptr::read_volatile(ready) } != 0)
}

/// Adds to a counter; gives what it stands at on this CPU.
#[inline(always)]
pub(crate) fn count(counter: Counter, by: u64) -> u64 {
    let Some(place) = COUNTS.get_ptr_mut(counter as u32) else { return 1 };
    // SAFETY: a per-CPU value of a map. Programs of one CPU can preempt each other (kernel 5.15 and
    // newer): the addition is atomic, which costs little on a line that no other CPU writes.
    unsafe {
        core::intrinsics::atomic_xadd::<u64, u64, { core::intrinsics::AtomicOrdering::Relaxed }>(
            place, by,
        );
        *place
    }
}

/// The state of `sk`, made if need be. Null if there is no memory for it.
///
/// # Safety
/// `sk` is a socket pointer that the verifier knows as such.
#[inline(always)]
pub(crate) unsafe fn storage(sk: *const u8, create: bool) -> *mut Conn {
    let flags = if create { aya_ebpf::bindings::BPF_SK_STORAGE_GET_F_CREATE as u64 } else { 0 };
    // SAFETY: checked by the verifier.
    unsafe {
        bpf_sk_storage_get(
            (&raw const CONNS).cast_mut().cast::<c_void>(),
            sk.cast_mut().cast(),
            core::ptr::null_mut(),
            flags,
        )
        .cast()
    }
}

/// The state kept by the socket's address, made if need be.
#[inline(always)]
pub(crate) fn by_sock(sk: u64, create: bool) -> *mut Conn {
    if let Some(conn) = CONNS_BY_SOCK.get_ptr_mut(sk) {
        return conn;
    }
    if !create {
        return core::ptr::null_mut();
    }
    let Some(empty) = EMPTY_CONN.get_ptr(0) else { return core::ptr::null_mut() };
    // SAFETY: a live map value; insert copies it.
    let _ = CONNS_BY_SOCK.insert(sk, unsafe { &*empty }, 0);
    CONNS_BY_SOCK.get_ptr_mut(sk).unwrap_or(core::ptr::null_mut())
}
