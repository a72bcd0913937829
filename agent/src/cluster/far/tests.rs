//! An address belongs to who has it now.

use super::*;
use crate::cluster::{Above, Cluster, Config, Kind, Owner};

const SECOND: u64 = 1_000_000_000;

fn cluster() -> Cluster {
    let sources = vec![Source::Runtime, Source::Server];
    Cluster::new(Config { sources, ..Config::default() }, Timestamp::default())
}

fn pod(uid: &str, name: &str, addresses: &[&str]) -> Pod {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Pod { addresses, ..Pod::new(PodUid::new(uid), "shop", name) }
}

fn as_it_is(pod: Pod) -> News {
    News::Pod(Source::Server, Box::new(pod), Vec::new())
}

fn gone(uid: &str) -> News {
    News::Gone(Source::Server, PodUid::new(uid))
}

fn service(uid: &str, name: &str, addresses: &[&str]) -> Service {
    Service {
        uid: ServiceUid(uid.into()),
        name: name.into(),
        namespace: "shop".into(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    }
}

fn octets(address: &str) -> [u8; 16] {
    match address.parse().unwrap() {
        IpAddr::V4(four) => four.to_ipv6_mapped().octets(),
        IpAddr::V6(six) => six.octets(),
    }
}

/// `namespace/name` of who is there.
fn at(cluster: &Cluster, address: &str) -> String {
    let far = cluster.fars().at(octets(address));
    far.map_or_else(String::new, |far| {
        format!("{}/{}", far.namespace.as_deref().unwrap_or_default(), far.name)
    })
}

#[test]
fn a_pod_has_its_addresses_of_both_families_and_a_workloads_name() {
    let mut cluster = cluster();
    assert!(cluster.fars().is_empty());
    let mut cart = pod("u1", "cart-6d4-x2x9z", &["10.0.0.7", "fd00::7"]);
    cart.owner = Owner::new(Kind::ReplicaSet, "cart-6d4", Some("o1"));
    cart.labels = [("pod-template-hash".into(), "6d4".into())].into();
    let bare = pod("u2", "bare", &["::ffff:10.0.0.8", "127.0.0.1", "0.0.0.0", "fe80::1", "::1"]);
    // A pod in the node's network has no addresses of its own.
    let proxy = pod("u3", "proxy", &[]);
    cluster.learn(News::All(Source::Server, vec![cart, bare, proxy], Vec::new()));
    let check = |address, expect: &str| assert_eq!(at(&cluster, address), expect, "{address}");
    check("10.0.0.7", "shop/cart");
    check("fd00::7", "shop/cart");
    check("10.0.0.8", "shop/bare");
    for nobody in ["10.0.0.9", "127.0.0.1", "0.0.0.0", "fe80::1", "::1"] {
        check(nobody, "");
    }
}

#[test]
fn an_address_is_told_as_who_has_it_now() {
    let mut cluster = cluster();
    let mut one = pod("u1", "one", &["10.0.0.7"]);
    cluster.learn(as_it_is(one.clone()));
    let generation = cluster.fars().generation();
    cluster.learn(as_it_is(one.clone()));
    assert_eq!(cluster.fars().generation(), generation);
    // What has ended keeps its address for its last calls, unless another has it.
    one.is_over = true;
    cluster.learn(as_it_is(one.clone()));
    assert_eq!(at(&cluster, "10.0.0.7"), "shop/one");
    cluster.learn(as_it_is(pod("u2", "two", &["10.0.0.7"])));
    assert_eq!(at(&cluster, "10.0.0.7"), "shop/two");
    // The server goes on telling of one that has ended, and of another that never had it.
    cluster.learn(as_it_is(one));
    cluster.learn(gone("u1"));
    cluster.learn(gone("u9"));
    assert_eq!(at(&cluster, "10.0.0.7"), "shop/two");
    // Of two that live, the one that came later.
    cluster.learn(as_it_is(pod("u3", "three", &["10.0.0.7"])));
    cluster.learn(as_it_is(pod("u2", "two-renamed", &["10.0.0.7"])));
    assert_eq!(at(&cluster, "10.0.0.7"), "shop/three");
    cluster.learn(gone("u3"));
    assert_eq!(at(&cluster, "10.0.0.7"), "shop/two-renamed");
    cluster.learn(News::All(Source::Server, Vec::new(), Vec::new()));
    cluster.tick(Timestamp(59 * SECOND));
    assert_ne!(at(&cluster, "10.0.0.7"), "");
    cluster.tick(Timestamp(60 * SECOND));
    assert_eq!(at(&cluster, "10.0.0.7"), "");
    assert!(cluster.fars().is_empty());
    // What had ended before it was heard of has none.
    cluster.learn(as_it_is(Pod { is_over: true, ..pod("u4", "four", &["10.0.0.7"]) }));
    assert_eq!(at(&cluster, "10.0.0.7"), "");
}

#[test]
fn an_address_that_a_pod_has_no_more_is_nobodys() {
    let mut cluster = cluster();
    cluster.learn(as_it_is(pod("u1", "one", &["10.0.0.7"])));
    cluster.learn(as_it_is(pod("u1", "one", &["10.0.0.8"])));
    assert_eq!(
        (at(&cluster, "10.0.0.7"), at(&cluster, "10.0.0.8").as_str()),
        (String::new(), "shop/one")
    );
}

#[test]
fn who_owns_a_pod_is_waited_for_as_long_as_somebody_can_say() {
    let check = |news: News, expect: &str| {
        let mut cluster = cluster();
        let mut once = pod("u1", "once-x2x9z", &["10.0.0.7"]);
        once.owner = Owner::new(Kind::Job, "once-29384756", Some("o1"));
        once.owner.as_mut().unwrap().above = Above::Asked;
        cluster.learn(News::All(Source::Server, vec![once], Vec::new()));
        assert_eq!(at(&cluster, "10.0.0.7"), "");
        cluster.learn(news);
        assert_eq!(at(&cluster, "10.0.0.7"), expect);
    };
    let nightly = Owner::new(Kind::CronJob, "nightly", Some("c1")).map(Arc::new);
    check(News::Above("o1".into(), Above::Said(nightly)), "shop/nightly");
    check(News::Above("o1".into(), Above::Unsaid), "shop/once");
    check(News::Above("o2".into(), Above::Unsaid), "");
    check(News::Away(Source::Server, "gone".to_owned()), "shop/once");
}

#[test]
fn services_have_their_own_names_and_pods_come_first() {
    let mut cluster = cluster();
    let all = vec![
        service("s1", "cart", &["10.96.0.7", "fd01::7"]),
        service("s2", "odd", &["10.0.0.7"]),
        service("s3", "headless", &[]),
    ];
    cluster.learn(News::Services(all, 3));
    cluster.learn(as_it_is(pod("u1", "one", &["10.0.0.7"])));
    assert_eq!(cluster.counts().refused, 3);
    let told = |cluster: &Cluster| {
        ["10.96.0.7", "fd01::7", "10.0.0.7", "10.96.0.8"]
            .map(|address| at(cluster, address))
            .join(" ")
    };
    assert_eq!(told(&cluster), "shop/cart shop/cart shop/one ");
    // Deleted and made again under its name, with the same address.
    cluster.learn(News::Service(service("s4", "cart2", &["10.96.0.7"])));
    cluster.learn(News::NoService(ServiceUid("s1".into())));
    cluster.learn(News::Service(service("s5", "new", &["10.96.0.8"])));
    assert_eq!(told(&cluster), "shop/cart2 shop/cart shop/one shop/new");
    // It is of another type now.
    cluster.learn(News::Service(service("s5", "new", &[])));
    cluster.tick(Timestamp(600 * SECOND));
    assert_eq!(told(&cluster), "shop/cart2  shop/one ");
    // What Services say is nothing of the pods' source.
    assert!(cluster.standing().any(|(source, said)| source == Source::Runtime && said.is_none()));
}

#[test]
fn there_are_so_many_and_no_more() {
    let mut claims: Claims<PodUid> = Claims::new(2);
    let far = |name: &str| Far { name: name.into(), namespace: None };
    let key = |name: &str| PodUid::new(name);
    let address = |last| IpAddr::from([10, 0, 0, last]);
    for (name, last) in [("a", 1), ("b", 2), ("c", 3)] {
        claims.put(&key(name), &[address(last)], far(name));
    }
    assert_eq!((claims.refused, claims.at(address(3))), (1, None));
    claims.lose(&key("b"), Timestamp(5));
    claims.lose(&key("a"), Timestamp(7));
    claims.put(&key("c"), &[address(3)], far("c"));
    let known = [1, 2, 3].map(|last| claims.at(address(last)).is_some());
    assert_eq!((claims.refused, known), (1, [true, false, true]));
    assert_eq!(claims.by_address.len(), 2);
}
