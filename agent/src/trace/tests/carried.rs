//! Links across hosts: what came in a TCP option is the parent of the exchange at its position, and of no other.

use agent_common::record::{self, Kind};

use super::*;
use crate::metric::key::{STETH_LINK_METHOD as METHOD, STETH_LINK_MISSING as MISSING};
use crate::protocol::Steps;

const PARENT: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
const TRACE: TraceId = TraceId([7; 16]);
const SENT: SpanId = SpanId([9; 8]);
const IN: u8 = 0;
const OUT: u8 = 1;

fn carried(conn: u64, direction: u8, position: u64) -> record::Carried {
    record::Carried {
        kind: Kind::Carried as u8,
        direction,
        conn,
        position,
        time: 5,
        trace: TRACE.0,
        span: SENT.0,
        ..record::Carried::default()
    }
}

fn spans(records: &[record::Carried], asks: &[Ask]) -> Vec<Span> {
    let mut trace = Trace::new(config());
    for record in records {
        trace.carried(record);
    }
    for ask in asks {
        tell(&mut trace, ask);
    }
    trace.finish(&COUNTS);
    let mut spans = trace.take();
    spans.sort_by_key(|span| (span.entity.0, span.begun));
    spans
}

fn check(records: &[record::Carried], asks: &[Ask], expect: &[&str]) {
    assert_eq!(told(&spans(records, asks), &[METHOD, MISSING]), expect.join("\n"));
}

