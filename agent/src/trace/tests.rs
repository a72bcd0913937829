//! The stage: spans by the conventions, trees by evidence, counts that add up.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of these tests are small")]

mod bench;
mod carried;
mod conventions;
mod links;
mod open;
mod why;

use std::fmt::Write;
use std::net::Ipv4Addr;

use super::*;
use crate::event::{ConnId, Peer, Pid};
use crate::metric::key::{self, Key};
use crate::metric::snapshot::{Value, WallTime};
use crate::protocol::{Authority, Course, Fault, Lines, Method, Steps, Version};
use crate::red::{self, Red};
use ids::{SpanId, TraceId};
use sampling::Threshold;

/// Everything is kept and nothing is bounded that a test does not bound.
pub(super) fn config() -> Config {
    Config {
        sampler: Sampler { threshold: Threshold::ALL, parent: Parent::Keeps, tail: true },
        slow: None,
        hanging: Nanos(1_000_000),
        rate: 1_000_000,
        per_service: 1_000_000,
        total: 1_000_000,
        hold: Nanos(1_000),
        bytes: 64 << 20,
        untaken: 1_000_000,
        wanted: Wanted { bytes: 4096, more: &["x-tenant"] },
        told: Told {
            query: vec!["page".to_owned()],
            headers: vec![("x-tenant", Key("http.request.header.x-tenant"))],
        },
        hosts: true,
        slices: true,
        seed: [1, 2, 3, 4],
    }
}

/// A request that a test tells about.
#[derive(Clone)]
pub(in crate::trace) struct Ask {
    pub(in crate::trace) entity: u32,
    pub(in crate::trace) conn: u64,
    pub(in crate::trace) role: Role,
    pub(in crate::trace) head: String,
    pub(in crate::trace) status: Option<u16>,
    pub(in crate::trace) fault: Option<Fault>,
    pub(in crate::trace) times: (u64, u64),
    pub(in crate::trace) peer: Peer,
    pub(in crate::trace) position: u64,
    pub(in crate::trace) cut: bool,
    pub(in crate::trace) course: Course,
}

pub(super) const CLIENT_PORT: u16 = 40_000;
pub(super) const SERVER_PORT: u16 = 8080;

fn peer(address: [u8; 4], port: u16, local_port: u16) -> Peer {
    Peer { address: Ipv4Addr::from(address).to_ipv6_mapped().octets(), port, local_port }
}

/// A server's side of a GET of `path`.
pub(in crate::trace) fn served(path: &str, status: u16, times: (u64, u64)) -> Ask {
    Ask {
        entity: 2,
        conn: 2,
        role: Role::Server,
        head: format!("GET {path} HTTP/1.1\r\nHost: shop.test:8080\r\n\r\n"),
        status: Some(status),
        fault: None,
        times,
        peer: peer([127, 0, 0, 1], CLIENT_PORT, SERVER_PORT),
        position: 0,
        cut: false,
        course: Course::default(),
    }
}

/// The client's side of the same.
pub(in crate::trace) fn asked(path: &str, status: u16, times: (u64, u64)) -> Ask {
    Ask {
        entity: 1,
        conn: 1,
        role: Role::Client,
        peer: peer([127, 0, 0, 1], SERVER_PORT, CLIENT_PORT),
        ..served(path, status, times)
    }
}

pub(super) fn with(mut ask: Ask, headers: &str) -> Ask {
    ask.head = ask.head.replacen("\r\n\r\n", &format!("\r\n{headers}\r\n"), 1);
    ask
}

pub(super) fn tell(trace: &mut Trace, ask: &Ask) {
    tell_with(trace, ask, &COUNTS);
}

impl Ask {
    /// As it waits in a window.
    pub(in crate::trace) fn pending(&self, window: &mut Window) -> Pending {
        let exchange = exchange(self);
        Pending::new(EntityId(self.entity), &exchange, window.head(&exchange))
    }
}

/// Who counts: every server's route and every route's usual duration.
pub(super) struct Said {
    pub(super) route: Option<&'static str>,
    pub(super) usual: Option<u64>,
    pub(super) far: Option<&'static str>,
}

pub(super) const COUNTS: Said = Said { route: Some("/items/{id}"), usual: None, far: None };

impl Counts for Said {
    fn usual(&self, _: EntityId, _: Role, _: RouteId) -> Option<Nanos> {
        self.usual.map(Nanos)
    }

    fn route(&self, _: EntityId, role: Role, _: &str) -> Option<Route> {
        let route = self.route.filter(|_| role == Role::Server)?;
        Some(Route { text: route.into(), template: false })
    }

