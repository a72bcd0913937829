//! What is written is read again, less what must not be kept; what is broken is refused.

use agent_common::limit::EXEC_ENV;
use agent_common::record::{self, Kind, Turn, flag};
use proptest::prelude::*;
use zerocopy::IntoBytes;

use super::note::Note;
use super::redact::Redactor;
use super::*;
use crate::event::{Event, Nanos, Pid, decode};
use crate::host::{Cgroup, Facts, Process, Processes, Ticks, Toolchain, Unread};
use crate::metric::snapshot::WallTime;

fn header() -> Header {
    Header {
        machine: Machine {
            id: "3d1219c7c4c5404aaa1f6d2a48adfda4".to_owned(),
            name: "node-7".to_owned(),
            arch: "amd64".to_owned(),
            kernel: "6.12.1".to_owned(),
            boot: "b".to_owned(),
        },
        anchor: Anchor { monotonic: Timestamp(1), boot: Nanos(2), wall: WallTime(3) },
    }
}

fn exit(tgid: u32) -> Vec<u8> {
    let exit = record::Exit { kind: Kind::Exit as u8, tgid, ..record::Exit::default() };
    exit.as_bytes().to_vec()
}

fn pair(ask: &[u8], answer: &[u8]) -> Vec<u8> {
    let len = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap();
    let pair = record::Pair {
        kind: Kind::Pair as u8,
        flags: flag::SERVER,
        ask_head: len(ask),
        answer_head: len(answer),
        conn: 7,
        ask: Turn { start: 100, ..Turn::default() },
        ..record::Pair::default()
    };
    [pair.as_bytes(), ask, answer].concat()
}

fn segment(start: u64, flags: u8, data: &[u8]) -> Vec<u8> {
    let segment = record::Segment {
        kind: Kind::Segment as u8,
        flags,
        len: u16::try_from(data.len()).unwrap(),
        conn: 7,
        start,
        end: start + data.len() as u64,
        ..record::Segment::default()
    };
    [segment.as_bytes(), data].concat()
}

fn exec(args: &[u8], env: &[u8]) -> Vec<u8> {
    let exec = record::Exec {
        kind: Kind::Exec as u8,
        args: u16::try_from(args.len()).unwrap(),
        env: u16::try_from(env.len()).unwrap(),
        ..record::Exec::default()
    };
    [exec.as_bytes(), args, env].concat()
}

fn batch(records: &[Vec<u8>]) -> Batch {
    let mut batch = Batch::default();
    for record in records {
        batch.push(record);
    }
    batch
}

fn process(pid: u32) -> Process {
    Process {
        pid: Pid(pid),
        parent: Pid(1),
        started: Ticks(5),
        comm: "x".to_owned(),
        exe: Some("/bin/x".to_owned()),
        cwd: None,
        args: b"x\0y\0".to_vec(),
        env: b"SECRET=1\0OTEL_SERVICE_NAME=x\0".to_vec(),
        cgroup: Cgroup {
            path: "/a".to_owned(),
            container: None,
            pod: None,
            unit: Some("a.service".to_owned()),
        },
        toolchain: Toolchain::Go,
    }
}

fn sample() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &header(), u64::MAX).unwrap();
    writer.records(&batch(&[exit(1), exit(2)])).unwrap();
    writer.note(&Note::Process(Pid(1), Ok(Box::new(process(1))))).unwrap();
    writer.note(&Note::Process(Pid(2), Err(Unread::Vanished))).unwrap();
    writer.note(&Note::Cgroup(Pid(3), Ok(process(3).cgroup))).unwrap();
    writer.tick(Timestamp(9)).unwrap();
    writer.rows(Table::COUNTERS, &batch(&[vec![1, 2, 3]])).unwrap();
    writer.note(&Note::Pids(vec![Pid(1), Pid(2)])).unwrap();
    writer.clocks(header().anchor).unwrap();
    writer.records(&Batch::default()).unwrap();
    assert_eq!(writer.counts().records, 3);
    writer.finish().unwrap()
}

