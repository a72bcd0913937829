//! Facts from several sources in any order, and badges that are given out once.

use proptest::prelude::*;

use super::*;
use crate::event::{Nanos, Timestamp};
use crate::metric::snapshot::Value;

const SECOND: u64 = 1_000_000_000;

fn at(second: u64) -> Timestamp {
    Timestamp(second * SECOND)
}

/// One of which all is known that only the server says.
fn whole(uid: &str, name: &str) -> Pod {
    Pod { started: Some("2026-01-02T03:04:05Z".into()), ..pod(uid, name) }
}

fn pod(uid: &str, name: &str) -> Pod {
    Pod::new(PodUid::new(uid), "shop", name)
}

fn container(id: &str, pod: &str, name: &str, restarts: u32) -> Container {
    Container {
        pod: Some(PodUid::new(pod)),
        name: Some(name.into()),
        restarts: Some(restarts),
        ..Container::new(ContainerId::new(id))
    }
}

fn whose(id: &str, pod: &str) -> Whose {
    Whose::Container(ContainerId::new(id), PodUid::new(pod))
}

fn cluster(sources: &[Source]) -> Cluster {
    let sources = sources.to_vec();
    Cluster::new(
        Config { wait: Nanos(5 * SECOND), sources, ..Config::default() },
        Timestamp::default(),
    )
}

