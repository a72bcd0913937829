//! From the server's own objects to facts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{self as api, ContainerStatus, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::amounts::amounts;
use crate::cluster::{Chosen, Container, ContainerId, Image, Kind, Owner, Pod, PodUid};
use crate::host::text::text;

/// By this a static pod's mirror has the uid that its node gave it, which is the one that control groups have.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// Containers of one pod that are taken in; a restarted one counts twice.
const CONTAINERS: usize = 256;
/// Addresses of one pod: it has one of each family, and the first is said twice.
const ADDRESSES: usize = 4;

/// What an object says of a pod; none if it is no whole one.
pub(super) fn facts(pod: &api::Pod, chosen: &Chosen) -> Option<(Pod, Vec<Container>)> {
    let api::Pod { metadata, spec, status } = pod;
    let (name, namespace) = (metadata.name.as_deref()?, metadata.namespace.as_deref()?);
    let status = status.as_ref();
    let started = status.and_then(|status| status.start_time.as_ref());
    let told = Pod {
        labels: chosen.labels(pairs(metadata.labels.as_ref())),
        annotations: chosen.annotations(pairs(metadata.annotations.as_ref())),
        started: started.map(|started| started.0.to_string().into()),
        owner: controller(metadata),
        addresses: addresses(pod),
        is_over: status
            .is_some_and(|status| matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))),
        ..Pod::new(uid(pod)?, namespace, name)
    };
    // What was asked for says more than what it was resolved to.
    let spec = spec.as_ref();
    let asked = spec.into_iter().flat_map(|spec| {
        let all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        let all = all.map(|container| (container.name.as_str(), container.image.as_deref()));
        let ephemeral = spec.ephemeral_containers.iter().flatten();
        all.chain(ephemeral.map(|container| (container.name.as_str(), container.image.as_deref())))
    });
    let asked: HashMap<&str, Option<&str>> = asked.collect();
    let desired = spec.into_iter().flat_map(|spec| {
        let all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        all.filter_map(|container| Some((container.name.as_str(), container.resources.as_ref()?)))
    });
    let desired: HashMap<&str, &ResourceRequirements> = desired.collect();
    let statuses = status.into_iter().flat_map(|status| {
        let all = status.container_statuses.iter().chain(&status.init_container_statuses);
        all.chain(&status.ephemeral_container_statuses).flatten()
    });
    let containers = statuses.flat_map(|status| {
        let image = asked.get(status.name.as_str()).copied().flatten();
        let image = image.and_then(Image::parse).or_else(|| Image::parse(&status.image));
        let desired = desired.get(status.name.as_str()).map(|said| amounts(said));
        let current = status.resources.as_ref().map(amounts);
        runs(status).map(move |(id, restarts)| {
            let (runtime, id) = id.split_once("://").unwrap_or(("", id));
            Container {
                name: Some(text(status.name.as_bytes()).into()),
                restarts: u32::try_from(restarts).ok(),
                image: image.clone(),
                desired,
                current,
                runtime: (!runtime.is_empty()).then(|| text(runtime.as_bytes()).into()),
                ..Container::new(ContainerId::new(id))
            }
        })
    });
    let containers = containers.take(CONTAINERS);
    let containers = containers.map(|one| Container { pod: Some(told.uid.clone()), ..one });
    let containers = containers.collect();
    Some((told, containers))
}

/// A pod's own addresses.
fn addresses(pod: &api::Pod) -> Vec<IpAddr> {
    let is_of_node = pod.spec.as_ref().is_some_and(|spec| spec.host_network == Some(true));
    let Some(status) = pod.status.as_ref().filter(|_| !is_of_node) else { return Vec::new() };
    let all = status.pod_ips.iter().flatten().map(|address| address.ip.as_str());
    let first = status.pod_ip.as_deref();
    let all = all.chain(first).filter_map(|address| address.parse().ok());
    let all: BTreeSet<IpAddr> = all.take(ADDRESSES).collect();
    all.into_iter().collect()
}

fn pairs(map: Option<&BTreeMap<String, String>>) -> impl Iterator<Item = (&str, &str)> {
    map.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()))
}

/// The uid of a pod, as its control group has it.
pub(super) fn uid(pod: &api::Pod) -> Option<PodUid> {
    let mirrored = pod.metadata.annotations.as_ref().and_then(|all| all.get(MIRROR));
    mirrored.or(pod.metadata.uid.as_ref()).map(|uid| PodUid::new(uid))
}

/// The container that runs, or ran last, and the one before it, with how often it had been begun anew by then.
fn runs(status: &ContainerStatus) -> impl Iterator<Item = (&str, i32)> {
    let before = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let before = before.and_then(|ended| ended.container_id.as_deref());
    let now = status.container_id.as_deref();
    let is_other = before != now;
    let before = before.filter(|_| is_other).map(|id| (id, status.restart_count.saturating_sub(1)));
    let all = now.map(|id| (id, status.restart_count)).into_iter().chain(before);
    all.filter(|(id, _)| !id.is_empty())
}

/// The workload that an object is one of.
pub(super) fn controller(metadata: &ObjectMeta) -> Option<Owner> {
    let owners = metadata.owner_references.iter().flatten();
    owners.filter(|owner| owner.controller == Some(true)).find_map(owner)
}

fn owner(owner: &OwnerReference) -> Option<Owner> {
    let OwnerReference { api_version, kind, name, uid, .. } = owner;
    let group = api_version.split('/').next().unwrap_or_default();
    let kind = match (group, kind.as_str()) {
        ("apps", "Deployment") => Kind::Deployment,
        ("apps", "ReplicaSet") => Kind::ReplicaSet,
        ("apps", "StatefulSet") => Kind::StatefulSet,
        ("apps", "DaemonSet") => Kind::DaemonSet,
        ("batch", "CronJob") => Kind::CronJob,
        ("batch", "Job") => Kind::Job,
        _ => return None,
    };
    Owner::new(kind, name, Some(uid))
}
