//! How request paths become routes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::unit::{Count, RoutePattern};

/// How request paths become routes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Routes {
    /// Routes known beforehand, first match wins: `/users/{id}`, `/static/*`. A path that matches
    /// none is templated by the shape of its segments.
    pub patterns: Vec<RoutePattern>,
    /// Under which label a route stands that the agent found by itself.
    pub guessed: Guessed,
    /// Routes of one service at most; what is beyond is counted under `{other}`. Never more
    /// than `total`.
    pub per_service: Count<1, 10_000>,
    /// Routes of all services together at most.
    pub total: Count<1, 100_000>,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            patterns: Vec::new(),
            guessed: Guessed::Route,
            per_service: Count::of(256),
            total: Count::of(8192),
        }
    }
}

/// Under which label a route stands that the agent found by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Guessed {
    /// `http.route`, which most dashboards group by.
    #[default]
    Route,
    /// `url.template`, which leaves `http.route` to what was configured.
    Template,
}
