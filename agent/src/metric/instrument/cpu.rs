//! The family `cpu`.

crate::instruments! {}
