//! Connections as data: what was told of them, and what they were.

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn pairs(told: &[Told], expect: &[&str]) -> Rig {
    let mut rig = Rig::default();
    for one in told {
        rig.pair(one);
    }
    assert_eq!(rig.kept.lines(), expect, "{told:?}");
    rig.check_sums();
    rig
}

/// `>` lines are read, `<` lines are written, one call each; then the connection closes.
fn calls(steps: &[(char, &[u8])], errno: u16, expect: &[&str]) -> Line {
    let mut line = Line::default();
    for (way, data) in steps {
        line.moved(u8::from(*way == '<'), data, 0);
    }
    line.close(errno);
    assert_eq!(line.rig.kept.lines(), expect, "{steps:?}");
    line.rig.check_sums();
    assert_eq!(line.rig.http.open(), 0);
    line
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: h:81\r\n\r\n").into_bytes()
}

#[test]
fn one_request_and_one_answer_leave_nothing_behind() {
    let check = |ask: &[u8], answer: &[u8], expect: &str| {
        for end in [End::Next, End::Closed] {
            let rig = pairs(&[Told::new(ask, answer).end(end)], &[expect]);
            assert_eq!(rig.http.held(), (0, 0, 0));
        }
    };
    check(&get("/a?b"), OK, "Get /a 200 0/2");
    check(b"POST /p HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", OK, "Post /p 200 3/2");
    check(
        b"HEAD / HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
        "Head / 200 0/0",
    );
    check(&get("/"), b"HTTP/1.1 204 No Content\r\n\r\n", "Get / 204 0/0");
    check(&get("/"), b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "Get / 304 0/0");
    check(b"QUERY / HTTP/1.1\r\n\r\n", OK, "Query / 200 0/2");
    check(b"PATCH / HTTP/1.1\r\n\r\n", OK, "Patch / 200 0/2");
    check(b"PURGE /x HTTP/1.1\r\n\r\n", OK, "Other /x 200 0/2");
    check(b"OPTIONS * HTTP/1.1\r\n\r\n", OK, "Options * 200 0/2");
    check(b"GET http://h/p?q HTTP/1.1\r\n\r\n", OK, "Get /p 200 0/2");
    check(
        &get("/"),
        b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Get / 500 0/5",
    );
    check(
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        OK,
        "Put / 200 11/2",
    );
    check(
        b"CONNECT h:443 HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
        "Connect  403 0/0",
    );
}

