//! Rounds of made-up samples against what is told of them.

use std::sync::Arc;

use super::{Book, Config};
use crate::entity::EntityId;
use crate::event::{Nanos, Pid, Timestamp};
use crate::host::{Anchor, Ticks};
use crate::metric::instrument::cpu::{
    STETH_SYSTEM_CONTEXT_SWITCHES as SWITCHES, STETH_SYSTEM_CPU_RUN_QUEUE_LENGTH as QUEUE,
};
use crate::metric::instrument::own::STETH_COLLECT_ROUNDS as SUMMED;
use crate::metric::instrument::process::{PROCESS_CPU_TIME as CPU, PROCESS_MEMORY_USAGE as MEMORY};
use crate::metric::key;
use crate::metric::snapshot::{Data, Number, Resource, Value, WallTime};
use crate::usage::owners::Owners;
use crate::usage::{
    Amount, CgroupId, Collected, Family, Labels, Owner, ProcKey, Reading, Reason, Sink,
};

const SECOND: u64 = 1_000_000_000;

/// Process 7 is of service 1, which is observed; all others are of service 2, which is not.
struct Two;

fn resource(text: &str) -> Arc<Resource> {
    Arc::new(Resource { attributes: vec![(key::SERVICE_NAME, Value::Text(text.into()))] })
}

impl Owners for Two {
    fn known(&mut self, _: ProcKey, _: &Anchor) -> Option<EntityId> {
        None
    }

    fn find(&mut self, process: ProcKey, _: &Anchor) -> EntityId {
        EntityId(if process.pid == Pid(7) { 1 } else { 2 })
    }

    fn is_observed(&self, entity: EntityId) -> bool {
        entity == EntityId(1)
    }

    fn other(&self) -> EntityId {
        EntityId(0)
    }

    fn instance(&self, entity: EntityId) -> Arc<Resource> {
        resource(&format!("service {}", entity.0))
    }

    fn process(&self, _: EntityId, process: ProcKey, _: &Anchor) -> Arc<Resource> {
        resource(&format!("process {}", process.pid.0))
    }

    fn host(&self) -> Option<Arc<Resource>> {
        Some(resource("host"))
    }

    fn waits(&self, _: EntityId) -> bool {
        false
    }

    fn cgroup(&mut self, path: &str) -> Option<Arc<Resource>> {
        Some(resource(path))
    }

    fn keep(&mut self, _: &str) {}
}

fn at(second: u64) -> Anchor {
    Anchor {
        monotonic: Timestamp(second * SECOND),
        boot: Nanos(second * SECOND),
        wall: WallTime((1_000_000 + second) * SECOND),
    }
}

fn process(pid: u32, second: u64) -> ProcKey {
    ProcKey { pid: Pid(pid), started: Ticks(second * 100) }
}

struct Desk {
    book: Book,
    second: u64,
}

impl Desk {
    fn new(config: Config) -> Self {
        Self { book: Book::new(config), second: 1000 }
    }

    /// A round of one family, ten seconds after the one before.
    fn round(&mut self, family: Family, fill: impl Fn(&mut Sink, &Labels)) {
        self.round_with(family, Ok(()), fill);
    }

    fn round_with(
        &mut self,
        family: Family,
        outcome: Result<(), Reason>,
        fill: impl Fn(&mut Sink, &Labels),
    ) {
        self.second += 10;
        let mut sink = Sink::default();
        fill(&mut sink, &Arc::from([]));
        let cost = Nanos(5);
        let families = vec![Collected { family, outcome, sink, cost }];
        self.book.take(Reading { at: at(self.second), families }, &mut Two);
    }

    /// All points, one a line: whose, what, and how much.
    fn told(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut tell = |whose: &Resource, scopes: &[crate::metric::snapshot::Scope]| {
            let Some((_, Value::Text(whose))) = whose.attributes.first() else { return };
            for metric in scopes.iter().flat_map(|scope| &scope.metrics) {
                for point in &metric.points {
                    let number = |number: &Number| match number {
                        Number::Int(number) => number.to_string(),
                        Number::Double(number) => format!("{number:?}"),
                    };
                    let data = match &point.data {
                        Data::Number(value) => number(value),
                        Data::Older { value, before, .. } => {
                            format!("{} (older {})", number(value), number(before))
                        }
                        Data::Histogram(histogram) => format!("{} values", histogram.count),
                        Data::Ended => "ended".to_owned(),
                        Data::Moved(_) => "moved".to_owned(),
                    };
                    lines.push(format!("{whose} {} {data}", metric.instrument.name));
                }
            }
        };
        for (entity, scopes) in self.book.instances() {
            tell(&resource(&format!("service {}", entity.0)), &scopes);
        }
        for resource in self.book.snapshot() {
            tell(&resource.resource, &resource.scopes);
        }
        lines
    }

