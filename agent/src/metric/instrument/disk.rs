//! The family `disk`.

crate::instruments! {}
