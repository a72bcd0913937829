//! End-to-end tests of the agent.

pub mod agent;
pub mod kernels;
pub mod metrics;
pub mod peer;
pub mod program;
