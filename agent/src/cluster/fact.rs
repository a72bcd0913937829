//! What a source may say of a container and of a pod. Everything but the ids may be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::image::Image;
use super::owner::{Above, Owner};
use super::place::{Part, Place};
use crate::host::text::{TEXT, text};

/// A container's id, as its control group has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(pub Arc<str>);

/// A pod's uid, as its control group has it: that of a static pod is the hash of its file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodUid(pub Arc<str>);

impl ContainerId {
    /// A container's id.
    pub fn new(id: &str) -> Self {
        Self(text(id.as_bytes()).into())
    }
}

impl PodUid {
    /// A pod's uid.
    pub fn new(uid: &str) -> Self {
        Self(text(uid.as_bytes()).into())
    }
}

/// Who says something. Where two differ, the one that stands later is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The node's own container runtime. It knows a container before it runs, and a while after; it does not know
    /// who owns a pod, nor what of a pod was changed since it began.
    Runtime,
    /// The cluster's API server.
    Server,
}

impl Source {
    /// All of them, as they are believed.
    pub const ALL: [Self; 2] = [Self::Runtime, Self::Server];
}

/// What one source says of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// The pod it is in.
    pub pod: Option<PodUid>,
    /// Its name in the pod; the one that holds a pod's namespaces together has none.
    pub name: Option<Arc<str>>,
    /// How often it was begun anew before.
    pub restarts: Option<u32>,
    /// Its image.
    pub image: Option<Image>,
    /// The name of the runtime that runs it.
    pub runtime: Option<Arc<str>>,
    /// What it is to have.
    pub desired: Option<Amounts>,
    /// What it has.
    pub current: Option<Amounts>,
}

/// How much a container may use at most, and how much is kept for it. What is not set is not limited, or not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Billionths of a processor.
    pub cpu_limit: Option<u64>,
    /// The same, kept.
    pub cpu_request: Option<u64>,
    /// Bytes.
    pub memory_limit: Option<u64>,
    /// The same, kept.
    pub memory_request: Option<u64>,
}

impl Container {
    /// One of which nothing is known.
    pub fn new(id: ContainerId) -> Self {
        let (pod, name, restarts, image, runtime) = (None, None, None, None, None);
        Self { id, pod, name, restarts, image, runtime, desired: None, current: None }
    }
}

/// Labels or annotations.
pub(super) type Pairs = BTreeMap<Arc<str>, Arc<str>>;

/// What one source says of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its uid.
    pub uid: PodUid,
    /// Its name.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Labels, as far as they are chosen or needed.
    pub labels: Pairs,
    /// Annotations, likewise.
    pub annotations: Pairs,
    /// When the node took it on, as the server writes it.
    pub started: Option<Arc<str>>,
    /// What it is one of.
    pub owner: Option<Owner>,
    /// Its own addresses: none if its network is the node's.
    pub addresses: Vec<IpAddr>,
    /// All of it has ended: its addresses may be another's by now.
    pub is_over: bool,
}

impl Pod {
    /// One of which no more is known.
    pub fn new(uid: PodUid, namespace: &str, name: &str) -> Self {
        let (name, namespace) = (text(name.as_bytes()).into(), text(namespace.as_bytes()).into());
        let (labels, annotations) = (Pairs::new(), Pairs::new());
        let (started, owner, addresses, is_over) = (None, None, Vec::new(), false);
        Self { uid, name, namespace, labels, annotations, started, owner, addresses, is_over }
    }

    pub(super) fn label(&self, key: &str) -> Option<&Arc<str>> {
        self.labels.get(key).filter(|value| !value.is_empty())
    }
}

/// A Service's uid.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceUid(pub Arc<str>);

/// What the server says of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its uid.
    pub uid: ServiceUid,
    /// Its name.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// The addresses that stand for it in the whole cluster; a headless one has none.
    pub addresses: Vec<IpAddr>,
}

/// What a source has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// All there is: what is not in it is gone.
    All(Source, Vec<Pod>, Vec<Container>),
    /// A pod as it is now, with all of its containers.
    Pod(Source, Box<Pod>, Vec<Container>),
    /// A pod is gone, with its containers.
    Gone(Source, PodUid),
    /// The source cannot be asked, for this reason; what it said stands.
    Away(Source, String),
    /// The node and the cluster that all of this is in, as far as the server says.
    Place(Place),
    /// What stands above an owner with this uid.
    Above(Arc<str>, Above),
    /// Whether the server answers questions of this kind.
    Part(Part, Result<(), String>),
    /// All Services with addresses, and how many there are that were left out.
    Services(Vec<Service>, u64),
    /// A Service as it is now.
    Service(Service),
    /// A Service is gone.
    NoService(ServiceUid),
}

/// What all annotations that are meant for resources begin with.
pub(super) const DECLARED: &str = "resource.opentelemetry.io/";
/// Annotations of one pod that are kept.
const ANNOTATIONS: usize = 64;
/// Bytes of a key: a prefix of 253, a slash, a name of 63.
const KEY: usize = 317;

/// Which labels and annotations are kept: those that somebody asked for, and those that names are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Keys of labels that are told.
    pub labels: BTreeSet<String>,
    /// Keys of annotations that are told.
    pub annotations: BTreeSet<String>,
}

impl Chosen {
    /// What is kept of a pod's labels.
    pub fn labels<'a>(&self, all: impl Iterator<Item = (&'a str, &'a str)>) -> Pairs {
        let needed = super::owner::LABELS.iter().chain(super::name::LABELS);
        kept(all, |key| self.labels.contains(key) || needed.clone().any(|needed| *needed == key))
    }

    /// What is kept of its annotations.
    pub fn annotations<'a>(&self, all: impl Iterator<Item = (&'a str, &'a str)>) -> Pairs {
        kept(all, |key| self.annotations.contains(key) || key.starts_with(DECLARED))
    }
}

fn kept<'a>(
    all: impl Iterator<Item = (&'a str, &'a str)>,
    is_kept: impl Fn(&str) -> bool,
) -> Pairs {
    let clean = |key: &str| !key.chars().any(char::is_control);
    let wanted = all.filter(|(key, _)| key.len() <= KEY && is_kept(key) && clean(key));
    // In their order: of too many, the same are to be kept each time.
    let wanted: BTreeMap<&str, &str> = wanted.collect();
    let wanted = wanted.into_iter().take(ANNOTATIONS);
    wanted.map(|(key, value)| (key.into(), text(value.as_bytes()).into())).collect()
}

/// A text of a source, as it is kept; none if it is empty.
pub(crate) fn some(said: &str) -> Option<Arc<str>> {
    // The longest name there is in a cluster is kept whole.
    const { assert!(TEXT >= 253) }
    (!said.is_empty()).then(|| text(said.as_bytes()).into())
}
