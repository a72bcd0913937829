//! Instances in pods: named once, by what came in time.

use super::*;
use crate::cluster::{self, Container, ContainerId, Kind, News, Owner, Pod, PodUid, Source};

const ID: &str = "3f4e9c1d2b5a68790c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7";
const NEXT: &str = "aaaa9c1d2b5a68790c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7";
const UID: &str = "0a1b2c3d-1111-2222-3333-444455556666";

fn group(id: &str) -> String {
    format!("/kubepods/burstable/pod{UID}/{id}")
}

fn cart(id: &str, restarts: u32) -> News {
    let mut pod = Pod::new(PodUid::new(UID), "shop", "cart-6d4-x2x9z");
    pod.owner = Owner::new(Kind::DaemonSet, "cart", None);
    pod.started = Some("2026-01-02T03:04:05Z".into());
    let container = Container {
        pod: Some(PodUid::new(UID)),
        name: Some("web".into()),
        restarts: Some(restarts),
        ..Container::new(ContainerId::new(id))
    };
    News::Pod(Source::Server, Box::new(pod), vec![container])
}

/// A registry at second 100, and a `/proc` with these processes: id, program, container.
fn in_cluster(config: Config, processes: &[(u32, &str, &str)]) -> (Registry, Fake) {
    let (mut registry, fake) = registry(config);
    registry.tick(at(100), Anchor::default());
    registry.join_cluster(cluster::Config {
        wait: Nanos(5 * SECOND),
        sources: vec![Source::Server],
        ..cluster::Config::default()
    });
    for (pid, program, id) in processes {
        fake.put(*pid, process(program, format!("{program}\0").as_bytes(), &group(id), 50));
    }
    (registry, fake)
}

fn all(resource: &Resource) -> String {
    let keys = [
        key::SERVICE_NAME,
        key::SERVICE_NAMESPACE,
        key::SERVICE_INSTANCE_ID,
        key::K8S_POD_NAME,
        key::K8S_CONTAINER_RESTART_COUNT,
    ];
    keys.map(|key| value(resource, key)).join(" ")
}

#[test]
fn a_container_waits_for_its_name_and_is_one_instance() {
    let (mut registry, _) =
        in_cluster(Config::default(), &[(7, "nginx", ID), (8, "php-fpm", ID), (9, "sshd", "x")]);
    let nginx = registry.of(Pid(7), at(100));
    assert_eq!(registry.of(Pid(8), at(100)), nginx);
    assert!(registry.waits(nginx));
    assert_eq!(value(&registry.resource(nginx), key::SERVICE_NAME), "nginx");
    registry.learn(cart(ID, 2));
    assert!(!registry.waits(nginx));
    let told = registry.resource(nginx);
    let expect = "cart shop shop.cart-6d4-x2x9z.web cart-6d4-x2x9z 2";
    assert_eq!(all(&told), expect);
    assert_eq!(value(&told, key::CONTAINER_ID), ID);
    // Its processes and its control group are told alike.
    let process = registry.process_resource(Pid(8), at(100)).unwrap();
    let expect = "cart shop shop.cart-6d4-x2x9z.web-8-50 cart-6d4-x2x9z 2";
    assert_eq!(all(&process), expect);
    let group = registry.resource_of_cgroup(&group(ID)).unwrap();
    assert_eq!(all(&group), "   cart-6d4-x2x9z 2");
    assert_eq!(value(&group, key::CONTAINER_ID), ID);
    // Whatever is said later, what was told stays.
    registry.learn(cart(ID, 3));
    assert!(Arc::ptr_eq(&registry.resource(nginx), &told));
}

#[test]
fn who_is_not_named_in_time_is_called_by_its_first_program_and_stays_so() {
    let (mut registry, _) = in_cluster(Config::default(), &[(7, "nginx", ID), (8, "php-fpm", ID)]);
    let nginx = registry.of(Pid(7), at(100));
    registry.of(Pid(8), at(100));
    registry.tick(at(104), Anchor::default());
    assert!(registry.waits(nginx));
    assert_eq!(registry.resource_of_cgroup(&group(ID)), None);
    registry.tick(at(105), Anchor::default());
    assert!(!registry.waits(nginx));
    let told = registry.resource(nginx);
    assert_eq!(value(&told, key::SERVICE_NAME), "nginx");
    assert_eq!(value(&told, key::K8S_POD_UID), UID);
    assert_eq!(registry.cluster().unwrap().counts().nameless, 1);
    registry.learn(cart(ID, 0));
    assert!(Arc::ptr_eq(&registry.resource(nginx), &told));
    let group = registry.resource_of_cgroup(&group(ID)).unwrap();
    assert_eq!(
        (value(&group, key::K8S_POD_UID), value(&group, key::K8S_POD_NAME)),
        (UID.to_owned(), String::new())
    );
}

