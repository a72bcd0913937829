//! Placeholder: source.
