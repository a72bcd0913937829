//! Placeholder: health.
