//! What [`crate::red`] is given.

use crate::config::Config;
use crate::config::keys::{Guessed, Metrics, Routes};
use crate::red;

impl From<&Config> for red::Config {
    fn from(config: &Config) -> Self {
        let Config { metrics, routes, .. } = config;
        let Metrics { interval: _, series_per_service, series_total } = metrics;
        let Routes { patterns, guessed, per_service, total } = routes;
        let (series_total, routes_total) = (series_total.number(), total.number());
        Self {
            series_per_service: series_per_service.number().min(series_total) as usize,
            series_total: series_total as usize,
            routes_per_service: per_service.number().min(routes_total) as usize,
            routes_total: routes_total as usize,
            routes: patterns.iter().map(|route| route.pattern().clone()).collect(),
            guessed_as_template: *guessed == Guessed::Template,
            ..Self::default()
        }
    }
}
