//! End-to-end tests of the agent.

pub mod agent;
pub mod bench;
pub mod collector;
pub mod conventions;
pub mod invocation;
pub mod kernels;
pub mod metrics;
pub mod program;
pub mod receiver;
pub mod traffic;
