//! The family `scheduler`.

crate::instruments! {}
