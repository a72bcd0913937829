//! steth: zero-code telemetry for Linux hosts.
//!
//! A deterministic function from kernel records and ticks to metric snapshots, inside a thin shell
//! that does all the I/O. The modules stand in the order the data takes.

pub mod cluster;
pub mod config;
pub mod entity;
pub mod event;
pub mod export;
pub mod flow;
pub mod health;
pub mod host;
pub mod kernel;
pub mod metric;
pub mod pipeline;
pub mod protocol;
pub mod red;
pub mod runtime;
pub mod source;
pub mod trace;
pub mod usage;

include!(concat!(env!("OUT_DIR"), "/kernel_object.rs"));
