//! What is no exchange that ended, and what becomes of it when it has.

use agent_common::record::ConnectFailed;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn hanging() -> Config {
    let none = Sampler { threshold: Threshold::NONE, parent: Parent::Keeps, tail: true };
    Config { sampler: none, hanging: Nanos(30 * SECOND), hold: Nanos(SECOND), ..config() }
}

/// A request as a sweep shows it at `now`.
fn look(trace: &mut Trace, ask: &Ask, now: u64) {
    let open = Exchange { ended: Timestamp(now), status: None, ..exchange(ask) };
    trace.in_flight(EntityId(ask.entity), &open, &COUNTS);
}

fn state(span: &Span) -> String {
    let found = span.attributes.iter().find(|(key, _)| *key == key::STETH_SPAN_STATE);
    text(found.map(|(_, value)| value))
}

#[test]
fn what_hangs_is_told_once_while_it_does_and_linked_to_when_it_has_ended() {
    let mut trace = Trace::new(hanging());
    let ask = served("/slow", 200, (SECOND, 50 * SECOND));
    for now in [10, 29, 31, 40, 49] {
        look(&mut trace, &ask, now * SECOND);
    }
    let [report] = &trace.take()[..] else { panic!("one") };
    assert_eq!(
        (report.kind, report.error, state(report).as_str()),
        (Kind::Internal, false, "hanging")
    );
    assert_eq!((report.begun, report.ended), (Timestamp(SECOND), Timestamp(31 * SECOND)));
    assert_eq!((report.state.as_str(), report.parent), ("", None));
    tell(&mut trace, &ask);
    trace.finish(&COUNTS);
    let [span] = &trace.take()[..] else { panic!("one") };
    assert_eq!((span.kind, state(span).as_str()), (Kind::Server, "-"));
    assert_eq!((span.trace, span.link), (report.trace, Some((report.trace, report.id))));
    assert_ne!(span.id, report.id);
    assert_eq!(span.state, "ot=th:0");
    assert_sums(&trace);
}

#[test]
fn a_report_is_in_the_trace_that_its_head_names() {
    let mut trace = Trace::new(hanging());
    let parent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n";
    let ask = with(served("/slow", 200, (SECOND, 50 * SECOND)), parent);
    look(&mut trace, &ask, 40 * SECOND);
    tell(&mut trace, &ask);
    trace.finish(&COUNTS);
    for span in trace.take() {
        assert_eq!(span.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span.parent.map(|id| id.to_string()).as_deref(), Some("00f067aa0ba902b7"));
    }
}

#[test]
fn who_keeps_nothing_is_told_nothing_of_what_hangs() {
    let off = Sampler { threshold: Threshold::NONE, parent: Parent::Ignored, tail: false };
    let mut trace = Trace::new(Config { sampler: off, ..hanging() });
    look(&mut trace, &served("/slow", 200, (SECOND, 0)), 40 * SECOND);
    assert_eq!((trace.take().len(), trace.counters().seen), (0, 0));
}

#[test]
fn reports_are_bounded_by_the_budget_and_forgotten_in_time() {
    let mut trace = Trace::new(Config { per_service: 5, ..hanging() });
    for conn in 0..5000 {
        let ask = Ask { conn, ..served("/slow", 200, (SECOND, 0)) };
        look(&mut trace, &ask, 40 * SECOND);
    }
    assert_eq!(trace.take().len(), 5);
    let Counters { seen, left, .. } = *trace.counters();
    assert_eq!(seen, 5000);
    assert_eq!(left[Left::Untaken as usize], 5000 - 4096);
    assert_sums(&trace);
    trace.tick(Timestamp(1000 * SECOND), &COUNTS);
    assert!(!trace.hanging.any());
}

#[test]
fn what_the_end_cuts_short_says_so_and_stands_for_nothing() {
    let mut trace = Trace::new(hanging());
    for mut ask in [asked("/a", 200, (10, 90)), served("/a", 200, (20, 90))] {
        ask.status = None;
        trace.unfinished(EntityId(ask.entity), &exchange(&ask), &COUNTS);
    }
    trace.finish(&COUNTS);
    let spans = trace.take();
    assert_eq!(
        told(&spans, &[key::STETH_SPAN_STATE, key::ERROR_TYPE]),
        "\
        1 Client GET root in_flight -\n\
        2 Server GET /items/{id} under 1 in_flight -"
    );
    assert!(spans.iter().all(|span| span.state.is_empty() && !span.error));
    assert!(spans.iter().all(|span| span.kind != Kind::Internal));
    assert_sums(&trace);
}

#[test]
fn a_connect_that_failed_is_a_client_span_without_a_request() {
    let check = |fault, kind: &str| {
        let mut trace = Trace::new(hanging());
        let failed = ConnectFailed {
            begun: 5,
            time: 9,
            peer: peer([192, 0, 2, 7], 5432, 40_000),
            ..ConnectFailed::default()
        };
        trace.connect_failed(EntityId(1), &failed, fault, None, &COUNTS);
        trace.finish(&COUNTS);
        let [span] = &trace.take()[..] else { panic!("one") };
        assert_eq!((span.name.as_str(), span.kind, span.error), ("connect", Kind::Client, true));
        assert_eq!((span.begun, span.ended), (Timestamp(5), Timestamp(9)));
        let keys: Vec<String> = span
            .attributes
            .iter()
            .map(|(key, value)| format!("{}={}", key.0, text(Some(value))))
            .collect();
        let expect = format!(
            "error.type={kind} network.peer.address=192.0.2.7 network.peer.port=5432 \
             network.transport=tcp server.address=192.0.2.7 server.port=5432 \
             steth.link.missing=cause_unknown steth.sampling.reason=error"
        );
        assert_eq!(keys.join(" "), expect);
        assert_sums(&trace);
    };
    check(Fault::Refused, "connection_refused");
    check(Fault::Timeout, "timeout");
    check(Fault::Unreachable, "host_unreachable");
}