/// All steps, and the error that ended them.
fn replayed(bytes: &[u8]) -> (Vec<Step>, Option<Error>) {
    let mut steps = Vec::new();
    let reader = match Reader::open(bytes) {
        Ok(reader) => reader,
        Err(error) => return (steps, Some(error)),
    };
    let mut replay = Replay::new(reader, Recorded::default());
    let mut batch = Batch::default();
    loop {
        match replay.next(&mut batch) {
            Ok(Step::End) => return (steps, None),
            Ok(step) => steps.push(step),
            Err(error) => return (steps, Some(error)),
        }
    }
}

#[test]
fn steps_come_back_with_the_answers_of_their_handling() {
    let bytes = sample();
    let mut facts = Recorded::default();
    let reader = Reader::open(bytes.as_slice()).unwrap();
    assert_eq!(*reader.header(), header());
    let mut replay = Replay::new(reader, facts.clone());
    let mut batch = Batch::default();
    assert_eq!(replay.next(&mut batch).unwrap(), Step::Records);
    assert!(batch.records().eq([exit(1), exit(2)].iter().map(Vec::as_slice)));
    let expect = Process { env: b"OTEL_SERVICE_NAME=x\0".to_vec(), ..process(1) };
    assert_eq!(facts.process(Pid(1)), Ok(expect));
    assert_eq!(facts.process(Pid(1)), Err(Unread::Vanished));
    assert_eq!(facts.process(Pid(2)), Err(Unread::Vanished));
    assert_eq!(facts.cgroup(Pid(3)), Ok(process(3).cgroup));
    assert_eq!(replay.next(&mut batch).unwrap(), Step::Tick(Timestamp(9)));
    assert!(batch.is_empty() && facts.pids(9).is_empty());
    assert_eq!(replay.next(&mut batch).unwrap(), Step::Rows(Table::COUNTERS));
    assert!(batch.records().eq([&[1, 2, 3][..]]));
    assert_eq!(facts.pids(9), [Pid(1), Pid(2)]);
    assert_eq!(replay.next(&mut batch).unwrap(), Step::Clocks(header().anchor));
    assert_eq!(replay.next(&mut batch).unwrap(), Step::Records);
    assert!(batch.is_empty());
    assert_eq!(replay.next(&mut batch).unwrap(), Step::End);
    assert_eq!(replay.next(&mut batch).unwrap(), Step::End);
}

#[test]
fn a_recording_cut_anywhere_gives_what_is_whole_and_says_where_it_ends() {
    let bytes = sample();
    let (whole, error) = replayed(&bytes);
    assert!(error.is_none());
    for cut in 0..bytes.len() {
        let (steps, error) = replayed(&bytes[..cut]);
        assert_eq!(steps, whole[..steps.len()]);
        if let Some(error) = error {
            assert!(error.offset <= cut as u64);
            assert!(matches!(error.what, What::Cut | What::Magic), "{error}");
        }
    }
}

#[test]
fn what_is_no_recording_is_refused_with_its_reason() {
    let good = sample();
    let check = |at: usize, byte: u8, expect: &str| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        let (_, error) = replayed(&bytes);
        assert_eq!(error.unwrap().to_string(), expect);
    };
    check(0, b'X', "this is not a recording of steth (at byte 0 of the recording)");
    check(
        8,
        9,
        "the recording has format 9, this steth reads format 1 (at byte 8 of the recording)",
    );
    check(
        12,
        200,
        &format!(
            "the recording has records of version 200, this steth reads version {} (at byte 12 of the recording)",
            agent_common::ABI_VERSION
        ),
    );
    check(
        16,
        2,
        "the recording has a frame of kind 2 that makes no sense (at byte 16 of the recording)",
    );
    check(
        20,
        0xff,
        &format!(
            "the recording has a frame of {} bytes, 4194304 are the most (at byte 16 of the recording)",
            0xff00_0000_u32 + u32::from_le_bytes([good[17], good[18], good[19], 0])
        ),
    );
    let first = 21 + usize::from(good[17]);
    check(
        first,
        99,
        &format!("the recording has a frame of unknown kind 99 (at byte {first} of the recording)"),
    );
    assert!(matches!(Reader::open(&b""[..]), Err(Error { offset: 0, what: What::Magic })));
}

