//! Streams of a connection: contiguous bytes with positions and times.
