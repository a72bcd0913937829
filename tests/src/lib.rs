//! End-to-end tests of the agent.

pub mod agent;
pub mod bench;
pub mod kernels;
pub mod metrics;
pub mod program;
