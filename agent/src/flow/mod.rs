//! Streams of a connection: contiguous bytes with positions and times, whatever protocol they are.
//!
//! Stands between [`crate::event`] and [`crate::protocol`]: says what of a direction was carried and
//! what was not, and keeps the state of connections within a budget. It never looks into the bytes.

mod stream;
mod table;

pub use stream::{Accepted, Capture, Stream};
pub use table::{Bounds, ConnMap, Table};
