//! What [`crate::cluster`] is given, but for the sources: those are found out when the agent starts.

use crate::cluster::{self, Chosen, Ground};
use crate::config::Config;
use crate::config::keys::Kubernetes;
use crate::event::Nanos;

impl From<&Config> for cluster::Config {
    fn from(config: &Config) -> Self {
        let Kubernetes {
            enabled: _,
            runtime: _,
            api: _,
            services: _,
            wait,
            labels_are_names,
            labels,
            annotations,
        } = &config.kubernetes;
        Self {
            wait: Nanos(u64::try_from(wait.duration().as_nanos()).unwrap_or(u64::MAX)),
            sources: Vec::new(),
            ground: Ground {
                chosen: Chosen {
                    labels: labels.iter().cloned().collect(),
                    annotations: annotations.iter().cloned().collect(),
                },
                labels_are_names: *labels_are_names,
            },
        }
    }
}
