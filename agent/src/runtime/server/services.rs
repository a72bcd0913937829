//! The Services of the cluster, for the names of those who are asked through one: a watch of its own, where that is
//! switched on.
//!
//! It costs the server what a kube-proxy does: one list of all Services, from its cache, and one watch for each node.
//! Of what comes only names and addresses are taken in. Pods are watched on another connection: whatever becomes of
//! this one, nothing else is lost.

use std::borrow::Cow;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::{Deserialize, Deserializer};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{AWAY, LIST, LONG_AWAY, REASON, ask, client, jitter};
use crate::cluster::{News, Part, SERVICES, Service, ServiceUid, some};
use crate::host::text::limited;
use crate::runtime::bell::Ringer;
use crate::runtime::told::told;
use crate::runtime::turnstile::Ask;

/// Addresses of one Service: it has one of each family, and the first is said twice.
const ADDRESSES: usize = 4;

/// Why there is no more of it.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) why: String,
    /// The server will not say anything else soon.
    pub(super) refused: bool,
}

impl Broken {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), refused: false }
    }

    fn by(error: &watcher::Error) -> Self {
        let of = match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Some(error),
            _ => None,
        };
        let refused = matches!(of, Some(kube::Error::Api(status)) if status.code == 403);
        Self { why: limited(told(error).as_bytes(), REASON), refused }
    }
}

/// Watches the Services until it is stopped.
pub(in crate::runtime) async fn watch<C: Future<Output = Result<kube::Config, String>>>(
    config: impl Fn() -> C,
    turnstile: Ringer<Ask>,
    mut stopped: watch::Receiver<bool>,
) {
    let watching = async {
        let mut known: Option<String> = None;
        let mut wait = AWAY;
        loop {
            let mut has_listed = false;
            let tell = |news| {
                has_listed |= matches!(news, News::Services(..));
                turnstile.ring(Ask::Cluster(news));
            };
            let Broken { why, refused } = match config().await {
                Ok(config) => follow(config, LIST, tell).await,
                Err(why) => Broken::new(limited(why.as_bytes(), REASON)),
            };
            if has_listed {
                (known, wait) = (None, AWAY);
            }
            if known.as_ref() != Some(&why) {
                tracing::info!(why, "the API server does not tell of Services");
                turnstile.ring(Ask::Cluster(News::Part(Part::Services, Err(why.clone()))));
                known = Some(why);
            }
            sleep(if refused { ask::RARELY } else { wait }.mul_f64(jitter())).await;
            wait = (wait * 2).min(LONG_AWAY);
        }
    };
    tokio::select! {
        () = watching => {}
        // Whoever could say that it is over has gone as well.
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

/// Tells of every Service, until something is wrong: gives what.
pub(super) async fn follow(
    config: kube::Config,
    patience: Duration,
    mut tell: impl FnMut(News),
) -> Broken {
    let client = match client(config) {
        Ok(client) => client,
        Err(why) => return Broken::new(why),
    };
    let mut all = watcher::Config::default().any_semantic();
    // A list in pages would not be from the cache.
    all.page_size = None;
    let mut events = pin!(watcher(Api::<Found>::all(client), all));
    let (mut listed, mut beyond) = (Vec::new(), 0);
    let listing = async {
        loop {
            match events.try_next().await {
                Ok(Some(Event::InitApply(found))) => {
                    let known = found.service().filter(|service| !service.addresses.is_empty());
                    match known {
                        Some(service) if listed.len() < SERVICES => listed.push(service),
                        Some(_) => beyond += 1,
                        None => {}
                    }
                }
                Ok(Some(Event::InitDone)) => return None,
                Ok(Some(_)) => {}
                Ok(None) => return Some(Broken::new("the watch has ended")),
                Err(error) => return Some(Broken::by(&error)),
            }
        }
    };
    match timeout(patience, listing).await {
        Ok(None) => {
            tell(News::Services(listed, beyond));
            tell(News::Part(Part::Services, Ok(())));
        }
        Ok(Some(broken)) => return broken,
        Err(_) => return Broken::new(format!("no list of Services within {patience:?}")),
    }
    loop {
        let news = match events.try_next().await {
            Ok(Some(Event::Apply(found))) => found.service().map(News::Service),
            Ok(Some(Event::Delete(found))) => found.uid().map(News::NoService),
            // The watch was too old, and all is listed anew: by the next one, which is bounded.
            Ok(Some(Event::Init | Event::InitApply(_) | Event::InitDone)) => {
                return Broken::new("the watch has to begin anew");
            }
            Ok(None) => return Broken::new("the watch has ended"),
            Err(error) => return Broken::by(&error),
        };
        news.into_iter().for_each(&mut tell);
    }
}

/// What is read of a Service: there are thousands in one list, and most of what they say is for others.
#[derive(Clone, Debug, Deserialize)]
struct Found {
    #[serde(deserialize_with = "brief")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    #[serde(rename = "clusterIP")]
    first: Option<String>,
    #[serde(rename = "clusterIPs")]
    all: Option<Vec<String>>,
}

/// What is read of its metadata.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Brief {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

fn brief<'a, D: Deserializer<'a>>(of: D) -> Result<ObjectMeta, D::Error> {
    let Brief { name, namespace, uid, resource_version } = Brief::deserialize(of)?;
    Ok(ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() })
}

impl Found {
    fn uid(&self) -> Option<ServiceUid> {
        self.metadata.uid.as_deref().and_then(some).map(ServiceUid)
    }

    /// What it says; none if it is no whole one.
    fn service(&self) -> Option<Service> {
        let Spec { first, all } = &self.spec;
        // A headless one says `None`.
        let all = all.iter().flatten().chain(first).filter_map(|said| said.parse().ok());
        let mut addresses: Vec<IpAddr> = all.take(ADDRESSES).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let ObjectMeta { name, namespace, .. } = &self.metadata;
        let (name, namespace) = (some(name.as_deref()?)?, some(namespace.as_deref()?)?);
        Some(Service { uid: self.uid()?, name, namespace, addresses })
    }
}

impl Resource for Found {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Service".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "services".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
