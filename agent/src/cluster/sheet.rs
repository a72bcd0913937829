//! What is told of a pod and of a container in it, as attributes.

use std::sync::Arc;

use super::badge::Whose;
use super::fact::{Chosen, Container, DECLARED, Pod};
use super::name::{Names, names};
use super::owner::owners;
use super::place::Place;
use crate::metric::key::{
    CONTAINER_IMAGE_NAME, CONTAINER_IMAGE_TAGS, CONTAINER_NAME, CONTAINER_RUNTIME_NAME,
    K8S_CLUSTER_UID, K8S_CONTAINER_NAME, K8S_CONTAINER_RESTART_COUNT, K8S_NAMESPACE_NAME,
    K8S_NODE_UID, K8S_POD_ANNOTATION, K8S_POD_LABEL, K8S_POD_NAME, K8S_POD_START_TIME, K8S_POD_UID,
    Key, SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_VERSION,
};
use crate::metric::keys::Keys;
use crate::metric::snapshot::{Attribute, Value};

/// What every resource of one container or pod says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    /// Of the pod and the container, and what the pod's annotations declare.
    pub attributes: Vec<Attribute>,
    /// `service.name`, where no process says it.
    pub name: Option<Arc<str>>,
    /// `service.namespace`.
    pub namespace: Option<Arc<str>>,
    /// `service.version`.
    pub version: Option<Arc<str>>,
    /// `service.instance.id`.
    pub instance: Option<Arc<str>>,
}

/// What sheets are made by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ground {
    /// Labels and annotations that are told.
    pub chosen: Chosen,
    /// Whether `app.kubernetes.io/*` labels are names.
    pub labels_are_names: bool,
}

impl Sheet {
    /// Of what is known.
    pub(super) fn new(
        ground: &Ground,
        place: &Place,
        whose: &Whose,
        pod: Option<&Pod>,
        container: Option<&Container>,
        keys: &mut Keys,
    ) -> Self {
        let names = names(pod, container, ground.labels_are_names);
        let Names { name, namespace, version, instance } = names;
        let mut all = Vec::new();
        let mut tell = |key, value: Option<&Arc<str>>| {
            all.extend(value.map(|value| (key, Value::Text(Arc::clone(value)))));
        };
        let Place { node, cluster } = place;
        tell(K8S_CLUSTER_UID, cluster.as_ref());
        tell(K8S_NODE_UID, node.as_ref());
        tell(K8S_POD_UID, Some(&whose.pod().0));
        if let Some(pod) = pod {
            tell(K8S_POD_NAME, Some(&pod.name));
            tell(K8S_NAMESPACE_NAME, Some(&pod.namespace));
            tell(K8S_POD_START_TIME, pod.started.as_ref());
            for owner in owners(pod) {
                let (name, uid) = owner.kind.keys();
                tell(name, Some(&owner.name));
                tell(uid, owner.uid.as_ref());
            }
        }
        if let Some(container) = container {
            let image = container.image.as_ref();
            tell(K8S_CONTAINER_NAME, container.name.as_ref());
            tell(CONTAINER_NAME, container.name.as_ref());
            tell(CONTAINER_RUNTIME_NAME, container.runtime.as_ref());
            tell(CONTAINER_IMAGE_NAME, image.map(|image| &image.name));
            all.extend(
                container
                    .restarts
                    .map(|count| (K8S_CONTAINER_RESTART_COUNT, Value::Int(i64::from(count)))),
            );
            let tag = image.and_then(|image| image.tag.clone());
            all.extend(tag.map(|tag| (CONTAINER_IMAGE_TAGS, Value::List([tag].into()))));
        }
        if let Some(pod) = pod {
            all.extend(chosen(&ground.chosen, pod, keys));
            all.extend(declared(pod, keys));
        }
        Self { attributes: all, name, namespace, version, instance }
    }
}

/// Labels and annotations that somebody asked for.
fn chosen(chosen: &Chosen, pod: &Pod, keys: &mut Keys) -> Vec<Attribute> {
    let mut all = Vec::new();
    for (prefix, wanted, told) in [
        (K8S_POD_LABEL, &chosen.labels, &pod.labels),
        (K8S_POD_ANNOTATION, &chosen.annotations, &pod.annotations),
    ] {
        let told = wanted.iter().filter_map(|key| Some((key, told.get(key.as_str())?)));
        all.extend(told.filter_map(|(key, value)| {
            Some((keys.of(&format!("{prefix}{key}"))?, Value::Text(Arc::clone(value))))
        }));
    }
    all
}

/// What the pod's annotations declare beside its names.
fn declared(pod: &Pod, keys: &mut Keys) -> Vec<Attribute> {
    let names: [Key; 4] = [SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_VERSION, SERVICE_INSTANCE_ID];
    let declared = pod.annotations.iter().filter_map(|(key, value)| {
        let key = key.strip_prefix(DECLARED)?;
        (!key.is_empty() && names.iter().all(|name| name.0 != key)).then_some((key, value))
    });
    declared
        .filter_map(|(key, value)| Some((keys.of(key)?, Value::Text(Arc::clone(value)))))
        .collect()
}