    fn check(&self, expect: &[&str]) {
        assert_eq!(self.told(), expect);
    }
}

fn use_of(sink: &mut Sink, labels: &Labels, key: ProcKey, memory: u64, cpu: u64) {
    let owner = Owner::Process(key);
    sink.put(&owner, &MEMORY, labels, Amount::now(memory));
    sink.put(&owner, &CPU, labels, Amount::total(cpu));
}

#[test]
fn a_host_counter_is_whole_and_never_falls() {
    let mut desk = Desk::new(Config::default());
    for (read, told) in [
        (500, "host steth.system.context_switches 500 (older 500)"),
        (600, "host steth.system.context_switches 600 (older 500)"),
        // A little less: it stands still until that is made up for.
        (598, "host steth.system.context_switches 600 (older 500)"),
        (605, "host steth.system.context_switches 605 (older 500)"),
        // Far less: it began anew.
        (20, "host steth.system.context_switches 625 (older 500)"),
    ] {
        desk.round(Family::Cpu, |sink, labels| {
            sink.put(&Owner::Host, &SWITCHES, labels, Amount::total(read));
        });
        desk.check(&[told]);
    }
}

#[test]
fn what_is_not_read_any_more_ends_once_but_not_for_a_failed_round() {
    let mut desk = Desk::new(Config::default());
    desk.round(Family::Cpu, |sink, labels| {
        sink.put(&Owner::Host, &QUEUE, labels, Amount::now(3));
    });
    desk.round_with(Family::Cpu, Err(Reason::Failed("no".into())), |_, _| {});
    desk.round(Family::Memory, |_, _| {});
    desk.check(&["host steth.system.cpu.run_queue.length 3"]);
    // Not exported yet: the last value is told, then the end, then nothing.
    desk.round(Family::Cpu, |_, _| {});
    desk.check(&["host steth.system.cpu.run_queue.length 3"]);
    desk.book.exported();
    desk.check(&["host steth.system.cpu.run_queue.length ended"]);
    desk.book.exported();
    desk.check(&[]);
}

#[test]
fn a_process_of_an_observed_service_is_told_by_itself_and_the_rest_together() {
    let mut desk = Desk::new(Config::default());
    let (old, young) = (process(7, 10), process(8, 10));
    desk.round(Family::Process, |sink, labels| {
        use_of(sink, labels, old, 100, 1000);
        use_of(sink, labels, young, 10, 50);
        sink.living(vec![old, young]);
    });
    desk.check(&[
        "service 0 process.memory.usage 10",
        "service 0 process.cpu.time 0",
        "process 7 process.memory.usage 100",
        "process 7 process.cpu.time 1000 (older 1000)",
    ]);
    // Process 9 is made between the rounds: all that it has counted is of our time.
    let newest = process(9, 1015);
    desk.round(Family::Process, |sink, labels| {
        use_of(sink, labels, old, 100, 1100);
        use_of(sink, labels, young, 10, 60);
        use_of(sink, labels, newest, 5, 7);
        sink.living(vec![old, young, newest]);
    });
    desk.check(&[
        "service 0 process.memory.usage 15",
        "service 0 process.cpu.time 17",
        "process 7 process.memory.usage 100",
        "process 7 process.cpu.time 1100 (older 1000)",
    ]);
}

