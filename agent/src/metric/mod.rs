//! The vocabulary of everything measured: instruments, attribute keys, histograms, snapshots.
//!
//! The only place where a metric's or a label's name stands as text. What has a semantic convention
//! is named by it (1.44.0); what has none is named under `steth.` and listed in our own registry.

pub mod exemplar;
pub mod exponential;
pub mod exposition;
pub mod histogram;
pub mod instrument;
pub mod key;
pub mod keys;
pub mod reference;
pub mod snapshot;

#[cfg(test)]
mod conventions;
