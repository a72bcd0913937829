//! Rounds of snapshots, and what is shown of them.

use std::sync::Arc;

use super::{Look, Meter};
use crate::event::Timestamp;
use crate::metric::instrument::{
    Instrument, container, cpu, disk, events, memory, offcpu, pressure, process, scheduler, tcp,
};
use crate::metric::key::{self, Key};
use crate::metric::snapshot::{
    Attribute, Data, Metric, Number, Point, Resource, ResourceMetrics, Scope, Snapshot, Value,
    WallTime,
};
use crate::runtime::live::model::{Host, Usage};

type Series<'a> = (&'static Instrument, &'a [(Key, &'static str)], i64);

fn text(pairs: &[(Key, &'static str)]) -> Vec<Attribute> {
    pairs.iter().map(|(key, text)| (*key, Value::Static(text))).collect()
}

fn of(resource: &[(Key, &'static str)], series: &[Series<'_>]) -> ResourceMetrics {
    let metrics = series.iter().map(|(instrument, attributes, value)| Metric {
        instrument,
        points: vec![Point {
            attributes: text(attributes).into(),
            start: WallTime(0),
            data: Data::Number(Number::Int(*value)),
        }],
    });
    let scope = Scope { name: "steth/test", metrics: metrics.collect() };
    ResourceMetrics {
        resource: Arc::new(Resource { attributes: text(resource) }),
        scopes: vec![scope],
    }
}

/// What is shown after these rounds, two seconds apart.
fn looked(rounds: Vec<Vec<ResourceMetrics>>) -> Look {
    let mut meter = Meter::default();
    for (round, resources) in (1_u64..).zip(rounds) {
        let snapshot = Snapshot { time: WallTime(0), resources };
        meter.look(&snapshot, Some(Timestamp(round * 2_000_000_000)));
    }
    meter.look
}

const SECOND: i64 = 1_000_000_000;

#[test]
fn the_host_is_told_by_its_processors() {
    let round = |n: i64| {
        let time = &cpu::SYSTEM_CPU_TIME;
        let waited = &scheduler::STETH_CPU_RUN_QUEUE_TIME;
        let busy = &disk::SYSTEM_DISK_IO_TIME;
        let stalled = &pressure::STETH_SYSTEM_PRESSURE_STALL_TIME;
        let some =
            |resource| [(key::STETH_PRESSURE_SCOPE, "some"), (key::STETH_RESOURCE, resource)];
        let full = [(key::STETH_PRESSURE_SCOPE, "full"), (key::STETH_RESOURCE, "io")];
        vec![of(
            &[(key::HOST_NAME, "node")],
            &[
                (time, &[(key::CPU_MODE, "user")], n * SECOND),
                (time, &[(key::CPU_MODE, "system")], n * SECOND),
                (time, &[(key::CPU_MODE, "idle")], n * 5 * SECOND),
                (time, &[(key::CPU_MODE, "iowait")], n * SECOND),
                (waited, &[(key::STETH_RUN_QUEUE_CAUSE, "contention")], n * 4 * SECOND),
                (waited, &[(key::STETH_RUN_QUEUE_CAUSE, "quota")], n * 99 * SECOND),
                (&memory::SYSTEM_MEMORY_LINUX_AVAILABLE, &[], 250),
                (&memory::SYSTEM_MEMORY_LIMIT, &[], 1000),
                (busy, &[(key::SYSTEM_DEVICE, "sda")], n * SECOND),
                (busy, &[(key::SYSTEM_DEVICE, "sdb")], n * SECOND / 2),
                (stalled, &some("cpu"), n * SECOND / 2),
                (stalled, &some("io"), n * SECOND),
                (stalled, &full, n * 2 * SECOND),
                (&tcp::STETH_SYSTEM_TCP_RETRANSMITS, &[], n * 6),
                (&tcp::STETH_SYSTEM_TCP_LISTEN_OVERFLOWS, &[], n),
                (&memory::STETH_SYSTEM_MEMORY_OOM_KILLS, &[], 7),
            ],
        )]
    };
    let told = Host {
        cpu: Some(0.25),
        wait: Some(0.5),
        memory: Some(0.75),
        disk: Some(0.5),
        pressure: [Some(0.25), None, Some(0.5)],
        drops: None,
        retransmits: Some(3.0),
        accept: true,
        oom: false,
    };
    assert_eq!(looked(vec![round(10), round(11)]).host, told);
    // What was counted before anyone looked is no rate; what is there is told at once.
    let first = Host { memory: Some(0.75), ..Host::default() };
    assert_eq!(looked(vec![round(10)]).host, first);
}

#[test]
fn a_service_is_all_its_processes_and_what_its_container_says() {
    let process = |pid: &'static str, seconds: i64| {
        let who = [(key::SERVICE_NAME, "shop"), (key::SERVICE_INSTANCE_ID, pid)];
        let (time, held) = (&process::PROCESS_CPU_TIME, &process::PROCESS_MEMORY_USAGE);
        of(&who, &[(time, &[(key::CPU_MODE, "user")], seconds * SECOND), (held, &[], 1000)])
    };
    let instance = |n: i64| {
        let who = [(key::SERVICE_NAME, "shop"), (key::CONTAINER_ID, "c1")];
        let waited = &scheduler::STETH_CPU_RUN_QUEUE_TIME;
        let port = [(key::SERVER_PORT, "80")];
        of(
            &who,
            &[
                (waited, &[(key::STETH_RUN_QUEUE_CAUSE, "contention")], n * SECOND),
                (&offcpu::STETH_OFF_CPU_TIME, &[(key::STETH_OFF_CPU_CAUSE, "disk")], n * SECOND),
                (&offcpu::STETH_OFF_CPU_TIME, &[(key::STETH_OFF_CPU_CAUSE, "sleep")], n * SECOND),
                (&events::STETH_TCP_RETRANSMITS, &[], n * 2),
                (&events::STETH_TCP_ACCEPT_QUEUE_USAGE, &port, 5),
                (&events::STETH_TCP_ACCEPT_QUEUE_LIMIT, &port, 4),
                (&events::STETH_OOM_KILLS, &[], n),
            ],
        )
    };
    let group = |n: i64| {
        let who = [(key::CONTAINER_ID, "c1"), (key::STETH_CGROUP_PATH, "/docker/c1")];
        of(
            &who,
            &[
                (&container::STETH_CONTAINER_CPU_THROTTLED_TIME, &[], n * SECOND / 2),
                (&container::CONTAINER_MEMORY_WORKING_SET, &[], 90),
                (&container::STETH_CONTAINER_MEMORY_LIMIT, &[], 100),
            ],
        )
    };
    let rounds = vec![
        vec![process("a", 5), instance(1), group(1)],
        // One process more, which did everything it did since.
        vec![process("a", 6), process("b", 1), instance(2), group(2)],
    ];
    let told = Usage {
        cpu: Some(1.0),
        wait: Some(0.5),
        throttled: Some(0.25),
        memory: Some(2000),
        memory_full: Some(0.9),
        disk_wait: Some(0.5),
        retransmits: Some(1.0),
        accept: true,
        oom: true,
    };
    let look = looked(rounds);
    assert_eq!(look.services.len(), 1);
    assert_eq!(look.services["shop"], told);
    assert_eq!(look.host, Host::default());
}

#[test]
fn what_happened_at_an_instant_stays_for_a_while() {
    let killed = |n| vec![of(&[(key::SERVICE_NAME, "a")], &[(&events::STETH_OOM_KILLS, &[], n)])];
    let check = |rounds: usize, expect: bool| {
        let mut all = vec![killed(0), killed(1)];
        all.extend((0..rounds).map(|_| killed(1)));
        assert_eq!(looked(all).services["a"].oom, expect, "{rounds} rounds later");
    };
    check(0, true);
    check(14, true);
    check(15, false);
}

#[test]
fn memory_of_a_process_that_does_not_run_on_is_not_held() {
    let process = |pid: &'static str, uptime: i64| {
        let who = [(key::SERVICE_NAME, "shop"), (key::SERVICE_INSTANCE_ID, pid)];
        let (held, ran) = (&process::PROCESS_MEMORY_USAGE, &process::PROCESS_UPTIME);
        of(&who, &[(held, &[], 1000), (ran, &[], uptime * SECOND)])
    };
    let check = |rounds: Vec<Vec<ResourceMetrics>>, expect: Option<u64>| {
        assert_eq!(looked(rounds).services["shop"].memory, expect);
    };
    check(vec![vec![process("a", 1), process("b", 5)]], Some(2000));
    let again =
        |a| vec![vec![process("a", 1), process("b", 5)], vec![process("a", a), process("b", 7)]];
    check(again(3), Some(2000));
    check(again(1), Some(1000));
}

#[test]
fn without_a_round_the_last_look_stands() {
    let mut meter = Meter::default();
    let round = |n: i64| Snapshot {
        time: WallTime(0),
        resources: vec![of(&[], &[(&tcp::STETH_SYSTEM_TCP_RETRANSMITS, &[], n)])],
    };
    meter.look(&round(0), None);
    meter.look(&round(0), Some(Timestamp(0)));
    let found = meter.look(&round(8), Some(Timestamp(2_000_000_000))).clone();
    assert_eq!(found.host.retransmits, Some(4.0));
    assert_eq!(*meter.look(&round(9), Some(Timestamp(2_000_000_000))), found);
    assert_eq!(*meter.look(&round(9), None), found);
}
