//! How the agent itself is: probe states, the capability report, and the HTTP server that tells of
//! both and serves the metrics.
//!
//! Nothing here decides or counts anything of the pipeline: others fill [`Status`], this writes it.

pub mod probe;
pub mod server;
mod status;

pub use status::{Agent, Budget, Capture, KernelCounter, Loss, Queue, Status, Totals};
