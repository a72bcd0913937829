//! The `steth` binary.
fn main() {}
