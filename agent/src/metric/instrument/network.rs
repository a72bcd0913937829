//! The family `network`.

crate::instruments! {}
