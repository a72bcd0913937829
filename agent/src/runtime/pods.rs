//! The sources of facts on pods: who is asked, from where on nobody waits for them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::bell::Ringer;
use super::cri;
use super::turnstile::Ask;
use crate::cluster::{self, Chosen, Cluster, News, Part, Source};
use crate::config::Config;
use crate::health::probe::{Probe as Row, State};
#[cfg(feature = "kubernetes")]
use crate::metric::key;
use crate::pipeline::Pipeline;

/// Every pod has this variable.
const IN_A_POD: &str = "KUBERNETES_SERVICE_HOST";
/// A pod that may ask the API server has this file.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

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
    let asks_server = keys.api.unwrap_or_else(|| Path::new(TOKEN).exists());
    let sources = if asks_server { Source::ALL.to_vec() } else { vec![Source::Runtime] };
    let told = cluster::Config { sources, ..config.into() };
    let chosen = told.ground.chosen.clone();
    pipeline.entities().join_cluster(told);
    let asked = Arc::new(Notify::new());
    let (root, given): (PathBuf, _) = (config.host.root.clone(), keys.runtime.clone());
    let find = move || cri::socket(&root, given.as_deref());
    let (ring, over) = (turnstile.clone(), stopped.clone());
    let runtime = cri::watch(find, chosen.clone(), Arc::clone(&asked), ring, over);
    let mut tasks = vec![tokio::spawn(runtime)];
    if asks_server {
        match server(config, chosen, turnstile, stopped) {
            Ok(server) => tasks.push(server),
            Err(why) => turnstile.ring(Ask::Cluster(News::Away(Source::Server, why))),
        }
    }
    if keys.services {
        let watching = if asks_server {
            services(turnstile, stopped)
        } else {
            Err("the API server is not asked: `kubernetes.api` is off, or there is no token"
                .to_owned())
        };
        match watching {
            Ok(watching) => tasks.push(watching),
            Err(why) => turnstile.ring(Ask::Cluster(News::Part(Part::Services, Err(why)))),
        }
    }
    Sources { asked: Some(asked), tasks }
}

/// Begins to watch this node's pods at the API server.
#[cfg(feature = "kubernetes")]
fn server(
    config: &Config,
    chosen: Chosen,
    turnstile: &Ringer<Ask>,
    stopped: &watch::Receiver<bool>,
) -> Result<JoinHandle<()>, String> {
    let key = key::K8S_NODE_NAME.0;
    let Some(node) = config.agent.attributes.get(key) else {
        return Err(format!(
            "agent.attributes has no {key}, and pods of other nodes are not asked for"
        ));
    };
    let (turnstile, stopped) = (turnstile.clone(), stopped.clone());
    let is_said = |key: key::Key| config.agent.attributes.contains_key(key.0);
    let place = [(Part::Node, key::K8S_NODE_UID), (Part::Cluster, key::K8S_CLUSTER_UID)];
    let place = place.into_iter().filter(|(_, key)| !is_said(*key)).map(|(part, _)| part);
    let wanted = super::server::Wanted { node: node.clone(), place: place.collect(), chosen };
    let watching = super::server::watch(super::server::config, wanted, turnstile, stopped);
    Ok(tokio::spawn(watching))
}

#[cfg(not(feature = "kubernetes"))]
fn server(
    _: &Config,
    _: Chosen,
    _: &Ringer<Ask>,
    _: &watch::Receiver<bool>,
) -> Result<JoinHandle<()>, String> {
    Err("this agent was built without the feature `kubernetes`".to_owned())
}

/// Begins to watch the cluster's Services there.
#[cfg(feature = "kubernetes")]
#[allow(clippy::unnecessary_wraps, reason = "without the feature it cannot be done")]
fn services(
    turnstile: &Ringer<Ask>,
    stopped: &watch::Receiver<bool>,
) -> Result<JoinHandle<()>, String> {
    let (turnstile, stopped) = (turnstile.clone(), stopped.clone());
    let watching = super::server::services::watch(super::server::config, turnstile, stopped);
    Ok(tokio::spawn(watching))
}

#[cfg(not(feature = "kubernetes"))]
fn services(_: &Ringer<Ask>, _: &watch::Receiver<bool>) -> Result<JoinHandle<()>, String> {
    Err("this agent was built without the feature `kubernetes`".to_owned())
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
            Source::Server => ("API server", "owners of pods, their uids, when pods began"),
        };
        match standing {
            Some(Ok(())) => row(hook, State::Active, None),
            Some(Err(why)) => row(hook, State::Failed { why: why.clone() }, Some(lost)),
            None => row(hook, State::Disabled { why: "it has not answered yet".to_owned() }, None),
        }
    });
    let beside = cluster.parts().map(|(part, standing)| match standing {
        Ok(()) => row(part.name(), State::Active, None),
        Err(why) => row(part.name(), State::Failed { why: why.clone() }, Some(part.loss())),
    });
    standing.chain(beside).collect()
}
