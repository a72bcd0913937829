//! The cluster's API server as a source of facts: a watch of this node's pods, and of nobody else's.
//!
//! It costs the server one list of a node's pods, from its cache, and one watch, for as long as nothing goes wrong;
//! after an error it is listed again, later each time and not all nodes at once. It says who owns a pod, and what of
//! its labels was changed, which the node's own runtime does not know. Beside that come two questions for where this
//! is, and one for each `ReplicaSet` and Job that a pod of this node is one of. Services are watched only where somebody
//! asked for them ([`services`]).

mod amounts;
mod ask;
mod bound;
mod fact;
pub(super) mod services;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::client::ClientBuilder;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::bell::Ringer;
use super::told::told;
use super::turnstile::Ask;
use crate::cluster::{Chosen, News, Part, Source};
use ask::Beside;
use bound::Bounds;

/// For a whole list: that of a full node takes a hundredth.
const LIST: Duration = Duration::from_secs(30);
/// For one answer to begin.
const ANSWER: Duration = Duration::from_secs(10);
/// Pods of one node that are taken in.
const PODS: usize = 2048;
/// Before a server that did not answer is asked again: at first, and at most.
const AWAY: Duration = Duration::from_secs(1);
const LONG_AWAY: Duration = Duration::from_mins(1);
/// The longest reason: a server may say anything.
const REASON: usize = 300;

/// How the server is reached: from within a pod, or by `KUBECONFIG`.
pub(super) async fn config() -> Result<kube::Config, String> {
    kube::Config::infer().await.map_err(|error| told(&error))
}

/// What an object says of a pod, as the server sends it; none if it is no whole pod.
pub fn facts(chosen: &Chosen, json: &[u8]) -> Option<News> {
    let pod: Pod = serde_json::from_slice(json).ok()?;
    let (pod, containers) = fact::facts(&pod, chosen)?;
    Some(News::Pod(Source::Server, Box::new(pod), containers))
}

/// What is watched.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The node's name.
    pub(super) node: String,
    /// What of its place nobody else has said.
    pub(super) place: Vec<Part>,
    /// Labels and annotations.
    pub(super) chosen: Chosen,
}

/// Watches the pods of a node until it is stopped.
pub(super) async fn watch<C: Future<Output = Result<kube::Config, String>>>(
    config: impl Fn() -> C,
    wanted: Wanted,
    turnstile: Ringer<Ask>,
    mut stopped: watch::Receiver<bool>,
) {
    let watching = async {
        let mut known: Option<String> = None;
        let mut wait = AWAY;
        let mut beside = Beside::default();
        loop {
            let mut has_listed = false;
            let why = match config().await {
                Ok(config) => {
                    let tell = |news| {
                        has_listed |= matches!(news, News::All(..));
                        turnstile.ring(Ask::Cluster(news));
                    };
                    follow(config, &wanted, &mut beside, LIST, tell).await
                }
                Err(why) => why,
            };
            let why = crate::host::text::limited(why.as_bytes(), REASON);
            if has_listed {
                (known, wait) = (None, AWAY);
            }
            if known.as_ref() != Some(&why) {
                tracing::info!(why, "the API server is not there to be asked");
                turnstile.ring(Ask::Cluster(News::Away(Source::Server, why.clone())));
                known = Some(why);
            }
            sleep(wait.mul_f64(jitter())).await;
            wait = (wait * 2).min(LONG_AWAY);
        }
    };
    tokio::select! {
        () = watching => {}
        // Whoever could say that it is over has gone as well.
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

/// Whose answers are bounded, or why there is none.
fn client(mut config: kube::Config) -> Result<Client, String> {
    config.connect_timeout = Some(ANSWER);
    // Errors are to be reasons at once, and waits our own.
    config.default_retry = false;
    let client = ClientBuilder::try_from(config).map_err(|error| told(&error))?;
    Ok(client.with_layer(&Bounds::default()).build())
}

/// Tells of every pod, until something is wrong: gives what.
async fn follow(
    config: kube::Config,
    wanted: &Wanted,
    beside: &mut Beside,
    patience: Duration,
    mut tell: impl FnMut(News),
) -> String {
    let Wanted { node, place, chosen } = wanted;
    let client = match client(config) {
        Ok(client) => client,
        Err(why) => return why,
    };
    let mut only =
        watcher::Config::default().fields(&format!("spec.nodeName={node}")).any_semantic();
    // A list in pages would not be from the cache, and one node's is short.
    only.page_size = None;
    let mut events = pin!(watcher(Api::<Pod>::all(client.clone()), only));
    let mut listed = Vec::new();
    let mut containers = Vec::new();
    let listing = async {
        loop {
            match events.try_next().await {
                Ok(Some(Event::InitApply(pod))) if listed.len() < PODS => {
                    if let Some((pod, of_pod)) = fact::facts(&pod, chosen) {
                        listed.push(pod);
                        containers.extend(of_pod);
                    }
                }
                Ok(Some(Event::InitDone)) => return None,
                Ok(Some(_)) => {}
                Ok(None) => return Some("the watch has ended".to_owned()),
                Err(error) => return Some(told(&error)),
            }
        }
    };
    beside.begin();
    let (outcome, found) =
        tokio::join!(timeout(patience, listing), beside.find_place(&client, node, place));
    // Where this is is known before what is there: it may be said of all of it.
    found.into_iter().for_each(&mut tell);
    match outcome {
        Ok(None) => {
            for pod in &mut listed {
                beside.look(pod);
            }
            tell(News::All(Source::Server, listed, containers));
        }
        Ok(Some(why)) => return why,
        Err(_) => return format!("no list of pods within {patience:?}"),
    }
    let mut again = Instant::now() + ask::RARELY.mul_f64(jitter());
    loop {
        tokio::select! {
            event = events.try_next() => match taken(event, chosen, beside) {
                Ok(Some(news)) => tell(news),
                Ok(None) => {}
                Err(why) => return why,
            },
            news = beside.next(&client) => news.into_iter().for_each(&mut tell),
            () = sleep_until(again), if beside.is_lost(place) => {
                beside.find_place(&client, node, place).await.into_iter().for_each(&mut tell);
                again = Instant::now() + ask::RARELY.mul_f64(jitter());
            }
        }
    }
}

/// What a step of the watch says, or why there are no more.
fn taken(
    event: Result<Option<Event<Pod>>, watcher::Error>,
    chosen: &Chosen,
    beside: &mut Beside,
) -> Result<Option<News>, String> {
    match event {
        Ok(Some(Event::Apply(pod))) => {
            Ok(fact::facts(&pod, chosen).map(|(mut pod, containers)| {
                beside.look(&mut pod);
                News::Pod(Source::Server, Box::new(pod), containers)
            }))
        }
        Ok(Some(Event::Delete(pod))) => {
            Ok(fact::uid(&pod).map(|uid| News::Gone(Source::Server, uid)))
        }
        // The watch was too old, and all is listed anew: by the next one, which is bounded.
        Ok(Some(Event::Init | Event::InitApply(_) | Event::InitDone)) => {
            Err("the watch has to begin anew".to_owned())
        }
        Ok(None) => Err("the watch has ended".to_owned()),
        Err(error) => Err(told(&error)),
    }
}

/// Half to one and a half: the nodes of a cluster are not to come all at once. Hash keys are random.
fn jitter() -> f64 {
    let random = RandomState::new().hash_one(0_u8);
    0.5 + (random >> 11) as f64 / (1_u64 << 53) as f64
}