#[test]
fn authority_comes_from_the_target_before_host() {
    let check = |ask: &[u8], expect: Option<(&str, Option<u16>)>| {
        let rig = pairs_only(ask);
        let expect = expect.map(|(host, port)| (host.to_owned(), port));
        assert_eq!(rig.kept.seen[0].authority, expect);
    };
    check(&get("/"), Some(("h", Some(81))));
    check(b"GET http://a:1/ HTTP/1.1\r\nHost: b\r\n\r\n", Some(("a", Some(1))));
    check(b"GET / HTTP/1.0\r\n\r\n", None);
    check(b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", Some(("::1", Some(80))));
    check(b"CONNECT h:443 HTTP/1.1\r\n\r\n", Some(("h", Some(443))));
}

fn pairs_only(ask: &[u8]) -> Rig {
    let mut rig = Rig::default();
    rig.pair(&Told::new(ask, b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"));
    rig
}

#[test]
fn times_role_and_process_are_the_pairs() {
    let mut rig = Rig::default();
    rig.pair(&Told::new(&get("/"), OK).with(|h| h.answer_tgid = 8));
    rig.pair(&Told::new(&get("/"), OK).at(2, 1).with(|h| {
        h.flags &= !flag::SERVER;
        h.answer_tgid = 8;
    }));
    let [server, client] = &rig.kept.seen[..] else { panic!() };
    assert_eq!((server.role, server.pid, server.times), (Role::Server, 8, (100, 130)));
    assert_eq!((client.role, client.pid, client.times), (Role::Client, 7, (100, 130)));
}

#[test]
fn large_bodies_are_counted_by_the_turn() {
    let big = |head: &str, bytes: u64| {
        let mut told = Told::new(&get("/"), head.as_bytes());
        told.answer.resize(256, b'x');
        told.header.answer.bytes = head.len() as u64 + bytes;
        told.header.tail_len = 0;
        told
    };
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    pairs(&[big(head, 1_000_000)], &["Get / 200 0/1000000"]);
    pairs(&[big(head, 5_000).end(End::Closed)], &["Get / 200 0/5000 Closed"]);
    pairs(&[big(head, 5_000).failed(104)], &["Get / 200 0/5000 Reset"]);
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    pairs(&[big(head, 5_000).end(End::Closed)], &["Get / 200 0/5000"]);
    pairs(&[big(head, 5_000).failed(110)], &["Get / 200 0/5000 Timeout"]);
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n";
    let tail = |told: Told, tail: &[u8; 8]| told.with(|h| (h.tail, h.tail_len) = (*tail, 8));
    pairs(&[big(head, 5_000)], &["Get / 200 0/5006"]);
    pairs(&[big(head, 5_000).end(End::Closed)], &["Get / 200 0/5006"]);
    pairs(&[tail(big(head, 5_000), b"x\r\n0\r\n\r\n").end(End::Closed)], &["Get / 200 0/5006"]);
    pairs(&[tail(big(head, 5_000), b"xxxxxx\r\n").end(End::Closed)], &["Get / 200 0/5006 Closed"]);
    pairs(&[big(head, 5_000).failed(104)], &["Get / 200 0/5006 Reset"]);
    // A head of which only the beginning was carried.
    let long = format!("HTTP/1.1 404 X\r\nContent-Length: 700\r\nX: {}\r\n\r\n", "y".repeat(300));
    let mut told = Told::new(&get("/"), long.as_bytes());
    told.header.answer.bytes += 700;
    pairs(&[told.clone()], &["Get / 404 0/700"]);
    pairs(&[told.clone().end(End::Closed)], &["Get / 404 0/700"]);
    told.header.answer.bytes = 500;
    pairs(&[told.end(End::Closed)], &["Get / 404 0/244 Closed"]);
}

#[test]
fn what_was_never_answered_has_a_fault_and_no_status() {
    let unanswered =
        || Told::new(&get("/"), b"").with(|h| h.answer = Turn { last: 900, ..Turn::default() });
    let rig = pairs(&[unanswered().end(End::Closed)], &["Get / - 0/0 Closed"]);
    assert_eq!(rig.kept.seen[0].times, (100, 900));
    pairs(&[unanswered().failed(104)], &["Get / - 0/0 Reset"]);
    pairs(&[unanswered().failed(32)], &["Get / - 0/0 Reset"]);
    pairs(&[unanswered().failed(110)], &["Get / - 0/0 Timeout"]);
    pairs(&[unanswered().failed(113)], &["Get / - 0/0 Unreachable"]);
    pairs(&[unanswered().failed(5)], &["Get / - 0/0 Other"]);
    // The request's body was not whole either.
    let ask = b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc";
    pairs(&[Told::new(ask, b"").end(End::Closed)], &["Post / - 3/0 Closed"]);
    // An answer that had only begun keeps what status it had.
    pairs(&[Told::new(&get("/"), b"HTTP/1.1 50").end(End::Closed)], &["Get / - 0/0 Closed"]);
    pairs(&[Told::new(&get("/"), b"HTTP/1.1 503 B").failed(104)], &["Get / 503 0/0 Reset"]);
}

#[test]
fn the_byte_a_fin_counts_is_none() {
    let fin = |told: Told| told.end(End::Closed).with(|h| h.answer.bytes += 1);
    pairs(&[fin(Told::new(&get("/"), OK))], &["Get / 200 0/2"]);
    pairs(&[fin(Told::new(&get("/"), b"HTTP/1.0 200 OK\r\n\r\nabc"))], &["Get / 200 0/3"]);
    let fin = |told: Told| told.end(End::Closed).with(|h| h.ask.bytes += 1);
    pairs(&[fin(Told::new(&get("/"), OK))], &["Get / 200 0/2"]);
    let mut line = Line::default();
    line.ask(&get("/"));
    line.answer(OK);
    line.silent(0, 1);
    line.silent(1, 1);
    line.close(0);
    assert_eq!(line.rig.kept.lines(), ["Get / 200 0/2"]);
}

#[test]
fn noise_is_counted_and_never_an_exchange() {
    let check = |told: Told, count: Count| {
        let rig = pairs(&[told], &[]);
        assert_eq!(rig.http.counters().get(count), 1, "{:?}", rig.http.counters());
    };
    check(Told::new(b"\x16\x03\x01\x02\x00", b"").end(End::Closed), Count::Unparsed);
    check(Told::new(b"GET /\r\n", b"").end(End::Closed), Count::Unparsed);
    check(Told::new(b"GET /half", b"").end(End::Closed), Count::Unparsed);
    check(Told::new(b"", OK), Count::Unasked);
    check(Told::new(b"", OK).with(|h| h.flags |= flag::LATE), Count::Late);
    check(Told::new(b"rest of a body", OK).with(|h| h.flags |= flag::LATE), Count::Late);
    check(Told::new(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\x04\0"), Count::Http2);
}

#[test]
fn noise_that_is_answered_is_a_request_of_which_nothing_is_known() {
    let bad = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    pairs(&[Told::new(b"\x16\x03\x01\x02\x00", bad).end(End::Closed)], &["Other  400 0/0"]);
    pairs(&[Told::new(b"GET /\r\n", bad).end(End::Closed)], &["Get  400 0/0"]);
    pairs(
        &[Told::new(b"GET / HTTP/1.1\r\nbad line\r\n\r\n", bad).end(End::Closed)],
        &["Get / 400 0/0"],
    );
    pairs(&[Told::new(b"GET /half", bad).end(End::Closed)], &["Get  400 0/0"]);
}

#[test]
fn an_early_answer_leaves_the_rest_of_the_body_to_the_next_pair() {
    let ask = b"POST /up HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc";
    let len = ask.len() as u64;
    let rest = |ask: &[u8], answer: &[u8]| {
        Told::new(ask, answer).at(1, 2).with(|h| {
            h.ask.start = len;
            h.answer.start = OK.len() as u64;
        })
    };
    let rig = pairs(
        &[Told::new(ask, OK), rest(b"defghijGET /two HTTP/1.1\r\n\r\n", OK)],
        &["Post /up 200 3/2", "Get /two 200 0/2"],
    );
    assert_eq!(rig.http.held(), (0, 0, 0));
    // The rest of the body is answered by nothing, whatever it looks like.
    let rig =
        pairs(&[Told::new(ask, OK), rest(b"GET / H", b"").end(End::Closed)], &["Post /up 200 3/2"]);
    assert_eq!(rig.http.counters().get(Count::Continued), 1);
}

#[test]
fn an_unseen_answer_has_no_status_and_no_fault() {
    let mut told = Told::new(&get("/"), OK);
    told.answer.clear();
    told.header.tail_len = 0;
    let rig = pairs(&[told.clone()], &["Get / - 0/40"]);
    assert_eq!(rig.http.counters().get(Count::StatusUnseen), 1);
    let mut line = Line::default();
    line.ask(&get("/"));
    line.moved(1, b"", 500);
    line.ask(&get("/b"));
    line.answer(OK);
    line.close(0);
    assert_eq!(line.rig.kept.lines(), ["Get / - 0/500", "Get /b 200 0/2"]);
}

#[test]
fn followed_connections_give_their_exchanges_at_once() {
    let (g, a) = (&get("/")[..], &get("/a")[..]);
    calls(&[('>', g), ('<', OK), ('>', a), ('<', OK)], 0, &["Get / 200 0/2", "Get /a 200 0/2"]);
    calls(&[('>', g), ('<', b"HTTP/1.1 103 E\r\n\r\n"), ('<', OK)], 0, &["Get / 200 0/2"]);
    let both = [g, a].concat();
    let oks = [OK, OK].concat();
    calls(&[('>', &both), ('<', &oks)], 0, &["Get / 200 0/2", "Get /a 200 0/2"]);
    calls(&[('>', &both), ('<', OK)], 104, &["Get / 200 0/2", "Get /a - 0/0 Reset"]);
    calls(&[('>', g)], 0, &["Get / - 0/0 Closed"]);
    calls(&[('>', g), ('<', b"HTTP/1.0 200 OK\r\n\r\nabc")], 0, &["Get / 200 0/3"]);
    calls(&[('>', g), ('<', b"HTTP/1.0 200 OK\r\n\r\nabc")], 104, &["Get / 200 0/3 Reset"]);
    let expect = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let go = b"HTTP/1.1 100 Continue\r\n\r\n";
    calls(&[('>', expect), ('<', go), ('>', b"ab"), ('<', OK)], 0, &["Post / 200 2/2"]);
    let line = Line::default();
    assert_eq!(line.rig.http.open(), 0);
}

#[test]
fn upgrades_and_tunnels_end_the_story() {
    let up = b"GET /ws HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let done = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x02hi";
    let line = calls(&[('>', up), ('<', done), ('>', b"GET / x")], 0, &["Get /ws 101 0/0"]);
    assert_eq!(line.rig.kept.verdicts, [(1, Verdict::Off)]);
    let connect = b"CONNECT h:443 HTTP/1.1\r\n\r\n";
    let ok = b"HTTP/1.1 200 Established\r\n\r\n";
    let line =
        calls(&[('>', connect), ('<', ok), ('>', b"\x16\x03\x01")], 0, &["Connect  200 0/0"]);
    assert_eq!(line.rig.kept.verdicts, [(1, Verdict::Off)]);
    let rig = pairs(&[Told::new(connect, ok)], &["Connect  200 0/0"]);
    assert_eq!(rig.kept.verdicts, [(1, Verdict::Off)]);
    let line = calls(&[('>', b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ('<', b"\0\0\0")], 0, &[]);
    assert_eq!(line.rig.kept.verdicts, [(1, Verdict::Off)]);
    assert_eq!(line.rig.http.counters().get(Count::Http2), 1);
}

#[test]
fn a_silent_download_ends_with_its_last_byte() {
    let mut line = Line::default();
    line.ask(&get("/big"));
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    line.answer(&[&head[..], &[b'x'; 4052]].concat());
    line.silent(1, 1_000_000 - 4052);
    let ended = line.time;
    line.time += 5_000;
    line.ask(&get("/next"));
    line.answer(OK);
    assert_eq!(line.rig.kept.lines(), ["Get /big 200 0/1000000", "Get /next 200 0/2"]);
    assert_eq!(line.rig.kept.seen[0].times.1, ended);
}

#[test]
fn a_claim_ahead_of_its_record_loses_no_head() {
    // Two threads: the answer's record is written after the next ask's, which tells of it already.
    let mut line = Line::default();
    line.ask(&get("/"));
    let at = line.at;
    line.at[1] += OK.len() as u64;
    line.ask(&get("/two"));
    line.at[1] = at[1];
    line.answer(OK);
    line.answer(OK);
    assert_eq!(line.rig.kept.lines(), ["Get / 200 0/2", "Get /two 200 0/2"]);
}

#[test]
fn heads_may_be_long_and_longer() {
    let long = |n: usize| {
        format!("GET /l HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "y".repeat(n)).into_bytes()
    };
    for size in [600, 5000, 60_000] {
        let ask = long(size);
        let mut line = Line::default();
        for part in ask.chunks(4096) {
            line.ask(part);
        }
        line.answer(OK);
        assert_eq!(line.rig.kept.lines(), ["Get /l 200 0/2"]);
    }
    let mut line = Line::default();
    for part in long(70_000).chunks(1000) {
        line.ask(part);
    }
    line.answer(OK);
    line.ask(&get("/b"));
    line.answer(OK);
    assert_eq!(line.rig.http.counters().get(Count::HeadTooLong), 1);
    assert_eq!(line.rig.kept.seen.len(), 2);
    assert_eq!(line.rig.kept.seen[1].line(), "Get /b 200 0/2");
}

#[test]
fn a_handover_goes_on_where_the_pair_stopped() {
    let ask = format!("GET /h HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(700)).into_bytes();
    let mut line = Line::default();
    line.rig.pair(&Told::new(&ask, b"").end(End::Handover).with(|h| h.ask.start = 1000));
    line.at[0] += 512;
    line.ask(&ask[512..]);
    line.answer(OK);
    line.close(0);
    assert_eq!(line.rig.kept.lines(), ["Get /h 200 0/2"]);
    let mut line = Line::default();
    let go = b"HTTP/1.1 100 Continue\r\n\r\n";
    let ask = b"POST /h HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
    line.rig.pair(&Told::new(ask, go).end(End::Handover));
    line.at = [ask.len() as u64, go.len() as u64];
    line.ask(b"abc");
    line.answer(OK);
    assert_eq!(line.rig.kept.lines(), ["Post /h 200 3/2"]);
}

#[test]
fn smuggling_shapes_are_counted_and_encoding_wins() {
    let ask = b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let line = calls(&[('>', ask), ('<', OK)], 0, &["Post / 200 11/2"]);
    assert_eq!(line.rig.http.counters().get(Count::BothFramings), 1);
    let ask = b"POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd";
    let line = calls(
        &[('>', ask), ('<', OK), ('>', &get("/b")), ('<', OK)],
        0,
        &["Post / 200 4/2", "Get /b 200 0/2"],
    );
    assert_eq!(line.rig.http.counters().get(Count::BadLength), 1);
}

#[test]
fn a_lost_record_loses_what_it_held_and_no_more() {
    let ask = b"POST /up HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc";
    pairs(
        &[Told::new(ask, OK), Told::new(&get("/c"), OK).at(1, 3).with(|h| h.ask.start = 900)],
        &["Post /up 200 3/2", "Get /c 200 0/2"],
    );
    // Segments lost in the middle of pipelined answers: no answer is given to the wrong request.
    let mut line = Line::default();
    line.ask(&[get("/1"), get("/2"), get("/3")].concat());
    line.answer(OK);
    line.moved(1, b"", OK.len() as u64);
    line.answer(OK);
    line.ask(&get("/4"));
    line.answer(OK);
    line.close(0);
    assert_eq!(line.rig.kept.lines(), ["Get /1 200 0/2", "Get /4 200 0/2"]);
    assert_eq!(line.rig.http.counters().get(Count::LostGap), 2);
    line.rig.check_sums();
}

#[test]
fn the_next_connection_inherits_nothing() {
    let mut told = Vec::new();
    for conn in 0..20 {
        told.push(Told::new(&get("/d"), b"").at(conn, 1).end(End::Closed));
    }
    for conn in 20..40 {
        told.push(
            Told::new(&get("/a"), OK).at(conn, 1).with(|h| (h.ask.first, h.ask.last) = (125, 125)),
        );
    }
    let mut rig = Rig::default();
    told.iter().for_each(|one| rig.pair(one));
    assert_eq!(rig.kept.seen.len(), 40);
    assert!(rig.kept.seen[20..].iter().all(|seen| seen.times == (125, 130)));
}
