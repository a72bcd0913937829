//! What sweeps report, remember and forget.

use super::*;
use crate::protocol::Wanted;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const ASK: &[u8] = b"GET /s HTTP/1.1\r\nHost: h:81\r\n\r\n";
const SECOND: u64 = 1_000_000_000;

fn sweep(rig: &mut Rig, now: u64, told: &[Told]) {
    rig.http.begin_sweep(Timestamp(now));
    for one in told {
        rig.pair(&one.clone().end(End::Swept));
    }
    rig.http.end_sweep(&mut rig.kept);
    rig.check_sums();
}

#[test]
fn a_whole_exchange_is_reported_once_by_whichever_comes_first() {
    for end in [End::Next, End::Closed] {
        let (mut rig, told) = (Rig::default(), Told::new(ASK, OK));
        for now in 1..4 {
            sweep(&mut rig, now * SECOND, std::slice::from_ref(&told));
            assert_eq!(rig.kept.lines(), ["Get /s 200 0/2"]);
        }
        rig.pair(&told.clone().end(end));
        assert_eq!(rig.kept.lines(), ["Get /s 200 0/2"]);
        assert_eq!(rig.http.counters().get(Count::Reported), 1);
        assert_eq!(rig.http.held(), (0, 0, 0));
        rig.pair(&told.at(1, 2).end(end));
        assert_eq!(rig.kept.seen.len(), 2);
    }
}

#[test]
fn records_on_their_way_are_not_taken_for_the_reported_one() {
    // The sweep saw exchange 6; the record of exchange 5 is read after it.
    let mut rig = Rig::default();
    sweep(&mut rig, SECOND, &[Told::new(ASK, OK).at(1, 6)]);
    rig.pair(&Told::new(ASK, OK).at(1, 5));
    rig.pair(&Told::new(ASK, OK).at(1, 6));
    assert_eq!(rig.kept.seen.len(), 2);
    // Exchange 5 was reported, and the next sweep sees 6 before the record of 5 is read.
    let mut rig = Rig::default();
    sweep(&mut rig, SECOND, &[Told::new(ASK, OK).at(1, 5)]);
    sweep(&mut rig, 2 * SECOND, &[Told::new(ASK, OK).at(1, 6)]);
    rig.pair(&Told::new(ASK, OK).at(1, 5));
    rig.pair(&Told::new(ASK, OK).at(1, 6));
    assert_eq!(rig.kept.seen.len(), 2);
    // The record of the reported one was lost.
    let mut rig = Rig::default();
    sweep(&mut rig, SECOND, &[Told::new(ASK, OK).at(1, 5)]);
    rig.pair(&Told::new(ASK, OK).at(1, 6));
    assert_eq!((rig.kept.seen.len(), rig.http.held().1), (2, 0));
}

#[test]
fn an_answer_whose_end_is_unknown_is_whole_when_it_stands_still() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n";
    let told = |bytes: u64| {
        let answer = [&head[..], &[b'x'; 300]].concat();
        Told::new(ASK, &answer).with(|h| (h.answer.bytes, h.tail_len) = (bytes, 0))
    };
    let mut rig = Rig::default();
    sweep(&mut rig, SECOND, &[told(400)]);
    assert_eq!((rig.kept.seen.len(), rig.http.in_flight().count()), (0, 1));
    sweep(&mut rig, 2 * SECOND, &[told(500)]);
    sweep(&mut rig, 2 * SECOND + 1, &[told(500)]);
    assert_eq!((rig.kept.seen.len(), rig.http.in_flight().count()), (0, 1));
    sweep(&mut rig, 3 * SECOND, &[told(500)]);
    assert_eq!((rig.kept.seen.len(), rig.http.in_flight().count()), (1, 0));
    rig.pair(&told(500));
    assert_eq!(rig.kept.seen.len(), 1);
    // One that was only watched is reported by its own record.
    let mut rig = Rig::default();
    sweep(&mut rig, SECOND, &[told(400)]);
    rig.pair(&told(500));
    assert_eq!((rig.kept.seen.len(), rig.http.held().1), (1, 0));
}

