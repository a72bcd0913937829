//! Placeholder: red.
