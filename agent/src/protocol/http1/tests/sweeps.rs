//! sweeps.
