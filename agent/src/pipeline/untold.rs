//! What is counted before its pod's name is known is told once it is, all of it, and alike everywhere.

use std::sync::Arc;

use super::*;
use crate::cluster::{
    self, Amounts, Container, ContainerId, Kind, Owner, Place, Pod, PodUid, Source,
};
use crate::event::{Nanos, Peer};
use crate::host::{Cgroup, Facts, Machine, Process, Ticks, Unread};
use crate::metric::instrument::{container, events, process as of_process};
use crate::metric::key::{self, Key};
use crate::metric::snapshot::{Data, Number, Value, WallTime};
use crate::protocol::{Course, Lines, Method};
use crate::trace::sampling::{Parent, Sampler, Threshold};
use crate::usage::{Amount, Collected, Family, Owner as Of, ProcKey, Sink as Samples};

const ID: &str = "3f4e9c1d2b5a68790c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7";
const UID: &str = "0a1b2c3d-1111-2222-3333-444455556666";
const SECOND: u64 = 1_000_000_000;

/// Everybody is in the one container.
struct Crowd;

impl Facts for Crowd {
    fn process(&mut self, pid: Pid) -> Result<Process, Unread> {
        let cgroup = Cgroup::parse(format!("0::{}", group()).as_bytes());
        let (comm, args) = ("nginx".to_owned(), b"nginx\0".to_vec());
        Ok(Process { pid, comm, args, cgroup, started: Ticks(50), ..Process::default() })
    }

    fn pids(&mut self, _: usize) -> Vec<Pid> {
        Vec::new()
    }
}

fn group() -> String {
    format!("/kubepods/burstable/pod{UID}/{ID}")
}

fn at(second: u64) -> Timestamp {
    Timestamp(second * SECOND)
}

fn anchor(second: u64) -> Anchor {
    Anchor { monotonic: at(second), boot: Nanos(at(second).0), wall: WallTime(at(second).0) }
}

fn pipeline() -> Pipeline {
    let registry =
        Registry::new(crate::entity::Config::default(), Machine::default(), Box::new(Crowd));
    let sampler = Sampler { threshold: Threshold::ALL, parent: Parent::Keeps, tail: true };
    let trace = trace::Config { sampler, ..crate::config::Config::default().trace([1; 4], 100) };
    let config = Config { trace: Some(trace), ..Config::default() };
    let mut pipeline = Pipeline::new(config, registry, &anchor(100));
    pipeline.entities().join_cluster(cluster::Config {
        wait: Nanos(5 * SECOND),
        sources: vec![Source::Runtime],
        ..cluster::Config::default()
    });
    pipeline
}

fn asked(pipeline: &mut Pipeline, second: u64) {
    let exchange = Exchange {
        conn: ConnId(second),
        pid: Pid(7),
        role: Role::Server,
        method: Method::Get,
        path: "/",
        authority: None,
        version: None,
        status: Some(200),
        fault: None,
        begun: at(second),
        ended: Timestamp(at(second).0 + 1000),
        request_body: 0,
        response_body: 0,
        peer: Peer::default(),
        lines: Lines::new(b"", false),
        position: None,
        course: Course::default(),
    };
    let mut next = Next {
        entities: &mut pipeline.entities,
        red: &mut pipeline.red,
        trace: pipeline.trace.as_mut(),
        paths: &pipeline.paths,
        verdicts: &mut pipeline.verdicts,
        filtered: &mut pipeline.counters.filtered,
    };
    next.exchange(&exchange);
}

/// A round that reads the container and, if it lives, its process.
fn read(pipeline: &mut Pipeline, second: u64, lives: bool) {
    let process = ProcKey { pid: Pid(7), started: Ticks(50) };
    let labels = Arc::from([]);
    let collected = |family, fill: &dyn Fn(&mut Samples)| {
        let mut sink = Samples::default();
        fill(&mut sink);
        Collected { family, outcome: Ok(()), sink, cost: Nanos(1) }
    };
    let families = vec![
        collected(Family::Container, &|sink| {
            if lives {
                let owner = Of::Cgroup(group().as_str().into());
                sink.put(&owner, &container::CONTAINER_MEMORY_USAGE, &labels, Amount::now(9));
            }
        }),
        collected(Family::Process, &|sink| {
            sink.living(if lives { vec![process] } else { Vec::new() });
            if lives {
                let owner = Of::Process(process);
                sink.put(&owner, &of_process::PROCESS_CPU_TIME, &labels, Amount::total(3));
            }
        }),
    ];
    pipeline.usage(Reading { at: anchor(second), families });
}

