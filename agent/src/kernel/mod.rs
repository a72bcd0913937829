//! Placeholder: kernel.
