//! How often metrics are reported and how many series they may have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::unit::{Count, Period};

/// How often metrics are reported and how many series they may have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// How often metrics are collected and pushed.
    pub interval: Period<1000, 3_600_000>,
    /// Series of one service and instrument at most; what is beyond is one series marked
    /// `otel.metric.overflow`, with exact totals. Never more than `series_total`.
    pub series_per_service: Count<10, 100_000>,
    /// Series in all at most.
    pub series_total: Count<10, 1_000_000>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            interval: Period::from_millis(10_000),
            series_per_service: Count::of(2000),
            series_total: Count::of(20_000),
        }
    }
}