fn cart() -> News {
    let mut pod = Pod::new(PodUid::new(UID), "shop", "cart-x2x9z");
    pod.owner = Owner::new(Kind::DaemonSet, "cart", None);
    let container = Container { name: Some("web".into()), ..Container::new(ContainerId::new(ID)) };
    News::All(Source::Runtime, vec![pod], vec![container])
}

fn value(resource: &Resource, key: Key) -> String {
    match resource.attributes.iter().find(|(k, _)| *k == key) {
        Some((_, Value::Text(text))) => text.to_string(),
        _ => String::new(),
    }
}

/// Resources that are told, with how many points that have not ended.
fn told(pipeline: &Pipeline, second: u64) -> Vec<(String, usize)> {
    let snapshot = pipeline.snapshot(&anchor(second));
    let told = snapshot.resources.iter().map(|of| {
        let names = [key::SERVICE_NAME, key::K8S_POD_NAME, key::K8S_CONTAINER_NAME];
        let metrics = of.scopes.iter().flat_map(|scope| &scope.metrics);
        let points = metrics.flat_map(|metric| &metric.points);
        let points = points.filter(|point| !matches!(point.data, Data::Ended)).count();
        (names.map(|key| value(&of.resource, key)).join(" "), points)
    });
    told.collect()
}

#[test]
fn nothing_of_a_pod_is_told_before_its_name_and_all_of_it_then() {
    let mut pipeline = pipeline();
    asked(&mut pipeline, 101);
    read(&mut pipeline, 102, true);
    assert_eq!(told(&pipeline, 102), []);
    pipeline.exported(&anchor(102));
    // The container ends before anybody knew what it was.
    read(&mut pipeline, 103, false);
    pipeline.tick(at(104), anchor(104));
    pipeline.end_spans();
    assert_eq!(pipeline.spans(&anchor(104)).services.len(), 0);
    assert_eq!(told(&pipeline, 104), []);
    pipeline.exported(&anchor(104));
    pipeline.learn(cart());
    read(&mut pipeline, 105, false);
    let all = told(&pipeline, 105);
    let names: Vec<&str> = all.iter().map(|(names, _)| names.as_str()).collect();
    // The service with its requests, the container and the process.
    assert_eq!(names, ["cart cart-x2x9z web", " cart-x2x9z web", "cart cart-x2x9z web"]);
    assert!(all.iter().all(|(_, points)| *points > 0), "{all:?}");
    let spans = pipeline.spans(&anchor(105)).services;
    let spans: Vec<_> =
        spans.iter().map(|(of, spans)| (value(of, key::SERVICE_NAME), spans.len())).collect();
    assert_eq!(spans, [("cart".to_owned(), 1)]);
    // Two exports later what has ended is gone.
    pipeline.exported(&anchor(105));
    read(&mut pipeline, 106, false);
    pipeline.exported(&anchor(106));
    assert_eq!(told(&pipeline, 107).len(), 1);
}

#[test]
fn at_the_end_nobody_waits() {
    let mut pipeline = pipeline();
    asked(&mut pipeline, 101);
    assert_eq!(told(&pipeline, 101), []);
    pipeline.name_all();
    assert_eq!(told(&pipeline, 101).len(), 1);
    assert_eq!(told(&pipeline, 101)[0].0, "nginx  ");
}

