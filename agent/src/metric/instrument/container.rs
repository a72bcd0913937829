//! The family `container`.

crate::instruments! {}
