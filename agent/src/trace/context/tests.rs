//! Contexts well formed and not, in any case and any place of a head.

use proptest::prelude::*;

use super::*;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn found(headers: &str) -> Found {
    let head = format!("GET / HTTP/1.1\r\n{headers}\r\n");
    read(&Lines::new(head.as_bytes(), false))
}

/// `trace span sampled`, `-` for none and `!` for what is malformed.
fn line(headers: &str) -> String {
    let Found { context, malformed } = found(headers);
    let mark = if malformed { "!" } else { "" };
    let Some(Context { trace, parent, sampled, .. }) = context else { return format!("{mark}-") };
    format!(
        "{mark}{trace} {parent} {}",
        sampled.map_or("?".to_owned(), |s| u8::from(s).to_string())
    )
}

#[test]
fn reads_every_format() {
    let check = |headers: &str, sampled: &str| {
        assert_eq!(line(headers), format!("{TRACE} {SPAN} {sampled}"), "{headers}");
    };
    check(&format!("traceparent: {PARENT}\r\n"), "1");
    check(&format!("TRACEPARENT:{PARENT}\r\n"), "1");
    check(&format!("TraceParent: \t{PARENT} \t\r\n"), "1");
    check(&format!("traceparent: {PARENT}\r\ntraceparent: {PARENT}\r\n"), "1");
    check(&format!("traceparent: 00-{TRACE}-{SPAN}-02\r\n"), "0");
    check(&format!("traceparent: cc-{TRACE}-{SPAN}-01-more\r\n"), "1");
    check(&format!("b3: {TRACE}-{SPAN}\r\n"), "?");
    check(&format!("B3: {TRACE}-{SPAN}-d-{SPAN}\r\n"), "1");
    check(&format!("b3: {TRACE}-{SPAN}-0\r\n"), "0");
    check(&format!("X-B3-TraceId: {TRACE}\r\nX-B3-SpanId: {SPAN}\r\n"), "?");
    check(&format!("x-b3-sampled: 0\r\nx-b3-traceid: {TRACE}\r\nx-b3-spanid: {SPAN}\r\n"), "0");
    check(&format!("x-b3-flags: 1\r\nx-b3-traceid: {TRACE}\r\nx-b3-spanid: {SPAN}\r\n"), "1");
    check(&format!("uber-trace-id: {TRACE}:{SPAN}:0:1\r\n"), "1");
    check(&format!("Uber-Trace-Id: {TRACE}%3Af067aa0ba902b7%3A0%3A0\r\n"), "0");
    let short = line("b3: a3ce929d0e0e4736-00f067aa0ba902b7-1\r\n");
    assert_eq!(short, format!("0000000000000000a3ce929d0e0e4736 {SPAN} 1"));
    // W3C counts first, and what is malformed leaves the turn to the next.
    check(&format!("b3: {SPAN}-{SPAN}\r\ntraceparent: {PARENT}\r\n"), "1");
    let next = format!("traceparent: 00-x\r\nb3: {TRACE}-{SPAN}-1\r\n");
    assert_eq!(line(&next), format!("!{TRACE} {SPAN} 1"));
}

#[test]
fn finds_it_behind_any_number_of_other_lines() {
    for others in [0, 20, 600] {
        let others = "X-Filler: 0123456789012345678901234567890123456789\r\n".repeat(others);
        let headers = format!("{others}tRaCePaReNt: {PARENT}\r\nCookie: x\r\n");
        assert_eq!(line(&headers), format!("{TRACE} {SPAN} 1"));
    }
    // A line that was not seen whole is none.
    let head = format!("GET / HTTP/1.1\r\ntraceparent: {PARENT}");
    assert_eq!(read(&Lines::new(head.as_bytes(), true)), Found::default());
}

