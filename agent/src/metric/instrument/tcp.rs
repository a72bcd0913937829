//! The family `tcp`.

crate::instruments! {}
