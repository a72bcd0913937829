//! The family `conntrack`.

crate::instruments! {}
