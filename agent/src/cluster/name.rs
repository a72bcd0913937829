//! What a service in a pod is called, where its processes do not say it themselves: as OpenTelemetry's operator would
//! have told them.

use std::sync::Arc;

use super::fact::{Container, DECLARED, Pod};
use super::owner::{Kind, owners};
use crate::metric::key::{
    Key, SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_VERSION,
};

const INSTANCE: &str = "app.kubernetes.io/instance";
const NAME: &str = "app.kubernetes.io/name";
const VERSION: &str = "app.kubernetes.io/version";
/// Labels that names are made of where that is switched on.
pub(super) const LABELS: &[&str] = &[INSTANCE, NAME, VERSION];

/// Where a service's name may be from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The pod's annotation for it.
    Annotation,
    /// A label of the pod, where that is switched on.
    Label(&'static str),
    /// What the pod is one of.
    Owner(Kind),
    /// The pod's own name.
    Pod,
    /// The container's.
    Container,
}

/// Where a service's name is from, best first.
pub const BY: &[By] = &[
    By::Annotation,
    By::Label(INSTANCE),
    By::Label(NAME),
    By::Owner(Kind::Deployment),
    By::Owner(Kind::ReplicaSet),
    By::Owner(Kind::StatefulSet),
    By::Owner(Kind::DaemonSet),
    By::Owner(Kind::CronJob),
    By::Owner(Kind::Job),
    By::Pod,
    By::Container,
];

impl By {
    /// The same in words.
    pub fn words(self) -> String {
        match self {
            Self::Annotation => format!("annotation `{DECLARED}{}`", SERVICE_NAME.0),
            Self::Label(label) => format!("label `{label}`"),
            Self::Owner(kind) => format!("{kind:?}"),
            Self::Pod => "pod".to_owned(),
            Self::Container => "container".to_owned(),
        }
    }
}

/// What a service in a pod is called, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) name: Option<Arc<str>>,
    pub(super) namespace: Option<Arc<str>>,
    pub(super) version: Option<Arc<str>>,
    pub(super) instance: Option<Arc<str>>,
}

/// The names of what runs in a container of a pod.
pub(super) fn names(pod: Option<&Pod>, container: Option<&Container>, use_labels: bool) -> Names {
    let owners: Vec<_> = pod.into_iter().flat_map(owners).collect();
    let label = |key: &str| pod.filter(|_| use_labels)?.label(key).cloned();
    let declared = |key: Key| declared(pod?, key);
    let of_container = container.and_then(|container| container.name.clone());
    let image = container.and_then(|container| container.image.as_ref());
    let by = |by: &By| match by {
        By::Annotation => declared(SERVICE_NAME),
        By::Label(key) => label(key),
        By::Owner(kind) => {
            owners.iter().find(|owner| owner.kind == *kind).map(|owner| Arc::clone(&owner.name))
        }
        By::Pod => pod.map(|pod| Arc::clone(&pod.name)),
        By::Container => of_container.clone(),
    };
    let place = || {
        let Pod { namespace, name, .. } = pod?;
        Some(format!("{namespace}.{name}.{}", of_container.as_deref()?).into())
    };
    Names {
        name: BY.iter().find_map(by),
        namespace: declared(SERVICE_NAMESPACE).or_else(|| pod.map(|p| Arc::clone(&p.namespace))),
        version: declared(SERVICE_VERSION)
            .or_else(|| label(VERSION))
            .or_else(|| image.and_then(super::Image::version)),
        instance: declared(SERVICE_INSTANCE_ID).or_else(place),
    }
}

/// What an annotation says for resources.
fn declared(pod: &Pod, key: Key) -> Option<Arc<str>> {
    let value = pod.annotations.get(format!("{DECLARED}{}", key.0).as_str())?;
    (!value.is_empty()).then(|| Arc::clone(value))
}
