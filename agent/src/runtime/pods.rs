//! The sources of facts on pods: who is asked, from where on nobody waits for them.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::bell::Ringer;
use super::cri;
use super::turnstile::Ask;
use crate::cluster::{self, Cluster, Source};
use crate::config::Config;
use crate::health::probe::{Probe as Row, State};
use crate::pipeline::Pipeline;

/// Every pod has this variable.
const IN_A_POD: &str = "KUBERNETES_SERVICE_HOST";

/// The sources that are asked; none if nobody wants to know.
#[derive(Default)]
pub(super) struct Sources {
    /// To be rung when somebody waits for a name.
    pub(super) asked: Option<Arc<Notify>>,
    /// What ends when the agent is stopped.
    pub(super) tasks: Vec<JoinHandle<()>>,
}

/// Begins to ask, if that is wanted: what is in pods waits for its name from here on.
pub(super) fn start(
    config: &Config,
    pipeline: &mut Pipeline,
    turnstile: &Ringer<Ask>,
    stopped: &watch::Receiver<bool>,
) -> Sources {
    let keys = &config.kubernetes;
    if !keys.enabled.unwrap_or_else(|| std::env::var_os(IN_A_POD).is_some()) {
        return Sources::default();
    }
    let told = cluster::Config { sources: vec![Source::Runtime], ..config.into() };
    let chosen = told.ground.chosen.clone();
    pipeline.entities().join_cluster(told);
    let asked = Arc::new(Notify::new());
    let (root, given): (PathBuf, _) = (config.host.root.clone(), keys.runtime.clone());
    let find = move || cri::socket(&root, given.as_deref());
    let runtime = cri::watch(find, chosen, Arc::clone(&asked), turnstile.clone(), stopped.clone());
    Sources { asked: Some(asked), tasks: vec![tokio::spawn(runtime)] }
}

/// A line for each source, for `/status`.
pub(super) fn rows(cluster: Option<&Cluster>) -> Vec<Row> {
    let row = |hook, state, lost| Row { name: "kubernetes", hook, state, lost, grant: None };
    let Some(cluster) = cluster else {
        let why = "the agent runs in no pod; `kubernetes.enabled` switches it on".to_owned();
        return vec![row("pods", State::Disabled { why }, None)];
    };
    let standing = cluster.standing().map(|(source, standing)| {
        let (hook, lost) = match source {
            Source::Runtime => ("container runtime", "names of pods and containers"),
            Source::Server => ("API server", "owners of pods"),
        };
        match standing {
            Some(Ok(())) => row(hook, State::Active, None),
            Some(Err(why)) => row(hook, State::Failed { why: why.clone() }, Some(lost)),
            None => row(hook, State::Disabled { why: "it has not answered yet".to_owned() }, None),
        }
    });
    standing.collect()
}