#[test]
fn what_is_malformed_is_no_context() {
    let zero = "0".repeat(32);
    for parent in [
        "",
        "00",
        "00-",
        &PARENT[..54],
        &format!("{PARENT}0"),
        &format!("{PARENT}-more"),
        &PARENT.to_uppercase(),
        &PARENT.replacen("00", "ff", 1),
        &PARENT.replace('-', "_"),
        &format!("00-{zero}-{SPAN}-01"),
        &format!("00-{TRACE}-0000000000000000-01"),
        &format!("00-{TRACE}-{SPAN}-0g"),
        &format!("00-+{}-{SPAN}-01", &TRACE[1..]),
        &format!("cc-{TRACE}-{SPAN}-01more"),
        &format!("00-{TRACE}-{SPAN}-é"),
    ] {
        assert_eq!(line(&format!("traceparent: {parent}\r\n")), "!-", "{parent}");
    }
    assert_eq!(line(&format!("traceparent: {PARENT}\r\ntraceparent: 00-x\r\n")), "!-");
    for headers in [
        format!("b3: {TRACE}"),
        format!("b3: {TRACE}-{SPAN}-2"),
        format!("b3: {TRACE}-{SPAN}-1-x"),
        format!("b3: {TRACE}-{SPAN}-1-{SPAN}-1"),
        format!("b3: {zero}-{SPAN}"),
        format!("x-b3-traceid: {TRACE}"),
        format!("x-b3-traceid: {TRACE}0\r\nx-b3-spanid: {SPAN}"),
        format!("uber-trace-id: {TRACE}:{SPAN}:0"),
        format!("uber-trace-id: {TRACE}:{SPAN}:0:1:2"),
        format!("uber-trace-id: {TRACE}:0:0:1"),
        format!("uber-trace-id: {}", ":".repeat(9000)),
    ] {
        assert_eq!(line(&format!("{headers}\r\n")), "!-", "{headers}");
    }
    assert_eq!(line("b3: 0\r\n"), "-");
    assert_eq!(line("X-B3-SpanId: 1\r\n"), "-");
}

#[test]
fn a_state_is_passed_on_with_what_it_says_of_sampling() {
    let check = |lines: &str, told: &str, threshold: Option<&str>, randomness| {
        let headers = format!("traceparent: {PARENT}\r\n{lines}");
        let state = found(&headers).context.unwrap().state;
        assert_eq!(state.told(state.threshold), told, "{lines}");
        assert_eq!(state.threshold.map(|t| t.to_string()).as_deref(), threshold, "{lines}");
        assert_eq!(state.randomness, randomness, "{lines}");
    };
    check("", "", None, None);
    check("tracestate: a=1, b@c=2\r\n", "a=1,b@c=2", None, None);
    check("tracestate: a=1,ot=th:c\r\ntracestate: b=2\r\n", "ot=th:c,a=1,b=2", Some("c"), None);
    check(
        "tracestate: ot=rv:0123456789abcd\r\n",
        "ot=rv:0123456789abcd",
        None,
        Some(0x01_2345_6789_abcd),
    );
    check("tracestate: ot=p:8;th:8000\r\n", "ot=th:8;p:8", Some("8"), None);
    check("tracestate: ot=th:xyz;rv:1\r\n", "ot=rv:1", None, None);
    check("tracestate: nonsense\r\n", "", None, None);
    check(&format!("tracestate: a={}\r\n", "x".repeat(600)), "", None, None);
    check(&format!("tracestate: {}\r\n", "a=1,".repeat(33)), "", None, None);
}

proptest! {
    #[test]
    fn no_head_is_too_odd(head in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&Lines::new(&head, true));
        for name in ["traceparent: ", "b3: ", "uber-trace-id: ", "tracestate: ot="] {
            let bytes = [b"GET / HTTP/1.1\r\n", name.as_bytes(), &head, b"\r\n"].concat();
            let _ = read(&Lines::new(&bytes, false));
        }
    }

    #[test]
    fn what_is_written_is_read(trace in 1u128.., span in 1u64.., flags: u8) {
        let Found { context, malformed } =
            found(&format!("traceparent: 00-{trace:032x}-{span:016x}-{flags:02x}\r\n"));
        let context = context.unwrap();
        prop_assert!(!malformed);
        prop_assert_eq!(context.trace.0, trace.to_be_bytes());
        prop_assert_eq!(context.parent.0, span.to_be_bytes());
        prop_assert_eq!(context.sampled, Some(flags & 1 == 1));
    }
}
