//! Placeholder: runtime.

pub mod live;
pub mod log;
pub mod privilege;