    fn far(&self, _: EntityId, _: ConnId, _: &Counted) -> Option<Arc<Far>> {
        self.far.map(|name| Arc::new(Far { name: name.into(), namespace: Some("shop".into()) }))
    }
}

fn tell_with(trace: &mut Trace, ask: &Ask, counts: &Said) {
    trace.observe(EntityId(ask.entity), &exchange(ask), Counted::NOWHERE, counts);
}

pub(in crate::trace) fn exchange(ask: &Ask) -> Exchange<'_> {
    let mut words = ask.head.split(' ');
    let method = Method::of(words.next().unwrap_or_default());
    let target = words.next().unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let host = ask.head.lines().find_map(|line| line.strip_prefix("Host: "));
    let authority = host.map(|host| {
        let (host, port) = host.split_once(':').map_or((host, None), |(h, p)| (h, p.parse().ok()));
        Authority { host, port }
    });
    Exchange {
        conn: ConnId(ask.conn),
        pid: Pid(ask.entity),
        role: ask.role,
        method,
        path,
        authority,
        version: Some(Version::Http11),
        status: ask.status,
        fault: ask.fault,
        begun: Timestamp(ask.times.0),
        ended: Timestamp(ask.times.1),
        request_body: 3,
        response_body: 5,
        peer: ask.peer,
        lines: Lines::new(ask.head.as_bytes(), ask.cut),
        position: Some(ask.position),
        course: ask.course,
    }
}