#[test]
fn without_room_to_remember_nothing_is_reported_early() {
    let limits = Limits { swept: 2, ..Limits::default() };
    let mut rig = Rig { http: Http1::new(limits), ..Rig::default() };
    let told: Vec<Told> = (1..=5).map(|conn| Told::new(ASK, OK).at(conn, 1)).collect();
    sweep(&mut rig, SECOND, &told);
    assert_eq!(rig.kept.seen.len(), 2);
    assert_eq!(rig.http.counters().get(Count::SweepFull), 3);
    for one in &told {
        rig.pair(one);
    }
    assert_eq!((rig.kept.seen.len(), rig.http.held().1), (5, 0));
}

#[test]
fn what_two_sweeps_do_not_show_is_forgotten() {
    let mut rig = Rig::default();
    sweep(&mut rig, SECOND, &[Told::new(ASK, OK)]);
    sweep(&mut rig, 2 * SECOND, &[]);
    assert_eq!(rig.http.held().1, 1);
    sweep(&mut rig, 3 * SECOND, &[]);
    assert_eq!(rig.http.held().1, 0);
    // A followed connection whose end was lost, and one that sweeps do not reach.
    let mut line = Line::default();
    line.ask(ASK);
    sweep(&mut line.rig, SECOND, &[]);
    sweep(&mut line.rig, 2 * SECOND, &[]);
    assert_eq!(line.rig.http.open(), 1);
    line.rig.http.begin_sweep(Timestamp(3 * SECOND));
    line.progress();
    line.rig.http.end_sweep(&mut line.rig.kept);
    for (now, open) in [(4, 1), (5, 0)] {
        sweep(&mut line.rig, now * SECOND, &[]);
        assert_eq!(
            (line.rig.http.open(), line.rig.http.in_flight().count()),
            (open, open as usize)
        );
    }
    assert_eq!(line.rig.http.counters().get(Count::LostVanished), 1);
}

