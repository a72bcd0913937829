//! The family `filesystem`.

crate::instruments! {}