/// What is told, as text.
fn told(cluster: &Cluster, whose: &Whose) -> String {
    let Some(sheet) = cluster.sheet(whose) else {
        return if cluster.waits(whose) { "waits" } else { "unmet" }.to_owned();
    };
    let Sheet { attributes, name, namespace, version, instance } = &**sheet;
    let names = [name, namespace, version, instance];
    let names = names.map(|name| name.as_deref().unwrap_or("-").to_owned()).join(" ");
    let value = |value: &Value| match value {
        Value::Text(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let all = attributes.iter().map(|(key, told)| format!("{}={}", key.0, value(told)));
    std::iter::once(names).chain(all).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_container_is_told_with_all_that_its_sources_say() {
    let mut cluster = cluster(&Source::ALL);
    let whose = whose("c1", "u1");
    cluster.meet(&whose);
    assert_eq!(told(&cluster, &whose), "waits");
    let image = Image::parse("here:5000/shop/cart:1.2");
    let by_runtime =
        Container { image, runtime: Some("containerd".into()), ..container("c1", "u1", "web", 2) };
    cluster.learn(News::All(Source::Runtime, vec![pod("u1", "cart-6d4-x2x9z")], vec![by_runtime]));
    // Who owns it is not known yet, and the server could say.
    assert_eq!(told(&cluster, &whose), "waits");
    let mut by_server = pod("u1", "cart-6d4-x2x9z");
    by_server.labels = [("pod-template-hash".into(), "6d4".into())].into();
    by_server.owner = Owner::new(Kind::ReplicaSet, "cart-6d4", Some("o1"));
    by_server.started = Some("2026-01-02T03:04:05Z".into());
    by_server.annotations = [
        ("resource.opentelemetry.io/team".into(), "basket".into()),
        ("resource.opentelemetry.io/service.namespace".into(), "retail".into()),
    ]
    .into();
    cluster.learn(News::Pod(
        Source::Server,
        Box::new(by_server),
        vec![container("c1", "u1", "web", 3)],
    ));
    let expect = "cart retail 1.2 shop.cart-6d4-x2x9z.web\n\
        k8s.pod.uid=u1\nk8s.pod.name=cart-6d4-x2x9z\nk8s.namespace.name=shop\n\
        k8s.pod.start_time=2026-01-02T03:04:05Z\n\
        k8s.replicaset.name=cart-6d4\nk8s.replicaset.uid=o1\nk8s.deployment.name=cart\n\
        k8s.container.name=web\ncontainer.name=web\ncontainer.runtime.name=containerd\n\
        container.image.name=here:5000/shop/cart\nk8s.container.restart_count=3\n\
        container.image.tags=List([\"1.2\"])\nteam=basket";
    assert_eq!(told(&cluster, &whose), expect);
    // What is worn is worn: whatever is said, and when all is gone.
    cluster.learn(News::Pod(Source::Server, Box::new(pod("u1", "other")), Vec::new()));
    cluster.learn(News::All(Source::Runtime, Vec::new(), Vec::new()));
    assert_eq!(told(&cluster, &whose), expect);
}

#[test]
fn nothing_is_told_before_the_server_has_said_where_this_is() {
    let place = || Place { node: Some("n".into()), cluster: Some("c".into()) };
    let check = |sources: &[Source], news: Option<News>, at_second: u64, expect: bool| {
        let mut cluster = cluster(sources);
        if let Some(news) = news {
            cluster.learn(news);
        }
        cluster.tick(at(at_second));
        assert_eq!(cluster.is_placeless(), expect);
    };
    let listed = || Some(News::All(Source::Server, Vec::new(), Vec::new()));
    let refused = || Some(News::Away(Source::Server, "forbidden (403)".to_owned()));
    check(&[Source::Runtime], None, 0, false);
    check(&Source::ALL, None, 4, true);
    check(&Source::ALL, None, 5, false);
    check(&Source::ALL, listed(), 0, false);
    check(&Source::ALL, refused(), 0, false);
    let by_runtime = Some(News::All(Source::Runtime, Vec::new(), Vec::new()));
    check(&Source::ALL, by_runtime, 0, true);
    // What comes late is told of whoever comes later still.
    let mut cluster = cluster(&[Source::Server]);
    let containers = || vec![container("c1", "u1", "web", 0)];
    cluster.learn(News::All(Source::Server, vec![whole("u1", "bare")], containers()));
    cluster.meet(&whose("c1", "u1"));
    cluster.learn(News::Place(place()));
    cluster.meet(&whose("c2", "u1"));
    cluster.tick(at(5));
    let of = |id| told(&cluster, &whose(id, "u1")).contains("k8s.cluster.uid=c\nk8s.node.uid=n");
    assert_eq!((of("c1"), of("c2")), (false, true));
}

#[test]
fn what_stands_above_an_owner_is_waited_for_and_believed() {
    let check = |above: Option<News>, expect: &str| {
        let mut cluster = cluster(&[Source::Server]);
        let mut one = whole("u1", "cart-6d4-x2x9z");
        one.labels = [("pod-template-hash".into(), "6d4".into())].into();
        one.owner = Owner::new(Kind::ReplicaSet, "cart-6d4", Some("o1"));
        one.owner.as_mut().unwrap().above = Above::Asked;
        cluster.learn(News::All(Source::Server, vec![one], vec![container("c", "u1", "web", 0)]));
        let whose = whose("c", "u1");
        cluster.meet(&whose);
        assert_eq!(told(&cluster, &whose), "waits");
        match above {
            Some(news) => cluster.learn(news),
            None => cluster.tick(at(5)),
        }
        let told = told(&cluster, &whose);
        let told = told.lines().filter(|line| line.starts_with("k8s.deployment"));
        assert_eq!(told.collect::<Vec<_>>().join(" "), expect);
    };
    let said = |above: Option<Owner>| {
        Some(News::Above("o1".into(), Above::Said(above.map(std::sync::Arc::new))))
    };
    let deployment = || Owner::new(Kind::Deployment, "other", Some("d1"));
    check(said(deployment()), "k8s.deployment.name=other k8s.deployment.uid=d1");
    check(said(None), "");
    check(Some(News::Above("o1".into(), Above::Unsaid)), "k8s.deployment.name=cart");
    check(None, "k8s.deployment.name=cart");
    let away = News::Away(Source::Server, "it was stopped".to_owned());
    check(Some(away), "k8s.deployment.name=cart");
}

#[test]
fn the_runtime_alone_is_enough_where_nobody_else_is_asked() {
    let mut cluster = cluster(&[Source::Runtime]);
    cluster.learn(News::All(
        Source::Runtime,
        vec![pod("u1", "bare")],
        vec![container("c1", "u1", "web", 0)],
    ));
    cluster.meet(&whose("c1", "u1"));
    assert!(told(&cluster, &whose("c1", "u1")).starts_with("bare shop - shop.bare.web\n"));
    // A pod for itself, and the container that holds its namespaces.
    let whole = Whose::Pod(PodUid::new("u1"));
    cluster.meet(&whole);
    let expect = "bare shop - -\nk8s.pod.uid=u1\nk8s.pod.name=bare\nk8s.namespace.name=shop";
    assert_eq!(told(&cluster, &whole), expect);
}

#[test]
fn nobody_waits_for_a_source_that_is_away() {
    let mut cluster = cluster(&Source::ALL);
    let whose = whose("c1", "u1");
    cluster.meet(&whose);
    cluster.learn(News::All(
        Source::Runtime,
        vec![pod("u1", "bare")],
        vec![container("c1", "u1", "web", 0)],
    ));
    assert!(cluster.is_asked());
    cluster.learn(News::Away(Source::Server, "forbidden (403)".to_owned()));
    assert!(told(&cluster, &whose).starts_with("bare shop"));
    assert!(!cluster.is_asked());
    let standing: Vec<_> = cluster.standing().map(|(source, s)| (source, s.cloned())).collect();
    let away = Some(Err("forbidden (403)".to_owned()));
    assert_eq!(standing, [(Source::Runtime, Some(Ok(()))), (Source::Server, away)]);
    assert_eq!(cluster.counts().nameless, 0);
}

#[test]
fn who_is_not_named_in_time_goes_without_and_is_counted() {
    let mut cluster = cluster(&Source::ALL);
    cluster.tick(at(100));
    let first = whose("c1", "u1");
    cluster.meet(&first);
    cluster.tick(at(104));
    assert_eq!(told(&cluster, &first), "waits");
    cluster.tick(at(105));
    assert_eq!(told(&cluster, &first), "- - - -\nk8s.pod.uid=u1");
    assert_eq!(cluster.counts().nameless, 1);
    // The server comes too late for this one, and in time for the next.
    cluster.learn(News::All(
        Source::Server,
        vec![whole("u1", "bare")],
        vec![container("c2", "u1", "web", 1)],
    ));
    assert_eq!(told(&cluster, &first), "- - - -\nk8s.pod.uid=u1");
    cluster.learn(News::Away(Source::Runtime, "no socket".to_owned()));
    let next = whose("c2", "u1");
    cluster.meet(&next);
    assert!(told(&cluster, &next).starts_with("bare shop"), "{}", told(&cluster, &next));
    assert_eq!(cluster.counts().nameless, 1);
}

#[test]
fn a_pod_replaced_under_its_name_and_a_container_begun_anew_are_others() {
    let mut cluster = cluster(&[Source::Server]);
    let server = Source::Server;
    let stateful = |uid| {
        let mut pod = whole(uid, "db-0");
        pod.owner = Owner::new(Kind::StatefulSet, "db", None);
        Box::new(pod)
    };
    cluster.learn(News::Pod(server, stateful("u1"), vec![container("c1", "u1", "d", 0)]));
    cluster.learn(News::Pod(server, stateful("u1"), vec![container("c2", "u1", "d", 1)]));
    cluster.learn(News::Gone(server, PodUid::new("u1")));
    cluster.learn(News::Pod(server, stateful("u2"), vec![container("c3", "u2", "d", 0)]));
    // All of them have ended but the last; their last points still get their names.
    for (id, uid, restarts) in [("c1", "u1", 0), ("c2", "u1", 1), ("c3", "u2", 0)] {
        let whose = whose(id, uid);
        cluster.meet(&whose);
        let told = told(&cluster, &whose);
        assert!(told.starts_with(&format!("db shop - shop.db-0.d\nk8s.pod.uid={uid}\n")), "{told}");
        assert!(told.ends_with(&format!("k8s.container.restart_count={restarts}")), "{told}");
    }
}

#[test]
fn what_is_gone_is_kept_for_a_while_and_badges_as_long_as_they_are_asked_for() {
    let mut cluster = cluster(&[Source::Runtime]);
    let all =
        || News::All(Source::Runtime, vec![pod("u1", "bare")], vec![container("c1", "u1", "w", 0)]);
    let none = || News::All(Source::Runtime, Vec::new(), Vec::new());
    cluster.learn(all());
    cluster.meet(&whose("c1", "u1"));
    cluster.learn(none());
    let held = |cluster: &Cluster| (cluster.counts().known, cluster.counts().badges);
    cluster.tick(at(119));
    assert_eq!(held(&cluster), (2, 1));
    cluster.tick(at(120));
    assert_eq!(held(&cluster), (2, 0));
    cluster.tick(at(599));
    assert_eq!(held(&cluster), (2, 0));
    cluster.tick(at(600));
    assert_eq!(held(&cluster), (0, 0));
    // What comes back stays.
    cluster.learn(all());
    cluster.learn(none());
    cluster.learn(all());
    cluster.tick(at(6000));
    assert_eq!(held(&cluster), (2, 0));
}

#[test]
fn services_are_named_in_the_order_that_is_documented() {
    let check = |labels_are_names: bool, change: fn(&mut Pod), expect: [&str; 4]| {
        let ground = Ground { labels_are_names, ..Ground::default() };
        let mut cluster =
            Cluster::new(Config { ground, ..Config::default() }, Timestamp::default());
        let mut pod = pod("u", "p-6d4-x2x9z");
        change(&mut pod);
        let image = Image::parse("i:3@sha256:1");
        let container = Container { image, ..container("c", "u", "web", 0) };
        cluster.learn(News::All(Source::Server, vec![pod], vec![container]));
        cluster.meet(&whose("c", "u"));
        let told = told(&cluster, &whose("c", "u"));
        assert_eq!(told.lines().next(), Some(expect.join(" ").as_str()));
    };
    let labels = |pod: &mut Pod| {
        pod.owner = Owner::new(Kind::ReplicaSet, "p-6d4", None);
        pod.labels = [
            ("pod-template-hash", "6d4"),
            ("app.kubernetes.io/instance", "cart-eu"),
            ("app.kubernetes.io/name", "cart"),
            ("app.kubernetes.io/version", "7"),
        ]
        .map(|(key, value)| (key.into(), value.into()))
        .into();
    };
    let place = "shop.p-6d4-x2x9z.web";
    let image = "3@sha256:1";
    check(false, |_| (), ["p-6d4-x2x9z", "shop", image, place]);
    check(false, labels, ["p", "shop", image, place]);
    check(true, labels, ["cart-eu", "shop", "7", place]);
    check(
        true,
        |pod| pod.labels = [("app.kubernetes.io/name".into(), "cart".into())].into(),
        ["cart", "shop", image, place],
    );
    let annotated = |pod: &mut Pod| {
        pod.owner = Owner::new(Kind::DaemonSet, "d", None);
        pod.annotations =
            [("name", "n"), ("namespace", "ns"), ("version", "v"), ("instance.id", "i")]
                .map(|(key, value)| {
                    (format!("resource.opentelemetry.io/service.{key}").into(), value.into())
                })
                .into();
    };
    check(true, annotated, ["n", "ns", "v", "i"]);
    let owned = |kind| move |pod: &mut Pod| pod.owner = Owner::new(kind, "job-29384756", None);
    let check_owned = |kind, expect: &str| {
        let mut pod = pod("u", "p");
        owned(kind)(&mut pod);
        let mut cluster = Cluster::new(Config::default(), Timestamp::default());
        cluster.learn(News::All(Source::Server, vec![pod], Vec::new()));
        cluster.meet(&Whose::Pod(PodUid::new("u")));
        let told = told(&cluster, &Whose::Pod(PodUid::new("u")));
        assert_eq!(told.split(' ').next(), Some(expect), "{kind:?}");
    };
    check_owned(Kind::Job, "job");
    check_owned(Kind::StatefulSet, "job-29384756");
    check_owned(Kind::ReplicaSet, "job-29384756");
}

#[test]
fn only_chosen_labels_and_annotations_are_kept_and_told() {
    let ground = Ground {
        chosen: Chosen {
            labels: ["team".to_owned()].into(),
            annotations: ["example.com/tier".to_owned()].into(),
        },
        labels_are_names: false,
    };
    let all = [
        ("team", "a\nb"),
        ("secret", "x"),
        ("pod-template-hash", "6d4"),
        ("example.com/tier", "1"),
    ];
    let mut pod = pod("u", "p");
    pod.labels = ground.chosen.labels(all.into_iter());
    pod.annotations = ground.chosen.annotations(all.into_iter());
    assert_eq!(pod.labels.keys().map(|k| &**k).collect::<Vec<_>>(), ["pod-template-hash", "team"]);
    assert_eq!(pod.annotations.keys().map(|k| &**k).collect::<Vec<_>>(), ["example.com/tier"]);
    let mut cluster = Cluster::new(Config { ground, ..Config::default() }, Timestamp::default());
    cluster.learn(News::All(Source::Server, vec![pod], Vec::new()));
    cluster.meet(&Whose::Pod(PodUid::new("u")));
    let told = told(&cluster, &Whose::Pod(PodUid::new("u")));
    assert!(
        told.ends_with("k8s.pod.label.team=a\u{fffd}b\nk8s.pod.annotation.example.com/tier=1"),
        "{told}"
    );
}

#[test]
fn hostile_amounts_are_bounded_and_counted() {
    let chosen = Chosen::default();
    let many: Vec<_> = (0..10_000).map(|i| format!("resource.opentelemetry.io/k{i}")).collect();
    let long = "x".repeat(1 << 20);
    let kept = chosen.annotations(many.iter().map(|key| (key.as_str(), long.as_str())));
    assert_eq!((kept.len(), kept.values().map(|value| value.len()).max()), (64, Some(255)));
    let mut store = Store::new(Limits { containers: 2, pods: 1, grace: Nanos(SECOND) });
    let containers = |range: std::ops::Range<u32>| -> Vec<_> {
        range.map(|i| container(&format!("c{i}"), "u", "w", 0)).collect()
    };
    store.learn(News::All(Source::Runtime, Vec::new(), containers(0..4)), at(0));
    assert_eq!((store.held(), store.refused()), ([2, 0], 2));
    // What is gone makes room.
    store.learn(News::All(Source::Runtime, Vec::new(), containers(4..6)), at(0));
    assert_eq!((store.held(), store.refused()), ([2, 0], 2));
    assert!(store.container(&ContainerId::new("c5")).is_some());
}

#[test]
fn the_readme_has_the_order_of_names() {
    let readme = include_str!("../../../README.md");
    let order: Vec<String> = BY.iter().map(|by| by.words()).collect();
    assert!(readme.contains(&order.join(", ")), "{}", order.join(", "));
}

fn news() -> impl Strategy<Value = (bool, u8, u8, u8)> {
    (any::<bool>(), 0..4_u8, 0..3_u8, 0..4_u8)
}

/// One thing that a source might say, of few pods and containers.
fn said(source: Source, (all, kind, uid, name): (bool, u8, u8, u8)) -> News {
    let uid = format!("u{uid}");
    let mut one = pod(&uid, &format!("p{name}"));
    one.owner = (name == 1).then(|| Owner::new(Kind::DaemonSet, "d", None)).flatten();
    one.started = (name == 2).then(|| "t".into());
    let mut container = container(&format!("c{kind}"), &uid, &format!("n{name}"), u32::from(name));
    if name == 3 {
        (container.name, container.restarts) = (None, None);
    }
    match kind {
        0 => News::Gone(source, PodUid::new(&uid)),
        _ if all => News::All(source, vec![one], vec![container]),
        _ => News::Pod(source, Box::new(one), vec![container]),
    }
}

proptest! {
    /// However what two sources say is shuffled together, the same is known in the end.
    #[test]
    fn which_source_was_first_makes_no_difference(
        runtime in prop::collection::vec(news(), 0..12),
        server in prop::collection::vec(news(), 0..12),
        order in prop::collection::vec(any::<bool>(), 24),
    ) {
        let known = |order: &mut dyn Iterator<Item = bool>| {
            let mut store = Store::new(Limits::default());
            let mut left = [server.iter(), runtime.iter()];
            loop {
                let first = usize::from(order.next().unwrap_or_default());
                let source = [Source::Server, Source::Runtime];
                let next = [first, 1 - first].into_iter().find_map(|i| Some((source[i], left[i].next()?)));
                let Some((source, news)) = next else { break };
                store.learn(said(source, *news), at(1));
            }
            let containers: Vec<_> = (0..4).map(|i| store.container(&ContainerId::new(&format!("c{i}")))).collect();
            let pods: Vec<_> = (0..3).map(|i| store.pod(&PodUid::new(&format!("u{i}")))).collect();
            // What is gone is forgotten alike.
            store.expire(at(10_000));
            (containers, pods, store.held())
        };
        prop_assert_eq!(known(&mut order.iter().copied()), known(&mut std::iter::empty()));
    }
}
