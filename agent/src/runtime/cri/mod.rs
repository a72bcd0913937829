//! The node's container runtime as a source of facts, by CRI v1: which containers there are, in which pods.
//!
//! It is the cheapest to ask: over a socket of this node, and nobody else notices. It knows a container before it runs
//! and for a while after, so what has ended before it was asked for gets its name as well. All is listed when somebody
//! waits for a name, and now and then so that what is gone is known of: a list of a full node is some 200 KB.

mod client;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::bell::Ringer;
use super::turnstile::Ask;
use crate::cluster::{Chosen, Container, ContainerId, Image, News, Pod, PodUid, Source, some};
use client::Client;

/// Where runtimes have their sockets: containerd, CRI-O, k3s, cri-dockerd.
const SOCKETS: &[&str] = &[
    "run/containerd/containerd.sock",
    "run/crio/crio.sock",
    "run/k3s/containerd/containerd.sock",
    "run/cri-dockerd.sock",
];
/// Between two lists that nobody asked for.
const REFRESH: Duration = Duration::from_mins(1);
/// Between two lists while somebody waits: at first, and at most.
const SOON: Duration = Duration::from_millis(250);
const LATER: Duration = Duration::from_secs(4);
/// Before a runtime that did not answer is asked again: at first and while somebody waits, and at most.
const AWAY: Duration = Duration::from_secs(1);
const LONG_AWAY: Duration = Duration::from_secs(30);
/// Images that are asked for by name after one list.
const IMAGES: usize = 64;
/// Containers whose images' names are remembered.
const REMEMBERED: usize = 4096;

/// The socket of the runtime below a host's root: the one that is given, else the first that is there.
pub(super) fn socket(root: &Path, given: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let all = SOCKETS.iter().map(|socket| root.join(socket));
    all.into_iter().find(|socket| socket.exists()).ok_or_else(|| {
        let all = SOCKETS.join(", ");
        format!("no container runtime has its socket below {} ({all})", root.display())
    })
}