#[test]
fn what_a_process_says_itself_is_stronger_than_its_pod() {
    let (mut registry, fake) = in_cluster(Config::default(), &[(7, "nginx", ID)]);
    let said = |env: &str| {
        let process = process("x", b"x\0", &group(ID), 50);
        Process { env: env.as_bytes().to_vec(), ..process }
    };
    fake.put(8, said("OTEL_SERVICE_NAME=mine\0"));
    fake.put(9, said("OTEL_RESOURCE_ATTRIBUTES=tier=1,service.namespace=ours\0"));
    fake.put(10, said("OTEL_RESOURCE_ATTRIBUTES=tier=1\0"));
    registry.learn(cart(ID, 0));
    let told = |registry: &mut Registry, pid: u32| {
        let entity = registry.of(Pid(pid), at(100));
        let resource = registry.resource(entity);
        let keys = [key::SERVICE_NAME, key::SERVICE_NAMESPACE, key::SERVICE_INSTANCE_ID];
        keys.map(|key| value(&resource, key)).join(" ")
    };
    assert_eq!(told(&mut registry, 7), "cart shop shop.cart-6d4-x2x9z.web");
    assert_eq!(told(&mut registry, 8), "mine shop shop.cart-6d4-x2x9z.web");
    assert_eq!(told(&mut registry, 9), "cart ours shop.cart-6d4-x2x9z.web");
    // Called as the first one is, and yet another instance: told apart by an id of its own.
    let crowded = told(&mut registry, 10);
    assert!(crowded.starts_with("cart shop ") && !crowded.contains("web"), "{crowded}");
}

#[test]
fn a_container_that_was_begun_anew_takes_the_place_of_the_one_before() {
    let (mut registry, fake) = in_cluster(Config::default(), &[(7, "nginx", ID)]);
    registry.learn(cart(ID, 0));
    let before = registry.of(Pid(7), at(100));
    exit(&mut registry, 7, at(101));
    fake.put(8, process("nginx", b"nginx\0", &group(NEXT), 60));
    registry.learn(cart(NEXT, 1));
    let after = registry.of(Pid(8), at(102));
    assert_ne!(before, after);
    let place =
        |registry: &Registry, entity| value(&registry.resource(entity), key::SERVICE_INSTANCE_ID);
    assert_eq!(place(&registry, before), place(&registry, after));
    // The end was heard of at second 100, and is remembered for ten.
    assert_eq!(registry.tick(at(109), Anchor::default()), []);
    let mut retired = registry.tick(at(110), Anchor::default());
    retired.extend(registry.tick(at(111), Anchor::default()));
    assert_eq!(retired, [before]);
    assert_eq!(registry.tick(at(200), Anchor::default()), []);
    assert!(!registry.waits(after));
}

#[test]
fn a_filter_knows_the_name_that_came() {
    let exclude = Patterns { services: vec![Glob::new("cart")], ..Patterns::default() };
    let config = Config { filter: Filter { exclude, ..Filter::default() }, ..Config::default() };
    let (mut registry, _) = in_cluster(config, &[(7, "nginx", ID)]);
    assert!(registry.watched(Pid(7), at(100)));
    registry.learn(cart(ID, 0));
    assert!(!registry.watched(Pid(7), at(101)));
    assert_eq!(registry.changes(), [Change::Exclude(Pid(7))]);
}

#[test]
fn without_a_cluster_pods_are_containers_like_any_other() {
    let (mut registry, fake) = registry(Config::default());
    for (pid, program) in [(7, "nginx"), (8, "php-fpm")] {
        fake.put(pid, process(program, format!("{program}\0").as_bytes(), &group(ID), 50));
    }
    registry.learn(cart(ID, 0));
    assert_eq!(service(&mut registry, 7, at(1)), "nginx");
    assert_eq!(service(&mut registry, 8, at(1)), "php-fpm");
    let group = registry.resource_of_cgroup(&group(ID)).unwrap();
    assert_eq!(all(&group), "    ");
}
