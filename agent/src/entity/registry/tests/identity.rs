//! Every attribute that is told of a container in a pod: with all sources, and with the node's runtime alone.

use super::*;
use crate::cluster::{
    self, Above, Chosen, Container, ContainerId, Ground, Image, Kind, News, Owner, Place, Pod,
    PodUid, Source,
};

const ID: &str = "3f4e9c1d2b5a68790c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7";
const UID: &str = "0a1b2c3d-1111-2222-3333-444455556666";

/// A workload, with what only the server knows of it.
fn owner(kind: Kind) -> Owner {
    let (name, above) = match kind {
        Kind::ReplicaSet => ("cart-6d4", Owner::new(Kind::Deployment, "cart", Some("above"))),
        Kind::Job => ("cart-29384756", Owner::new(Kind::CronJob, "cart", Some("above"))),
        _ => ("cart", None),
    };
    let mut owner = Owner::new(kind, name, Some("owner")).unwrap();
    owner.above = Above::Said(above.map(Arc::new));
    owner
}

/// What is told of one container of a pod that such a workload made, by these sources.
fn told(kind: Kind, sources: &[Source]) -> Arc<Resource> {
    let attributes = "k8s.node.name=n1,k8s.cluster.name=here".to_owned();
    let (mut registry, fake) = registry(Config { attributes, ..Config::default() });
    registry.tick(at(100), Anchor::default());
    let keys = |key: &str| [key.to_owned()].into();
    registry.join_cluster(cluster::Config {
        wait: Nanos(5 * SECOND),
        sources: sources.to_vec(),
        ground: Ground {
            chosen: Chosen { labels: keys("team"), annotations: keys("tier") },
            labels_are_names: false,
        },
    });
    let group = format!(
        "/kubepods.slice/kubepods-pod{}.slice/cri-containerd-{ID}.scope",
        UID.replace('-', "_")
    );
    fake.put(7, process("nginx", b"nginx\0", &group, 50));
    let entity = registry.of(Pid(7), at(100));
    let (name, labels): (&str, &[(&str, &str)]) = match kind {
        Kind::ReplicaSet => ("cart-6d4-x2x9z", &[("pod-template-hash", "6d4")]),
        Kind::StatefulSet => ("cart-0", &[("statefulset.kubernetes.io/pod-name", "cart-0")]),
        Kind::DaemonSet => ("cart-x2x9z", &[("pod-template-generation", "1")]),
        _ => ("cart-29384756-x2x9z", &[("batch.kubernetes.io/job-name", "cart-29384756")]),
    };
    let mut pod = Pod::new(PodUid::new(UID), "shop", name);
    let labels = labels.iter().chain(&[("team", "basket")]);
    pod.labels = labels.map(|(key, value)| ((*key).into(), (*value).into())).collect();
    pod.annotations = [("tier".into(), "1".into())].into();
    let container = Container {
        pod: Some(PodUid::new(UID)),
        name: Some("web".into()),
        restarts: Some(2),
        image: Image::parse("here:5000/cart:1.2@sha256:1f"),
        runtime: Some("containerd".into()),
        ..Container::new(ContainerId::new(ID))
    };
    for source in sources {
        let mut pod = pod.clone();
        if *source == Source::Server {
            registry.learn(News::Place(Place {
                node: Some("n-uid".into()),
                cluster: Some("c-uid".into()),
            }));
            pod.owner = Some(owner(kind));
            pod.started = Some("2026-01-02T03:04:05Z".into());
        }
        registry.learn(News::All(*source, vec![pod], vec![container.clone()]));
    }
    assert!(!registry.waits(entity));
    registry.resource(entity)
}

fn text(resource: &Resource, key: &str) -> String {
    let found = resource.attributes.iter().find(|(known, _)| known.0 == key);
    found.map_or_else(
        || "-".to_owned(),
        |(_, value)| match value {
            Value::Text(text) => text.to_string(),
            Value::Int(number) => number.to_string(),
            other => format!("{other:?}"),
        },
    )
}

