//! The agent on kernels that are not this machine's: each is started in QEMU under software emulation, with an initramfs whose
//! PID 1 is this very program, and the agent must load without a warning and count 100 requests exactly.
//!
//! On the host: [`archive`] brings the kernels, [`initramfs`] packs the guest, [`machine`] runs it, [`verdict`] compares and prints.
//! In the guest: [`guest`] is PID 1, [`load`] is the server and the client, [`watched`] starts the agent and reads what it counted,
//! [`limited`] compares what it tells of a group with a quota and of processors with the kernel's own word.
//! The only thing that crosses is [`report::Report`], one line of JSON on the second serial port.

pub mod archive;
pub mod cpio;
pub mod exposition;
pub mod guest;
pub mod initramfs;
pub mod limited;
pub mod load;
pub mod machine;
pub mod report;
pub mod sources;
pub mod suite;
pub mod system;
pub mod verdict;
pub mod watched;
