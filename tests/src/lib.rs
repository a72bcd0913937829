//! End-to-end tests of the agent.

pub mod agent;
pub mod bench;
pub mod cluster;
pub mod collector;
pub mod conventions;
pub mod disk;
pub mod group;
pub mod invocation;
pub mod kernels;
pub mod metrics;
pub mod peer;
pub mod program;
pub mod prometheus;
pub mod receiver;
pub mod scripts;
pub mod session;
pub mod space;
pub mod spans;
pub mod traffic;