/// Asks until it is stopped, whenever `asked` says that somebody waits.
pub(super) async fn watch(
    find: impl Fn() -> Result<PathBuf, String>,
    chosen: Chosen,
    asked: Arc<Notify>,
    turnstile: Ringer<Ask>,
    mut stopped: watch::Receiver<bool>,
) {
    let asking = async {
        let mut runtime = Runtime::new(chosen);
        let mut away: Option<(String, Duration)> = None;
        let mut before: Option<News> = None;
        let mut pause = SOON;
        loop {
            match runtime.list(&find).await {
                Ok(news) => {
                    if away.take().is_some() {
                        tracing::info!("the container runtime answers again");
                    }
                    // Who waits for what is not there is not helped by asking faster.
                    let is_new = before.as_ref() != Some(&news);
                    pause = if is_new { SOON } else { (pause * 2).min(LATER) };
                    before = Some(news.clone());
                    turnstile.ring(Ask::Cluster(news));
                    let listed = Instant::now();
                    let _ = timeout(REFRESH, asked.notified()).await;
                    sleep(pause.saturating_sub(listed.elapsed())).await;
                }
                Err(why) => {
                    runtime.client = None;
                    before = None;
                    let known = away.as_ref().is_some_and(|(known, _)| *known == why);
                    if !known {
                        tracing::info!(why, "the container runtime is not there to be asked");
                        turnstile.ring(Ask::Cluster(News::Away(Source::Runtime, why.clone())));
                    }
                    let wait = away.map_or(AWAY, |(_, wait)| (wait * 2).min(LONG_AWAY));
                    away = Some((why, wait));
                    // What begins in a pod shows that it may be back, and does not wait for long.
                    sleep(AWAY).await;
                    let _ = timeout(wait.saturating_sub(AWAY), asked.notified()).await;
                }
            }
        }
    };
    tokio::select! {
        () = asking => {}
        // Whoever could say that it is over has gone as well.
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

/// A runtime, and what is remembered of it.
struct Runtime {
    chosen: Chosen,
    client: Option<Client>,
    /// Images by name, of containers whose list tells an id alone.
    images: HashMap<String, Option<Image>>,
}

impl Runtime {
    fn new(chosen: Chosen) -> Self {
        Self { chosen, client: None, images: HashMap::new() }
    }

    /// All pods and containers.
    async fn list(&mut self, find: impl Fn() -> Result<PathBuf, String>) -> Result<News, String> {
        let Self { chosen, client, images } = self;
        let client = match client {
            Some(client) => client,
            None => client.insert(Client::connect(&find()?).await?),
        };
        // In this order, the pod of every container is there.
        let containers = client.containers().await?;
        let sandboxes = client.pods().await?;
        images.retain(|id, _| containers.iter().any(|container| container.id == *id));
        let mut asked = 0;
        for container in &containers {
            if listed(container).is_none()
                && !images.contains_key(&container.id)
                && asked < IMAGES
                && images.len() < REMEMBERED
            {
                asked += 1;
                // It may have gone since it was listed.
                let image = client.image(&container.id).await.ok().flatten();
                let image = image.as_deref().and_then(Image::parse);
                images.insert(container.id.clone(), image);
            }
        }
        Ok(news(chosen, &client.name, &containers, &sandboxes, images))
    }
}

/// An image by the name that a list tells.
fn listed(container: &wire::Container) -> Option<Image> {
    let spec = container.image.as_ref()?;
    Image::parse(&spec.user_specified_image).or_else(|| Image::parse(&spec.image))
}

/// What two lists say: answers as a runtime sends them.
pub fn facts(chosen: &Chosen, containers: &[u8], sandboxes: &[u8]) -> Option<News> {
    let containers = wire::ListContainersResponse::decode(containers).ok()?.containers;
    let sandboxes = wire::ListPodSandboxResponse::decode(sandboxes).ok()?.items;
    Some(news(chosen, "runtime", &containers, &sandboxes, &HashMap::new()))
}

fn news(
    chosen: &Chosen,
    runtime: &str,
    containers: &[wire::Container],
    sandboxes: &[wire::PodSandbox],
    images: &HashMap<String, Option<Image>>,
) -> News {
    let runtime: Option<Arc<str>> = some(runtime);
    let uids: HashMap<&str, PodUid> = sandboxes
        .iter()
        .filter_map(|pod| Some((pod.id.as_str(), PodUid::new(&pod.metadata.as_ref()?.uid))))
        .collect();
    let mut all = Vec::with_capacity(containers.len() + sandboxes.len());
    for container in containers {
        let metadata = container.metadata.as_ref();
        all.push(Container {
            pod: uids.get(container.pod_sandbox_id.as_str()).cloned(),
            name: metadata.and_then(|metadata| some(&metadata.name)),
            restarts: metadata.map(|metadata| metadata.attempt),
            image: listed(container).or_else(|| images.get(&container.id).cloned().flatten()),
            runtime: runtime.clone(),
            ..Container::new(ContainerId::new(&container.id))
        });
    }
    all.extend(sandboxes.iter().map(|pod| Container {
        pod: uids.get(pod.id.as_str()).cloned(),
        runtime: runtime.clone(),
        ..Container::new(ContainerId::new(&pod.id))
    }));
    // A pod whose sandbox was made anew has several; they say the same of it.
    let pods = sandboxes.iter().filter_map(|sandbox| {
        let metadata = sandbox.metadata.as_ref()?;
        let uid = uids.get(sandbox.id.as_str())?.clone();
        Some(Pod {
            labels: chosen.labels(pairs(&sandbox.labels)),
            annotations: chosen.annotations(pairs(&sandbox.annotations)),
            ..Pod::new(uid, &metadata.namespace, &metadata.name)
        })
    });
    let mut pods: Vec<Pod> = pods.collect();
    // Runtimes list in no order; the same facts are to be the same news.
    pods.sort_by(|a, b| a.uid.cmp(&b.uid));
    all.sort_by(|a, b| a.id.cmp(&b.id));
    News::All(Source::Runtime, pods, all)
}

fn pairs(map: &HashMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    map.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}