#[test]
fn environments_keep_nothing_but_what_names_the_service() {
    let mut redaction = redact::Redaction::default();
    let mut out = Vec::new();
    let mut check = |env: &[u8], expect: &[u8]| {
        assert!(redaction.apply(&exec(b"x\0--y\0", env), &mut out));
        let batch = batch(std::slice::from_ref(&out));
        let Ok(Event::Exec(exec)) = decode(batch.records().next().unwrap()) else { panic!() };
        assert_eq!((exec.args, exec.env), (&b"x\0--y\0"[..], expect));
    };
    check(b"PASSWORD=x\0OTEL_SERVICE_NAME=s\0", b"OTEL_SERVICE_NAME=s\0");
    check(b"PASSWORD=x\0", b"");
    check(b"", b"");
    // It still says that it was cut, so that a replay asks what was asked then.
    check(b"OTEL_A=1\0PASSWORD=x", b"OTEL_A=1\0-");
    let mut full = vec![b'p'; EXEC_ENV - 2];
    full.push(0);
    check(&full, b"-");
    assert!(!redaction.apply(&exec(b"", b"")[..20], &mut out));
    assert!(!redaction.apply(b"\xff", &mut out));
    assert!(!redaction.apply(b"", &mut out));
}

const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nAUTHORIZATION : Basic dXNlcg==\r\nCookie:a=1; b=2\r\n\tc=3\r\nX-A: cookie: no\r\n\r\nbody";
const KEPT: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nAUTHORIZATION : ***** ********\r\nCookie:**** ***\r\n\t***\r\nX-A: cookie: no\r\n\r\nbody";

#[test]
fn credentials_in_heads_are_overwritten_in_place() {
    let mut redaction = redact::Redaction::default();
    let mut out = Vec::new();
    let answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: s=1\r\nx-api-key:\r\n\r\n";
    assert!(redaction.apply(&pair(HEAD, answer), &mut out));
    assert_eq!(out, pair(KEPT, b"HTTP/1.1 200 OK\r\nSet-Cookie: ***\r\nx-api-key:\r\n\r\n"));
    assert!(!redaction.apply(&pair(HEAD, answer)[..180], &mut out));
}

#[test]
fn credentials_are_overwritten_wherever_a_head_is_split() {
    for split in 0..=HEAD.len() {
        let (front, back) = HEAD.split_at(split);
        let mut redaction = redact::Redaction::default();
        let mut out = Vec::new();
        let mut got = Vec::new();
        let at = 100 + split as u64;
        for record in [segment(100, flag::TURN, front), segment(at, 0, back)] {
            assert!(redaction.apply(&record, &mut out));
            got.extend_from_slice(&out[size_of::<record::Segment>()..]);
        }
        assert_eq!(got, KEPT, "{split}");
        // The same from a pair that was handed over to segments.
        let mut redaction = redact::Redaction::default();
        assert!(redaction.apply(&pair(front, b""), &mut out));
        assert!(redaction.apply(&segment(at, 0, back), &mut out));
        assert_eq!(&out[size_of::<record::Segment>()..], &KEPT[split..], "{split}");
    }
}

