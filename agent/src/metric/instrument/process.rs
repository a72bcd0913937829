//! The family `process`.

crate::instruments! {}
