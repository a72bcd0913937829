//! property.
