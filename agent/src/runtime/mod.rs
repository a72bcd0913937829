//! The shell: clocks, signals, threads; starts everything and ends it in order.

pub mod bell;
pub mod check;
pub mod clock;
pub mod live;
pub mod log;
pub mod own;
pub mod privilege;
pub mod start;
pub mod told;
pub mod turnstile;
pub mod views;
