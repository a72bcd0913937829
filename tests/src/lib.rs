//! End-to-end tests of the agent.

pub mod kernels;
