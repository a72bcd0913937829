//! The family `offcpu`.

crate::instruments! {}
