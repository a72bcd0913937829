//! The shell: clocks, signals, threads; starts everything and ends it in order.

pub mod account;
pub mod bell;
pub mod check;
pub mod clock;
pub mod confine;
mod conntrack;
pub mod cri;
pub mod follow;
pub mod live;
pub mod log;
pub mod own;
mod pods;
pub mod privilege;
mod pushes;
pub mod record;
pub mod replay;
#[cfg(feature = "kubernetes")]
pub mod server;
pub mod start;
pub mod tee;
pub mod told;
pub mod traces;
pub mod turnstile;
mod urgent;
pub mod usage;
pub mod views;
