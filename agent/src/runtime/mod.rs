//! Placeholder: runtime.
