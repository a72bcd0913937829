//! What a host says of itself and of its processes, read from a directory.
//!
//! Everything goes through a [`HostRoot`]: `/` on a host, `/host` in a pod, a fixture in a test.
//! Reads are bounded, and whatever a process wrote into its own entries is only text: nothing here
//! trusts it, and no environment variable but `OTEL_*` is ever kept.

pub mod binary;
pub mod cgroup;
pub mod clock;
pub mod conntrack;
pub mod keyed;
pub mod machine;
pub mod mounts;
pub mod netlink;
pub mod process;
pub mod root;
pub mod text;

pub use binary::Toolchain;
pub use cgroup::Cgroup;
pub use clock::{Anchor, Ticks};
pub use conntrack::Translations;
pub use machine::Machine;
pub use process::{Counts, Facts, Process, Processes};
pub use root::{HostRoot, Unread};