#[test]
fn a_clients_span_has_the_ids_that_were_sent() {
    let client = asked("/items/1", 200, (10, 50));
    let one = &spans(&[carried(1, OUT, 0)], std::slice::from_ref(&client))[0];
    assert_eq!((one.trace, one.id, one.parent), (TRACE, SENT, None));
    let one = &spans(&[carried(1, OUT, 0)], &[with(client, PARENT)])[0];
    assert_eq!(one.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(one.id, SENT);
    assert_eq!(one.parent.map(|id| id.to_string()).as_deref(), Some("00f067aa0ba902b7"));
}

#[test]
fn a_servers_span_is_the_child_of_what_came() {
    let server = served("/items/1", 200, (20, 40));
    let one = &spans(&[carried(2, IN, 0)], std::slice::from_ref(&server))[0];
    assert_eq!((one.trace, one.parent), (TRACE, Some(SENT)));
    let one = &spans(&[carried(2, IN, 0)], &[with(server.clone(), PARENT)])[0];
    assert_eq!(one.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(one.parent, Some(SENT));
    check(
        &[carried(2, IN, 0)],
        &[server],
        &[&format!("2 Server GET /items/{{id}} {SENT} tcp_option -")],
    );
}

#[test]
fn nothing_is_linked_that_began_elsewhere() {
    let server = served("/items/1", 200, (20, 40));
    let alone = |record: record::Carried| {
        let expect = "2 Server GET /items/{id} root - peer_not_seen";
        check(&[record], std::slice::from_ref(&server), &[expect]);
        let spans = spans(&[record], std::slice::from_ref(&server));
        assert_ne!(spans[0].trace, TRACE);
    };
    alone(carried(2, IN, 1));
    alone(carried(3, IN, 0));
    alone(carried(2, OUT, 0));
    alone(record::Carried { trace: [0; 16], ..carried(2, IN, 0) });
    alone(record::Carried { span: [0; 8], ..carried(2, IN, 0) });
}

#[test]
fn a_head_that_may_hide_a_context_is_linked_to_nobody() {
    let server = with(served("/items/1", 200, (20, 40)), "X-A: 1\r\n");
    let cut = Ask { cut: true, ..server };
    let expect = "2 Server GET /items/{id} root - head_cut";
    check(&[carried(2, IN, 0)], std::slice::from_ref(&cut), &[expect]);
    assert_ne!(spans(&[carried(2, IN, 0)], &[cut])[0].trace, TRACE);
}

#[test]
fn both_ends_on_one_host_are_joined_through_any_ports() {
    let client = asked("/items/1", 200, (10, 50));
    let server = served("/items/1", 200, (20, 40));
    let server = Ask { peer: Peer { port: 7, local_port: 9, ..server.peer }, ..server };
    for asks in [[client.clone(), server.clone()], [server.clone(), client.clone()]] {
        check(
            &[carried(1, OUT, 0), carried(2, IN, 0)],
            &asks,
            &["1 Client GET root - no_request", "2 Server GET /items/{id} under 1 tcp_option -"],
        );
    }
}

#[test]
fn two_that_carry_different_ids_are_not_one() {
    let client = asked("/items/1", 200, (10, 50));
    let server = served("/items/1", 200, (20, 40));
    let other = record::Carried { span: [8; 8], trace: [6; 16], ..carried(1, OUT, 0) };
    check(
        &[other, carried(2, IN, 0)],
        &[client, server],
        &[
            "1 Client GET root - no_request",
            &format!("2 Server GET /items/{{id}} {SENT} tcp_option -"),
        ],
    );
}

#[test]
fn the_requests_of_a_connection_are_told_apart_by_their_positions() {
    let mut trace = Trace::new(config());
    let count = 50_u64;
    for n in 0..count {
        let span = (n + 1).to_be_bytes();
        let trace_id = [&[1; 8][..], &span].concat();
        let ids = |conn, direction| record::Carried {
            span,
            trace: trace_id.clone().try_into().unwrap_or_default(),
            ..carried(conn, direction, n * 100)
        };
        trace.carried(&ids(2, IN));
    }
    for n in 0..count {
        let server = served("/items/1", 200, (20 + n * 100, 40 + n * 100));
        tell(&mut trace, &Ask { position: n * 100, ..server });
    }
    trace.finish(&COUNTS);
    let mut spans = trace.take();
    spans.sort_by_key(|span| span.begun);
    let parents: Vec<_> = spans.iter().map(|span| span.parent).collect();
    let expect: Vec<_> = (1..=count).map(|n| Some(SpanId(n.to_be_bytes()))).collect();
    assert_eq!(parents, expect);
    assert_eq!(trace.counters().linked[By::Option as usize], count);
}

#[test]
fn what_is_told_after_the_exchange_counts_as_well() {
    let mut trace = Trace::new(config());
    let (client, server) = (asked("/items/1", 200, (10, 50)), served("/items/1", 200, (20, 40)));
    let server = Ask { peer: Peer { port: 7, local_port: 9, ..server.peer }, ..server };
    tell(&mut trace, &server);
    trace.carried(&carried(2, IN, 0));
    trace.carried(&carried(1, OUT, 0));
    tell(&mut trace, &client);
    tell(&mut trace, &Ask { conn: 3, ..server });
    trace.carried(&carried(3, OUT, 0));
    trace.finish(&COUNTS);
    let mut spans = trace.take();
    spans.sort_by_key(|span| (span.entity.0, span.parent.is_none()));
    let expect = [
        "1 Client GET root - no_request",
        "2 Server GET /items/{id} root - peer_not_seen",
        "2 Server GET /items/{id} under 1 tcp_option -",
    ];
    assert_eq!(told(&spans, &[METHOD, MISSING]), expect.join("\n"));
}

/// A request and the call that its thread made for it, in one process.
fn caused() -> [Ask; 2] {
    let by = |answered, waits| Course {
        asked_by: 70,
        answered_by: 70,
        answered: Some(Timestamp(answered)),
        steps: Steps { waits, ..Steps::default() },
        ..Course::default()
    };
    let request = Ask { course: by(90, true), ..served("/items/1", 200, (10, 100)) };
    let call = Ask { course: by(50, false), entity: 2, ..asked("/stock/1", 200, (20, 60)) };
    let peer = Peer { port: 81, local_port: 50_000, ..call.peer };
    [Ask { conn: 3, peer, ..call }, request]
}

#[test]
fn a_call_stays_in_the_trace_that_it_was_sent_with() {
    let came = carried(2, IN, 0);
    let same = record::Carried { span: [8; 8], ..carried(3, OUT, 0) };
    check(
        &[came, same],
        &caused(),
        &[
            "2 Client GET under 2 thread -",
            &format!("2 Server GET /items/{{id}} {SENT} tcp_option -"),
        ],
    );
    let other = record::Carried { trace: [6; 16], ..same };
    let spans = spans(&[came, other], &caused());
    let ids: Vec<_> = spans.iter().map(|span| (span.trace, span.parent)).collect();
    assert_eq!(ids, [(TRACE, Some(SENT)), (TraceId([6; 16]), None)]);
    assert_eq!(spans[1].id, SpanId([8; 8]));
}
