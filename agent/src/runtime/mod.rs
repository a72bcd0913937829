//! Placeholder: runtime.

pub mod check;
pub mod live;
pub mod log;
pub mod privilege;