#[test]
fn requests_in_flight_and_open_connections_are_shown() {
    let mut rig = Rig::default();
    let client = |h: &mut record::Pair| h.flags &= !flag::SERVER;
    let told = [
        Told::new(ASK, b"").at(1, 1),
        Told::new(ASK, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab").at(2, 1).with(client),
        Told::new(ASK, OK).at(3, 1).with(client),
    ];
    sweep(&mut rig, SECOND, &told);
    let flying: Vec<_> =
        rig.http.in_flight().map(|f| (f.conn.0, f.role, f.since.0, f.port)).collect();
    assert_eq!(flying, [(1, Role::Server, 100, Some(81)), (2, Role::Client, 100, Some(81))]);
    let open: Vec<_> =
        rig.http.connections().map(|c| (c.conn.0, c.active, c.host.as_deref())).collect();
    assert_eq!(open, [(2, true, Some("h")), (3, false, Some("h"))]);
    sweep(&mut rig, 2 * SECOND, &[]);
    assert_eq!(rig.http.in_flight().count() + rig.http.connections().count(), 0);
}

#[test]
fn progress_ends_a_download_nothing_follows() {
    let mut line = Line::default();
    let progress = |line: &mut Line, now: u64| {
        line.rig.http.begin_sweep(Timestamp(now));
        line.progress();
        line.rig.http.end_sweep(&mut line.rig.kept);
        line.rig.kept.lines()
    };
    line.ask(ASK);
    line.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n");
    line.silent(1, 9000);
    let ended = line.time;
    assert_eq!(progress(&mut line, SECOND).len(), 0);
    assert_eq!(progress(&mut line, 2 * SECOND), ["Get /s 200 0/9000"]);
    assert_eq!(line.rig.kept.seen[0].times.1, ended);
    // Chunks whose framing was not carried: whole once it stands still.
    line.ask(ASK);
    line.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    line.silent(1, 9000);
    assert_eq!(progress(&mut line, 3 * SECOND).len(), 1);
    line.silent(1, 10);
    assert_eq!(progress(&mut line, 4 * SECOND).len(), 1);
    assert_eq!(progress(&mut line, 4 * SECOND + 5).len(), 1);
    assert_eq!(progress(&mut line, 5 * SECOND).len(), 2);
    assert_eq!(line.rig.kept.seen[1].line(), "Get /s 200 0/9010");
    line.rig.check_sums();
}

#[test]
fn a_sweep_takes_nothing_from_a_record_on_its_way() {
    let mut line = Line::default();
    line.ask(ASK);
    line.rig.http.begin_sweep(Timestamp(SECOND));
    let mut ahead = line.state(8, 0);
    ahead.end[1] += OK.len() as u64;
    line.rig.http.event(&Event::Progress(&ahead), &mut line.rig.kept);
    line.rig.http.end_sweep(&mut line.rig.kept);
    line.answer(OK);
    assert_eq!(line.rig.kept.lines(), ["Get /s 200 0/2"]);
}

#[test]
fn an_idle_upload_by_chunks_is_reported_by_a_sweep() {
    let ask = [
        &b"PUT /u HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n"[..],
        &b"1111\r\n4\r\n".repeat(99),
    ]
    .concat();
    let mut rig = Rig::default();
    rig.pair(&Told::new(&ask, OK));
    sweep(&mut rig, SECOND, &[Told::new(&ask, OK).at(1, 2)]);
    assert_eq!(rig.kept.seen.len(), 2);
    rig.pair(&Told::new(&ask, OK).at(1, 2).end(End::Closed));
    assert_eq!(rig.kept.seen.len(), 2);
}

#[test]
fn a_unix_socket_that_is_gone_has_closed() {
    const UNTIL_CLOSE: &[u8] = b"HTTP/1.0 200 OK\r\n\r\nall there is";
    let mut line = Line { flags: flag::SERVER | flag::UNIX, ..Line::default() };
    line.ask(ASK);
    line.answer(UNTIL_CLOSE);
    for now in 1..4 {
        sweep(&mut line.rig, now * SECOND, &[]);
    }
    assert_eq!(line.rig.kept.lines(), ["Get /s 200 0/12"]);
    assert_eq!(line.rig.http.counters().lost(), 0);
}

#[test]
fn a_request_that_hangs_is_in_flight_for_as_long_as_it_does() {
    let lines = Some(Wanted { bytes: 100, more: &["host"] });
    let limits = Limits { lines, ..Limits::default() };
    let mut rig = Rig { http: Http1::new(limits), ..Rig::default() };
    let told = Told::new(ASK, b"");
    let bare = |seq| Told::new(b"", b"").at(1, seq);
    sweep(&mut rig, SECOND, &[told.clone().at(1, 3)]);
    for now in 2..9 {
        // Its head does not come along while nothing moves.
        sweep(&mut rig, now * SECOND, &[bare(3)]);
        let [hanging] = rig.http.in_flight().collect::<Vec<_>>()[..] else { panic!("one") };
        let exchange = hanging.exchange(Timestamp(now * SECOND));
        assert_eq!((exchange.path, exchange.ended), ("/s", Timestamp(now * SECOND)));
        assert_eq!(exchange.lines.headers().collect::<Vec<_>>(), [(&b"Host"[..], &b"h:81"[..])]);
    }
    // Another one that was never seen with its head, and none at all.
    sweep(&mut rig, 9 * SECOND, &[bare(4)]);
    assert_eq!(rig.http.in_flight().count(), 0);
    sweep(&mut rig, 10 * SECOND, &[bare(3)]);
    assert_eq!(rig.http.in_flight().count(), 0);
}
