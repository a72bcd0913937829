//! The family `memory`.

crate::instruments! {}