#[test]
fn behind_a_gap_the_rest_of_a_line_may_be_a_credential() {
    let check = |front: &[u8], back: &[u8], expect: &[u8]| {
        let (mut front, mut back) = (front.to_vec(), back.to_vec());
        let mut redactor = Redactor::new(0);
        redactor.pass(0, &mut front);
        redactor.pass(1000, &mut back);
        assert_eq!(back, expect);
    };
    check(b"GET / HTTP/1.1\r\nHo", b"cret\r\nA: b\r\n", b"****\r\nA: b\r\n");
    check(b"HTTP/1.1 200 OK\r\n\r\nbo", b"dy\r\nmore", b"dy\r\nmore");
    let mut redaction = redact::Redaction::default();
    let mut out = Vec::new();
    assert!(redaction.apply(&segment(5, 0, b"unknown\nA: b"), &mut out));
    assert_eq!(&out[size_of::<record::Segment>()..], b"*******\nA: b");
}

#[test]
fn a_recording_stops_at_its_limit() {
    let mut writer = Writer::new(Vec::new(), &header(), 4096).unwrap();
    for i in 0..1000 {
        writer.records(&batch(&[exit(i)])).unwrap();
    }
    let counts = writer.counts();
    let bytes = writer.finish().unwrap();
    assert_eq!(bytes.len() as u64, counts.bytes);
    assert!(counts.bytes <= 4096 && counts.left_out > 0);
    let (steps, error) = replayed(&bytes);
    assert_eq!(steps.len() as u64 + counts.left_out, 1000);
    assert!(error.is_none());
}

#[test]
fn large_batches_are_written_in_several_frames() {
    let mut writer = Writer::new(Vec::new(), &header(), u64::MAX).unwrap();
    let record = segment(0, flag::TURN, &vec![b'x'; 60_000]);
    writer.records(&batch(&vec![record; 200])).unwrap();
    let bytes = writer.finish().unwrap();
    let (steps, error) = replayed(&bytes);
    assert!(error.is_none());
    assert_eq!(steps, [Step::Records; 3]);
}

#[test]
fn answers_of_proc_are_taken_down() {
    let notes = Notes::default();
    let mut facts = Noted::new(Processes::new(crate::host::HostRoot::new("/")), notes.clone());
    let own = Pid(std::process::id());
    let process = facts.process(own).unwrap();
    let gone = facts.process(Pid(u32::MAX));
    let mut recorded = Recorded::default();
    for note in notes.take() {
        let mut put = wire::Put::default();
        note.put(&mut put);
        recorded.add(Note::take(&put.0).unwrap());
    }
    assert_eq!(recorded.process(own), Ok(process));
    assert_eq!(recorded.process(Pid(u32::MAX)), gone);
    assert!(notes.take().is_empty());
    for _ in 0..100_000 {
        let _ = facts.process(Pid(u32::MAX));
    }
    assert_eq!(notes.take().len() as u64 + notes.left_out(), 100_000);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(noise in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..400) {
        replayed(&noise);
        let mut bytes = sample();
        let at = at.min(bytes.len());
        bytes.splice(at..(at + noise.len()).min(bytes.len()), noise.iter().copied());
        replayed(&bytes);
        let mut redaction = redact::Redaction::default();
        let mut out = Vec::new();
        for kind in 0..10 {
            let mut record = noise.clone();
            if let Some(first) = record.first_mut() {
                *first = kind;
            }
            redaction.apply(&record, &mut out);
        }
    }

    #[test]
    fn any_cutting_of_a_head_is_redacted_alike(cuts in proptest::collection::vec(0usize..HEAD.len(), 0..12)) {
        let mut cuts = cuts;
        cuts.extend([0, HEAD.len()]);
        cuts.sort_unstable();
        let mut bytes = HEAD.to_vec();
        let mut redactor = Redactor::new(50);
        for pair in cuts.windows(2) {
            redactor.pass(50 + pair[0] as u64, &mut bytes[pair[0]..pair[1]]);
        }
        prop_assert_eq!(bytes, KEPT);
    }
}

