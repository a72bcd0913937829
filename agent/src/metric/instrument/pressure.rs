//! The family `pressure`.

crate::instruments! {}
