//! The push of spans.
