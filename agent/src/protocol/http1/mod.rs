//! Placeholder: protocol/http1.