#[test]
fn the_host_is_told_once_it_is_known_where_it_is_and_nothing_is_lost_till_then() {
    let mut pipeline = pipeline();
    pipeline.entities().join_cluster(cluster::Config {
        wait: Nanos(5 * SECOND),
        sources: Source::ALL.to_vec(),
        ..cluster::Config::default()
    });
    let read = |pipeline: &mut Pipeline, second: u64, count: u64| {
        let mut sink = Samples::default();
        let labels = Arc::from([]);
        let metric = &events::STETH_OOM_KILLS;
        sink.put(&Of::Host, metric, &labels, Amount::add(count));
        let family = Family::Memory;
        let families = vec![Collected { family, outcome: Ok(()), sink, cost: Nanos(1) }];
        pipeline.usage(Reading { at: anchor(second), families });
    };
    read(&mut pipeline, 101, 2);
    assert_eq!(told(&pipeline, 101), []);
    pipeline.exported(&anchor(101));
    let uids = Place { node: Some("n-uid".into()), cluster: Some("c-uid".into()) };
    pipeline.learn(News::Place(uids));
    pipeline.learn(News::All(Source::Server, Vec::new(), Vec::new()));
    read(&mut pipeline, 102, 1);
    let snapshot = pipeline.snapshot(&anchor(102));
    let [host] = &snapshot.resources[..] else { panic!("{snapshot:?}") };
    assert_eq!(value(&host.resource, key::K8S_CLUSTER_UID), "c-uid");
    let [metric] = &host.scopes[0].metrics[..] else { panic!("{snapshot:?}") };
    assert!(format!("{:?}", metric.points).contains("Int(3)"), "{metric:?}");
}

/// Metrics with a pod's name on their resource that have not ended, with how many that is.
fn named(pipeline: &Pipeline, second: u64) -> Vec<String> {
    let snapshot = pipeline.snapshot(&anchor(second));
    let pods = snapshot.resources.iter();
    let pods = pods.filter(|of| value(&of.resource, key::K8S_POD_NAME) == "cart-x2x9z");
    let metrics = pods.flat_map(|of| of.scopes.iter().flat_map(|scope| &scope.metrics));
    let values = metrics.filter_map(|metric| {
        let [point] = &metric.points[..] else { panic!("{metric:?}") };
        let name = metric.instrument.name;
        match &point.data {
            Data::Ended => None,
            Data::Number(Number::Int(int)) | Data::Older { value: Number::Int(int), .. } => {
                Some(format!("{name} {int}"))
            }
            Data::Number(Number::Double(double)) => Some(format!("{name} {double}")),
            other => panic!("{other:?}"),
        }
    });
    let mut values: Vec<String> = values.collect();
    values.sort();
    values
}

#[test]
fn throttling_kills_and_limits_have_the_name_of_the_pod() {
    let mut pipeline = pipeline();
    let News::All(_, pods, mut containers) = cart() else { panic!("not all") };
    containers[0].restarts = Some(3);
    containers[0].desired = Some(Amounts {
        cpu_limit: Some(250_000_000),
        memory_request: Some(64 << 20),
        ..Amounts::default()
    });
    pipeline.learn(News::All(Source::Runtime, pods, containers));
    let labels = Arc::from([]);
    let process = ProcKey { pid: Pid(7), started: Ticks(50) };
    let mut sink = Samples::default();
    // A group that the container made within itself is the same container.
    for (path, throttled) in [(group(), 7), (format!("{}/init.scope", group()), 0)] {
        let owner = Of::Cgroup(path.as_str().into());
        if throttled == 0 {
            sink.put(&owner, &container::CONTAINER_MEMORY_USAGE, &labels, Amount::now(1));
            continue;
        }
        let periods = &container::STETH_CONTAINER_CPU_THROTTLED_PERIODS;
        sink.put(&owner, periods, &labels, Amount::total(throttled));
        sink.put(&owner, &container::STETH_CONTAINER_MEMORY_OOM_KILLS, &labels, Amount::total(1));
    }
    let mut kills = Samples::default();
    kills.put(&Of::Process(process), &events::STETH_OOM_KILLS, &labels, Amount::add(2));
    let collected = |family, sink| Collected { family, outcome: Ok(()), sink, cost: Nanos(1) };
    let families = vec![collected(Family::Container, sink), collected(Family::Memory, kills)];
    pipeline.usage(Reading { at: anchor(101), families });
    let expect = [
        "container.memory.usage 1",
        "k8s.container.cpu.limit.desired 0.25",
        "k8s.container.memory.request.desired 67108864",
        "k8s.container.restart.count 3",
        "steth.container.cpu.throttled.periods 7",
        "steth.container.memory.oom.kills 1",
        "steth.oom.kills 2",
    ];
    assert_eq!(named(&pipeline, 101), expect);
    // A container that is not read any more ends with all that is known of it.
    let families = vec![collected(Family::Container, Samples::default())];
    pipeline.usage(Reading { at: anchor(102), families });
    pipeline.exported(&anchor(102));
    assert_eq!(named(&pipeline, 103), ["steth.oom.kills 2"]);
}
