//! The family `sockets`.

crate::instruments! {}
