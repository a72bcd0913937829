//! Traces put together again, and how they are drawn.

use super::draw::{head, waterfall};
use super::*;
use crate::entity::EntityId;
use crate::event::Timestamp;
use crate::host::Anchor;
use crate::metric::snapshot::Attribute;
use crate::protocol::Role;

const MILLI: u64 = 1_000_000;

/// A span of trace `trace` from `times`, in milliseconds.
fn span(trace: u8, id: u8, parent: Option<u8>, times: (u64, u64)) -> Span {
    Span {
        entity: EntityId(1),
        role: Role::Server,
        kind: Kind::Server,
        trace: TraceId([trace; 16]),
        id: SpanId([id; 8]),
        parent: parent.map(|id| SpanId([id; 8])),
        state: String::new(),
        name: "GET /items/{id}".to_owned(),
        begun: Timestamp(times.0 * MILLI),
        ended: Timestamp(times.1 * MILLI),
        error: false,
        link: None,
        attributes: vec![(key::HTTP_RESPONSE_STATUS_CODE, Value::Int(200))],
    }
}

fn take(traces: &mut Traces, service: &str, spans: Vec<Span>) {
    let name: Attribute = (key::SERVICE_NAME, Value::Text(service.into()));
    let resource = Arc::new(Resource { attributes: vec![name] });
    let anchor = Anchor { wall: WallTime(1_700_558_734_000_000_000), ..Anchor::default() };
    traces.take(&Batch { anchor, services: vec![(resource, spans)] });
}

/// Two services, a call between them that failed, and why it took its time; and a fast one.
pub(in crate::runtime) fn example() -> Traces {
    let mut traces = Traces::default();
    let mut call = Span { kind: Kind::Client, ..span(1, 2, Some(1), (20, 90)) };
    "GET".clone_into(&mut call.name);
    let why = |key, millis| (key, Value::Seconds(millis * MILLI));
    let mut asked = Span { error: true, ..span(1, 3, Some(2), (30, 80)) };
    asked.attributes = vec![
        (key::ERROR_TYPE, Value::Text("500".into())),
        (key::HTTP_RESPONSE_STATUS_CODE, Value::Int(500)),
        why(key::STETH_WHY_BLOCKED_DISK, 25),
        why(key::STETH_WHY_CPU, 10),
        why(key::STETH_WHY_LAST_BYTE, 50),
        why(key::STETH_WHY_RECEIVE_QUEUE, 4),
        why(key::STETH_WHY_RUN_QUEUE, 5),
    ];
    take(&mut traces, "shop", vec![call, span(1, 1, None, (0, 100))]);
    take(&mut traces, "fast", vec![span(9, 1, None, (0, 3))]);
    take(&mut traces, "stock", vec![asked]);
    traces
}

#[test]
fn spans_come_together_from_any_batch_and_are_drawn_below_their_parents() {
    let traces = example();
    let trace = traces.newest(1).next().unwrap();
    let mut told = vec![head(trace)];
    told.extend(waterfall(trace, 100).into_iter().map(|line| line.text));
    insta::assert_snapshot!(told.join("\n"));
    for width in 0..200 {
        let lines = waterfall(trace, width);
        assert!(lines.iter().all(|line| line.text.chars().count() <= width.max(40)), "{width}");
    }
}

#[test]
fn the_newest_errors_and_the_slowest_of_the_rest_are_told_apart() {
    let mut traces = example();
    for (id, took) in [(2, 10), (3, 300), (4, 20)] {
        take(&mut traces, "fast", vec![span(id, 1, None, (0, took))]);
    }
    take(&mut traces, "bad", vec![Span { error: true, ..span(5, 1, None, (0, 1)) }]);
    let ids = |traces: Vec<Arc<Trace>>| traces.iter().map(|t| t.id.0[0]).collect::<Vec<_>>();
    assert_eq!(ids(traces.errors(9)), [5, 1]);
    assert_eq!(ids(traces.slowest(2)), [3, 4]);
    assert_eq!(ids(traces.newest(2).cloned().collect()), [4, 5]);
    assert_eq!(traces.newest(99).count(), 6);
}

#[test]
fn what_is_held_is_bounded_and_odd_parents_send_nobody_around() {
    let mut traces = Traces::default();
    for n in 0..1000_u64 {
        take(&mut traces, "many", vec![span(1, (n % 251) as u8, Some(7), (n, n + 1))]);
    }
    let trace = traces.newest(1).next().unwrap();
    assert_eq!((trace.spans.len(), trace.more), (SPANS, 1000 - SPANS));
    assert!(waterfall(trace, 80).len() <= SPANS);
    for n in 0..1000_u64 {
        let mut one = span(1, 1, Some(1), (n, n + 1));
        one.trace = TraceId(u128::from(n + 1).to_be_bytes());
        take(&mut traces, "many", vec![one]);
    }
    assert_eq!(traces.newest(usize::MAX).count(), TRACES);
}