/// One line a span, without ids that are random: who, name, parent's name, then chosen attributes.
pub(super) fn told(spans: &[Span], keys: &[Key]) -> String {
    let mut lines: Vec<String> = spans
        .iter()
        .map(|span| {
            let parent = match span.parent {
                None => "root".to_owned(),
                Some(id) => spans
                    .iter()
                    .find(|other| other.id == id && other.trace == span.trace)
                    .map_or_else(|| id.to_string(), |parent| format!("under {}", parent.entity.0)),
            };
            let mut line = format!("{} {:?} {} {parent}", span.entity.0, span.role, span.name);
            for key in keys {
                let found = span.attributes.iter().find(|(known, _)| known == key);
                let _ = write!(line, " {}", text(found.map(|(_, value)| value)));
            }
            line
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

fn text(value: Option<&Value>) -> String {
    match value {
        None => "-".to_owned(),
        Some(Value::Static(text)) => (*text).to_owned(),
        Some(Value::Text(text)) => text.to_string(),
        Some(Value::Int(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
    }
}

pub(super) fn spans(config: Config, asks: &[Ask]) -> (Vec<Span>, Counters) {
    let mut trace = Trace::new(config);
    for ask in asks {
        tell(&mut trace, ask);
    }
    trace.finish(&COUNTS);
    assert_sums(&trace);
    (trace.take(), *trace.counters())
}

fn assert_sums(trace: &Trace) {
    let Counters { seen, kept, left, linked, roots, .. } = *trace.counters();
    let (kept, left): (u64, u64) = (kept.iter().sum(), left.iter().sum());
    let (waiting, _) = trace.waiting();
    assert_eq!(seen, kept + left + waiting as u64);
    assert_eq!(kept, linked.iter().sum::<u64>() + roots.iter().sum::<u64>());
}

#[test]
fn worth_keeps_what_the_share_does_not() {
    let none = Sampler { threshold: Threshold::NONE, parent: Parent::Keeps, tail: true };
    let config = || Config { sampler: none, slow: Some(Nanos(1000)), ..config() };
    let why = |ask: Ask| {
        let (spans, _) = spans(config(), &[ask]);
        spans.first().map(|span| told(std::slice::from_ref(span), &[key::STETH_SAMPLING_REASON]))
    };
    let check = |ask: Ask, expect: Option<&str>| {
        let said = why(ask).map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned());
        assert_eq!(said.as_deref(), expect);
    };
    check(served("/items/1", 200, (0, 10)), None);
    check(served("/items/1", 404, (0, 10)), None);
    check(asked("/items/1", 404, (0, 10)), Some("error"));
    check(served("/items/1", 500, (0, 10)), Some("error"));
    check(served("/items/1", 200, (0, 1000)), Some("slow"));
    let reset = Ask { fault: Some(Fault::Reset), status: None, ..served("/", 0, (0, 10)) };
    check(reset, Some("error"));
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
    let sampled = with(served("/", 200, (0, 10)), &format!("traceparent: {parent}-01\r\n"));
    check(sampled, Some("sampled"));
    let unsampled = with(served("/", 200, (0, 10)), &format!("traceparent: {parent}-00\r\n"));
    check(unsampled, None);
}

#[test]
fn slow_is_what_is_slower_than_its_own_route() {
    let none = Sampler { threshold: Threshold::NONE, parent: Parent::Keeps, tail: true };
    let mut trace = Trace::new(Config { sampler: none, ..config() });
    for (took, usual) in [(50, None), (50, Some(100)), (100, Some(100)), (101, Some(100))] {
        trace.usual.forget();
        let counts = Said { route: None, usual, far: None };
        tell_with(&mut trace, &served("/", 200, (1000, 1000 + took)), &counts);
    }
    trace.finish(&COUNTS);
    assert_eq!(trace.take().len(), 1);
    assert_sums(&trace);
}

#[test]
fn kept_spans_stand_for_all_that_was_counted() {
    const N: u64 = 20_000;
    let share = 0.05;
    let sampler =
        Sampler { threshold: Threshold::of_share(share), parent: Parent::Keeps, tail: true };
    let mut trace = Trace::new(Config { sampler, ..config() });
    let mut kept = Vec::new();
    for n in 0..N {
        let status = if n % 100 == 0 { 500 } else { 200 };
        let ask = Ask { conn: 10 + n, ..served("/items/1", status, (n * 100, n * 100 + 10)) };
        // Different ports, so that nothing is one connection.
        tell(&mut trace, &Ask { peer: Peer { port: n as u16, ..ask.peer }, ..ask });
        trace.tick(Timestamp(n * 100), &COUNTS);
        kept.extend(trace.take());
    }
    trace.finish(&COUNTS);
    kept.extend(trace.take());
    assert_sums(&trace);
    let weight = |span: &Span| {
        let threshold = span.state.strip_prefix("ot=th:").and_then(Threshold::parse).unwrap();
        threshold.adjusted_count()
    };
    let errors: f64 = kept.iter().filter(|span| span.error).map(weight).sum();
    assert!((errors - (N / 100) as f64).abs() < 1e-9, "{errors}");
    let all: f64 = kept.iter().map(weight).sum();
    let bound = 5.0 * (N as f64 * (1.0 - share) / share).sqrt();
    assert!((all - N as f64).abs() < bound, "{all} of {N}, at most {bound} off");
}

/// Three services under load: RED counts everything, and the kept spans, each for as many as it says,
/// give the same rates and errors, though shares, marks and budgets decided what is kept.
#[test]
fn spans_weighted_give_what_red_counted() {
    const SECONDS: u64 = 30;
    const EACH: u64 = 1000;
    const SECOND: u64 = 1_000_000_000;
    let config = Config {
        sampler: Sampler { threshold: Threshold::of_share(0.2), parent: Parent::Keeps, tail: true },
        slow: Some(Nanos(500_000)),
        per_service: 100,
        total: 250,
        hold: Nanos(2 * SECOND),
        hosts: false,
        ..config()
    };
    let mut trace = Trace::new(config);
    let mut red = Red::new(red::Config::default(), WallTime(0));
    let mut kept = Vec::new();
    for n in 0..SECONDS * EACH {
        let (at, nth) = (n * SECOND / EACH, n.wrapping_mul(0x9e37_79b9) >> 7);
        let status = if nth % 23 == 0 { 500 } else { 200 };
        let took = if nth % 31 == 0 { 600_000 } else { 1000 };
        let ask = Ask { conn: 10 + n, ..served("/items/1", status, (at, at + took)) };
        let ask = Ask { entity: 1 + (nth % 3) as u32, ..ask };
        let trace_id = nth % 1000 + (n << 20);
        let marked = format!("traceparent: 00-{trace_id:032x}-00f067aa0ba902b7-01\r\n");
        let ask = if nth % 40 == 0 { with(ask, &marked) } else { ask };
        let ask = Ask { peer: Peer { port: n as u16, ..ask.peer }, ..ask };
        if n >= 3 * EACH {
            red.observe(EntityId(ask.entity), &exchange(&ask), None);
        }
        tell(&mut trace, &ask);
        if n % EACH == 0 {
            trace.tick(Timestamp(at), &COUNTS);
            kept.extend(trace.take());
        }
    }
    trace.finish(&COUNTS);
    kept.extend(trace.take());
    assert_sums(&trace);
    let Counters { left, .. } = *trace.counters();
    assert!(left[Left::ServiceBudget as usize] + left[Left::TotalBudget as usize] > 1000);
    let weight = |fits: &dyn Fn(&Span) -> bool| -> f64 {
        // What the first second of a burst left is told by counts alone.
        let spans = kept.iter().filter(|span| span.begun.0 >= 3 * SECOND && fits(span));
        let threshold =
            |span: &Span| span.state.strip_prefix("ot=th:").and_then(Threshold::parse).unwrap();
        spans.map(|span| threshold(span).adjusted_count()).sum()
    };
    let near = |what: &str, spans: f64, red: u64| {
        let off = spans / red as f64 - 1.0;
        assert!(off.abs() < 0.12, "{what}: {spans} of {red}");
    };
    for row in red.rows() {
        let of = |span: &Span| span.entity == row.entity;
        near("rate", weight(&of), row.count);
        near("errors", weight(&|span| of(span) && span.error), row.errors);
    }
}

/// More than are looked at: both ends of each request, errors among them.
#[test]
fn what_is_looked_at_stands_for_what_is_not() {
    const SECOND: u64 = 1_000_000_000;
    const EACH: u64 = 2000;
    const SECONDS: u64 = 60;
    let share = Threshold::of_share(0.5);
    let sampler = Sampler { threshold: share, parent: Parent::Keeps, tail: true };
    let config = Config { sampler, rate: 450, hold: Nanos(SECOND), hosts: false, ..config() };
    let mut trace = Trace::new(config);
    let mut kept = Vec::new();
    let errors = |n: u64| n.is_multiple_of(100);
    for n in 0..SECONDS * EACH {
        let at = n * SECOND / EACH;
        let status = if errors(n) { 500 } else { 200 };
        let client = asked("/items/1", status, (at, at + 400_000));
        let server = served("/items/1", status, (at + 100_000, at + 300_000));
        let position = n * 100;
        tell(&mut trace, &Ask { position, ..server });
        tell(&mut trace, &Ask { position, ..client });
        if n % EACH == 0 {
            trace.tick(Timestamp(at), &COUNTS);
            kept.extend(trace.take());
        }
    }
    trace.finish(&COUNTS);
    kept.extend(trace.take());
    assert_sums(&trace);
    assert!(trace.counters().left[Left::Rate as usize] > SECONDS * EACH);
    let of = |span: &Span| span.state.strip_prefix("ot=th:").and_then(Threshold::parse).unwrap();
    for role in [Role::Client, Role::Server] {
        let of_role = || kept.iter().filter(move |span| span.role == role);
        let weight = |spans: &mut dyn Iterator<Item = &Span>| -> f64 {
            spans.map(|span| of(span).adjusted_count()).sum()
        };
        let all = weight(&mut of_role());
        let off = all / (SECONDS * EACH) as f64 - 1.0;
        assert!(off.abs() < 0.05, "{role:?}: {all}");
        // No error is passed over, and each is one.
        let failed = weight(&mut of_role().filter(|span| span.error));
        assert!((failed - (SECONDS * EACH / 100) as f64).abs() < 1e-9, "{role:?}: {failed}");
    }
    // What chance decided is as the ids have it.
    let whole = kept.iter().filter(|span| of(span).keeps(span.trace.randomness())).count();
    assert_eq!(whole, kept.len());
    // And what is looked at are whole traces, but for those at the edges of a slice.
    let roots = kept.iter().filter(|span| span.role == Role::Server && span.parent.is_none());
    assert!(roots.count() < 300);
}

/// A thread that holds two requests is not taken to hold one because the other is not looked at.
#[test]
fn what_is_not_looked_at_bears_witness() {
    const MILLI: u64 = 1_000_000;
    let mut trace = Trace::new(Config { rate: 100, hold: Nanos(2_000 * MILLI), ..config() });
    let mut ends = Vec::new();
    for n in 0..20_000_u64 {
        let at = n * MILLI / 2;
        let hand = |answered, waits| Course {
            asked_by: 10 + n as u32,
            answered_by: 10 + n as u32,
            answered: Some(Timestamp(answered)),
            steps: Steps { waits, ..Steps::default() },
            ..Course::default()
        };
        let own = |ask: Ask, course, from, to| Ask {
            entity: 2,
            conn: 10 + 4 * n + from % 4,
            times: (at + from, at + to),
            peer: Peer { port: n as u16, ..ask.peer },
            course,
            ..ask
        };
        let first = own(served("/1", 200, (0, 0)), hand(at + 9 * MILLI, true), 0, 9 * MILLI);
        let second =
            own(served("/2", 200, (0, 0)), hand(at + 6 * MILLI, true), 2 * MILLI + 1, 6 * MILLI);
        let call =
            own(asked("/3", 200, (0, 0)), hand(at + 5 * MILLI, false), 3 * MILLI + 2, 5 * MILLI);
        ends.extend([first, second, call]);
    }
    ends.sort_by_key(|ask| ask.times.1);
    for (n, ask) in ends.iter().enumerate() {
        tell(&mut trace, ask);
        if n % 2000 == 0 {
            let now = Timestamp(ask.times.1);
            trace.complete(Timestamp(now.0.saturating_sub(20 * MILLI)));
            trace.tick(now, &COUNTS);
        }
    }
    trace.finish(&COUNTS);
    let Counters { linked, left, kept, .. } = *trace.counters();
    assert!(left[Left::Rate as usize] > 10_000 && kept.iter().sum::<u64>() > 1000);
    assert_eq!(linked[By::Thread as usize], 0);
}

/// Both ends fail, and one of both services has far more that fails than its budget.
#[test]
fn a_tree_of_two_budgets_is_weighed_once() {
    const SECOND: u64 = 1_000_000_000;
    let config = Config { per_service: 100, hold: Nanos(SECOND), hosts: false, ..config() };
    let mut trace = Trace::new(config);
    let mut kept = Vec::new();
    let (mut pairs, seconds) = (0_u64, 60);
    for n in 0..seconds * 600 {
        let at = n * SECOND / 600;
        if n % 12 == 0 {
            let port = n as u16;
            let (client, server) = (asked("/", 500, (0, 0)), served("/", 500, (0, 0)));
            let peer = Peer { port, ..server.peer };
            tell(&mut trace, &Ask { times: (at + 10, at + 30), peer, conn: 10 + n, ..server });
            let peer = Peer { local_port: port, ..client.peer };
            tell(&mut trace, &Ask { times: (at, at + 40), peer, conn: 9_000_000 + n, ..client });
            pairs += u64::from(at > 3 * SECOND);
        } else {
            let lone = served("/", 500, (at, at + 10));
            tell(&mut trace, &Ask { peer: Peer::default(), conn: 10 + n, ..lone });
        }
        if n % 100 == 0 {
            trace.tick(Timestamp(at), &COUNTS);
            kept.extend(trace.take());
        }
    }
    trace.finish(&COUNTS);
    kept.extend(trace.take());
    assert_sums(&trace);
    let of = |span: &Span| span.state.strip_prefix("ot=th:").and_then(Threshold::parse).unwrap();
    for role in [Role::Client, Role::Server] {
        let late = kept.iter().filter(|span| span.role == role && span.begun.0 > 3 * SECOND);
        let paired = late.filter(|span| role == Role::Client || span.parent.is_some());
        let all: f64 = paired.map(|span| of(span).adjusted_count()).sum();
        let off = all / pairs as f64 - 1.0;
        assert!(off.abs() < 0.15, "{role:?}: {all} of {pairs}");
    }
}

#[test]
fn the_window_is_bounded_in_bytes_and_in_time_and_nothing_is_uncounted() {
    let mut trace = Trace::new(Config { bytes: 20_000, ..config() });
    for n in 0..1000 {
        let long = format!("/{}", "x".repeat(n % 300));
        tell(&mut trace, &Ask { conn: n as u64, ..served(&long, 200, (n as u64, n as u64 + 1)) });
        assert!(trace.waiting().1 <= 20_000);
        assert_sums(&trace);
    }
    assert!(trace.counters().early > 800);
    trace.tick(Timestamp(10_000), &COUNTS);
    assert_eq!(trace.waiting(), (0, 0));
    assert_eq!(trace.take().len(), 1000);
}

#[test]
fn what_is_over_a_budget_is_left_and_counted() {
    let asks: Vec<Ask> = (0..10)
        .map(|n| Ask { conn: 100 + n, entity: 1 + n as u32 % 2, ..served("/", 200, (n, n + 1)) })
        .collect();
    let check = |config: Config, kept: usize, left: Left, count: u64| {
        let (spans, counters) = spans(config, &asks);
        assert_eq!((spans.len(), counters.left[left as usize]), (kept, count), "{left:?}");
    };
    check(Config { per_service: 3, ..config() }, 6, Left::ServiceBudget, 4);
    check(Config { total: 7, ..config() }, 7, Left::TotalBudget, 3);
    check(Config { untaken: 4, ..config() }, 4, Left::Untaken, 6);
}