#[test]
fn an_anonymous_copy_keeps_the_traffic_and_not_the_people() {
    let process = |pid| {
        Box::new(Process {
            pid: Pid(pid),
            exe: Some("/home/ann/bin/tool".to_owned()),
            cwd: Some("/home/ann".to_owned()),
            args: b"/home/ann/bin/tool --token\0abc\0".to_vec(),
            env: b"OTEL_RESOURCE_ATTRIBUTES=who=ann\0OTEL_SERVICE_NAME=shop\0".to_vec(),
            cgroup: Cgroup { path: "/user.slice/ann".to_owned(), ..Cgroup::default() },
            ..Process::default()
        })
    };
    let asked = |pid: u32| {
        let mut pair = pair(b"GET / HTTP/1.1\r\n\r\n", b"");
        let at = std::mem::offset_of!(record::Pair, ask_tgid);
        pair[at..at + 4].copy_from_slice(&pid.to_ne_bytes());
        pair
    };
    let executed = |pid: u32| {
        let mut exec = exec(b"tool\0--token\0abc\0", b"OTEL_SERVICE_NAME=shop\0");
        let at = std::mem::offset_of!(record::Exec, tgid);
        exec[at..at + 4].copy_from_slice(&pid.to_ne_bytes());
        exec
    };
    let mut writer = Writer::new(Vec::new(), &header(), u64::MAX).unwrap();
    let mut batch = Batch::default();
    for record in [executed(7), executed(8), asked(7), exit(8), exit(7)] {
        batch.push(&record);
    }
    writer.records(&batch).unwrap();
    writer.note(&Note::Process(Pid(7), Ok(process(7)))).unwrap();
    writer.note(&Note::Process(Pid(8), Ok(process(8)))).unwrap();
    writer.note(&Note::Pids(vec![Pid(7), Pid(8)])).unwrap();
    writer.tick(Timestamp(5)).unwrap();
    let whole = writer.finish().unwrap();

    let (counts, _) = anonymise(std::io::Cursor::new(&whole), Vec::new(), u64::MAX).unwrap();
    assert_eq!(counts.records, 3);
    let mut copy = Vec::new();
    anonymise(std::io::Cursor::new(&whole), &mut copy, u64::MAX).unwrap();
    let recorded = Recorded::default();
    let mut replay = Replay::new(Reader::open(&*copy).unwrap(), recorded.clone());
    let told = replay.header().clone();
    assert_eq!((&*told.machine.name, &*told.machine.id, &*told.machine.boot), ("host", "", ""));
    assert_eq!(told.anchor, header().anchor);
    assert_eq!(replay.next(&mut batch).unwrap(), Step::Records);
    let found: Vec<Vec<u8>> = batch.records().map(<[u8]>::to_vec).collect();
    assert_eq!(found[1..], [asked(7), exit(7)]);
    let Ok(Event::Exec(exec)) = decode(&found[0]) else { panic!("no exec") };
    assert_eq!((exec.args, exec.env), (&b"tool\0"[..], &b"OTEL_SERVICE_NAME=shop\0"[..]));
    assert_eq!(recorded.clone().pids(9), [Pid(7)]);
    let expect = Process {
        pid: Pid(7),
        exe: Some("tool".to_owned()),
        args: b"tool\0".to_vec(),
        env: b"OTEL_SERVICE_NAME=shop\0".to_vec(),
        ..Process::default()
    };
    assert_eq!(recorded.clone().process(Pid(7)), Ok(expect));
    assert_eq!(recorded.clone().process(Pid(8)), Err(Unread::Vanished));
    assert_eq!(replay.next(&mut batch).unwrap(), Step::Tick(Timestamp(5)));
    assert_eq!(replay.next(&mut batch).unwrap(), Step::End);
    for leak in ["ann", "node-7", "token", "slice"] {
        assert!(!String::from_utf8_lossy(&copy).contains(leak), "{leak}");
    }
}