#[test]
fn a_process_that_ends_sends_its_last_point_then_its_end_then_frees_its_place() {
    let mut desk = Desk::new(Config { processes: 1, ..Config::default() });
    let key = process(7, 10);
    desk.round(Family::Process, |sink, labels| {
        use_of(sink, labels, key, 100, 1000);
        sink.living(vec![key]);
    });
    desk.book.exported();
    desk.round(Family::Process, |sink, labels| {
        use_of(sink, labels, key, 100, 1500);
        sink.living(vec![key]);
    });
    assert_eq!(desk.book.wanted(), [key]);
    // The id is used again at once: another process.
    let again = process(7, 1025);
    let both = |sink: &mut Sink, labels: &Labels| {
        use_of(sink, labels, again, 50, 3);
        sink.living(vec![again]);
    };
    desk.round(Family::Process, both);
    desk.check(&[
        "service 0 process.memory.usage 50",
        "service 0 process.cpu.time 3",
        "process 7 process.memory.usage 100",
        "process 7 process.cpu.time 1500 (older 1000)",
    ]);
    assert_eq!(desk.book.held().processes, 0);
    desk.book.exported();
    desk.round(Family::Process, both);
    desk.check(&[
        // Of what it used before it had a place, `{other}` keeps the account; nobody is in it now.
        "service 0 process.memory.usage ended",
        "service 0 process.cpu.time 3",
        "process 7 process.memory.usage ended",
        "process 7 process.cpu.time ended",
        "process 7 process.memory.usage 50",
        "process 7 process.cpu.time 3 (older 3)",
    ]);
}

#[test]
fn a_heavy_process_leaves_the_rest_without_being_counted_twice() {
    let mut desk = Desk::new(Config { heavy_cpu: 0.5, ..Config::default() });
    let key = process(8, 1005);
    for (cpu, told) in [
        (SECOND, ["service 0 process.memory.usage 1", "service 0 process.cpu.time 0"].as_slice()),
        (
            7 * SECOND,
            &[
                "service 0 process.memory.usage 1",
                "service 0 process.cpu.time 6000000000",
                "process 8 process.memory.usage 1",
                "process 8 process.cpu.time 7000000000 (older 7000000000)",
            ],
        ),
        (
            8 * SECOND,
            &[
                "service 0 process.memory.usage 1",
                "service 0 process.cpu.time 6000000000",
                "process 8 process.memory.usage 1",
                "process 8 process.cpu.time 8000000000 (older 7000000000)",
            ],
        ),
    ] {
        desk.round(Family::Process, |sink, labels| {
            use_of(sink, labels, key, 1, cpu);
            sink.living(vec![key]);
        });
        desk.check(told);
    }
}

#[test]
fn what_is_added_by_processes_is_summed_to_their_service() {
    let mut desk = Desk::new(Config::default());
    for _ in 0..2 {
        desk.round(Family::Scheduler, |sink, labels| {
            for (key, memory) in [(process(7, 10), 1), (process(8, 10), 1)] {
                sink.put(&Owner::Process(key), &MEMORY, labels, Amount::now(memory));
                sink.put(&Owner::Process(key), &SUMMED, labels, Amount::add(5));
            }
            sink.living(vec![process(7, 10), process(8, 10)]);
        });
    }
    let told = desk.told();
    assert!(told.contains(&"service 0 steth.collect.rounds 10".to_owned()), "{told:?}");
    assert!(told.contains(&"service 1 steth.collect.rounds 10".to_owned()), "{told:?}");
}

#[test]
fn a_group_known_by_its_id_is_told_where_its_path_belongs() {
    let mut desk = Desk::new(Config { cgroups: 2, ..Config::default() });
    let put = |sink: &mut Sink, labels: &Labels, owner: Owner, count: u64| {
        sink.put(&owner, &SWITCHES, labels, Amount::add(count));
    };
    desk.round(Family::Container, |sink, labels| {
        let path: Arc<str> = "/a.slice/b.service".into();
        sink.name_cgroup(CgroupId(5), &path);
        sink.name_cgroup(CgroupId(6), &"/a.slice/b.service/inner".into());
        sink.name_cgroup(CgroupId(7), &"/nobody".into());
        put(sink, labels, Owner::Cgroup(path), 1);
        put(sink, labels, Owner::CgroupId(CgroupId(5)), 2);
        put(sink, labels, Owner::CgroupId(CgroupId(6)), 4);
        put(sink, labels, Owner::CgroupId(CgroupId(7)), 8);
        put(sink, labels, Owner::CgroupId(CgroupId(9)), 8);
        put(sink, labels, Owner::Cgroup("/c.service".into()), 16);
        put(sink, labels, Owner::Cgroup("/beyond.service".into()), 32);
    });
    desk.check(&[
        "/a.slice/b.service steth.system.context_switches 7",
        "/c.service steth.system.context_switches 16",
    ]);
    let counters = desk.book.counters();
    assert_eq!((counters.unbound, counters.refused), (2, 1));
}