#[test]
fn every_attribute_is_told_as_far_as_its_sources_go() {
    let check = |kind, key: &str, all: &str, runtime: &str| {
        let sources: [&[Source]; 2] = [&Source::ALL, &[Source::Runtime]];
        for (sources, expect) in sources.into_iter().zip([all, runtime]) {
            assert_eq!(text(&told(kind, sources), key), expect, "{key} of {kind:?} by {sources:?}");
        }
    };
    // What is the same for all of them, then what each kind of workload has: key, by all sources, by the runtime alone.
    let started = "2026-01-02T03:04:05Z";
    let set = Kind::ReplicaSet;
    for (key, all, runtime) in [
        ("k8s.pod.name", "cart-6d4-x2x9z", "cart-6d4-x2x9z"),
        ("k8s.pod.uid", UID, UID),
        ("k8s.pod.start_time", started, "-"),
        ("k8s.container.name", "web", "web"),
        ("k8s.container.restart_count", "2", "2"),
        ("k8s.namespace.name", "shop", "shop"),
        ("k8s.node.name", "n1", "n1"),
        ("k8s.node.uid", "n-uid", "-"),
        ("k8s.cluster.name", "here", "here"),
        ("k8s.cluster.uid", "c-uid", "-"),
        ("k8s.replicaset.name", "cart-6d4", "cart-6d4"),
        ("k8s.replicaset.uid", "owner", "-"),
        ("k8s.deployment.name", "cart", "cart"),
        ("k8s.deployment.uid", "above", "-"),
        ("k8s.pod.label.team", "basket", "basket"),
        ("k8s.pod.annotation.tier", "1", "1"),
        ("container.id", ID, ID),
        ("container.name", "web", "web"),
        ("container.runtime.name", "containerd", "containerd"),
        ("container.image.name", "here:5000/cart", "here:5000/cart"),
        ("container.image.tags", "List([\"1.2\"])", "List([\"1.2\"])"),
        ("service.name", "cart", "cart"),
        ("service.namespace", "shop", "shop"),
        ("service.version", "1.2@sha256:1f", "1.2@sha256:1f"),
        ("service.instance.id", "shop.cart-6d4-x2x9z.web", "shop.cart-6d4-x2x9z.web"),
    ] {
        check(set, key, all, runtime);
    }
    for (kind, key, all, runtime) in [
        (Kind::StatefulSet, "k8s.statefulset.name", "cart", "cart"),
        (Kind::StatefulSet, "k8s.statefulset.uid", "owner", "-"),
        (Kind::DaemonSet, "k8s.daemonset.name", "cart", "cart"),
        (Kind::DaemonSet, "k8s.daemonset.uid", "owner", "-"),
        (Kind::Job, "k8s.job.name", "cart-29384756", "cart-29384756"),
        (Kind::Job, "k8s.job.uid", "owner", "-"),
        (Kind::Job, "k8s.cronjob.name", "cart", "cart"),
        (Kind::Job, "k8s.cronjob.uid", "above", "-"),
    ] {
        check(kind, key, all, runtime);
    }
}

#[test]
fn what_runs_beside_pods_says_where_it_is_as_well_and_waits_for_that() {
    let (mut registry, fake) = registry(Config::default());
    registry.tick(at(100), Anchor::default());
    registry.join_cluster(cluster::Config {
        wait: Nanos(5 * SECOND),
        sources: Source::ALL.to_vec(),
        ..cluster::Config::default()
    });
    fake.put(7, process("sshd", b"sshd\0", "/system.slice/ssh.service", 50));
    let entity = registry.of(Pid(7), at(100));
    assert!(registry.is_placeless() && registry.waits(entity));
    assert_eq!(registry.resource_of_cgroup("/system.slice/ssh.service"), None);
    registry.learn(News::Place(Place { node: Some("n-uid".into()), cluster: None }));
    registry.learn(News::Away(Source::Server, "it was stopped".to_owned()));
    assert!(!registry.waits(entity));
    let group = registry.resource_of_cgroup("/system.slice/ssh.service").unwrap();
    for resource in [&*registry.resource(entity), &registry.place_resource(&[]), &group] {
        assert_eq!(
            [text(resource, "k8s.node.uid"), text(resource, "k8s.cluster.uid")],
            ["n-uid", "-"]
        );
    }
    // It is too late for more: what was told keeps its name.
    registry.learn(News::Place(Place { node: Some("n-uid".into()), cluster: Some("c".into()) }));
    registry.tick(at(200), Anchor::default());
    assert_eq!(text(&registry.place_resource(&[]), "k8s.cluster.uid"), "-");
}
