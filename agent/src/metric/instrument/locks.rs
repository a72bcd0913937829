//! The family `locks`.

crate::instruments! {}
