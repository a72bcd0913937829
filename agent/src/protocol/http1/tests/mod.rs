//! Tests of the HTTP/1 stage: connections written as text, delivered as pairs or segments.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of these tests are small")]

mod cases;
mod conformance;
mod hostile;
mod property;
mod sweeps;

use agent_common::record;

use super::{Count, Http1, Limits};
use crate::event::{
    ConnId, Direction, End, Event, Pair, Peer, Segment, Timestamp, Turn, Why, flag,
};
use crate::protocol::{Exchange, Fault, Method, Role, Sink, Verdict};

/// What a sink was told of an exchange, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) conn: u64,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) authority: Option<(String, Option<u16>)>,
    pub(super) status: Option<u16>,
    pub(super) fault: Option<Fault>,
    pub(super) times: (u64, u64),
    pub(super) sizes: (u64, u64),
    pub(super) role: Role,
    pub(super) pid: u32,
}

impl Seen {
    /// One line, for tables of cases.
    pub(super) fn line(&self) -> String {
        let status = self.status.map_or("-".to_owned(), |status| status.to_string());
        let fault = self.fault.map_or(String::new(), |fault| format!(" {fault:?}"));
        format!("{:?} {} {status} {}/{}{fault}", self.method, self.path, self.sizes.0, self.sizes.1)
    }
}

/// A sink that keeps everything.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) seen: Vec<Seen>,
    pub(super) verdicts: Vec<(u64, Verdict)>,
}

impl Sink for Kept {
    fn exchange(&mut self, e: &Exchange<'_>) {
        assert!(e.begun <= e.ended);
        self.seen.push(Seen {
            conn: e.conn.0,
            method: e.method,
            path: e.path.to_owned(),
            authority: e.authority.map(|a| (a.host.to_owned(), a.port)),
            status: e.status,
            fault: e.fault,
            times: (e.begun.0, e.ended.0),
            sizes: (e.request_body, e.response_body),
            role: e.role,
            pid: e.pid.0,
        });
    }

    fn verdict(&mut self, conn: ConnId, verdict: Verdict) {
        self.verdicts.push((conn.0, verdict));
    }
}

impl Kept {
    pub(super) fn lines(&self) -> Vec<String> {
        self.seen.iter().map(Seen::line).collect()
    }
}

/// A pair as the kernel side would write it.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) header: record::Pair,
    pub(super) end: End,
    pub(super) ask: Vec<u8>,
    pub(super) answer: Vec<u8>,
}

impl Told {
    /// A server's pair with all bytes of both turns; heads and tail as the kernel keeps them.
    pub(super) fn new(ask: &[u8], answer: &[u8]) -> Self {
        let tail = &answer[answer.len().saturating_sub(8)..];
        let mut header = record::Pair {
            kind: 1,
            flags: flag::SERVER | if answer.is_empty() { 0 } else { flag::ANSWERED },
            tail_len: tail.len() as u8,
            conn: 1,
            seq: 1,
            ask_tgid: 7,
            answer_tgid: 7,
            ask: Turn { start: 0, bytes: ask.len() as u64, first: 100, last: 110 },
            answer: Turn { start: 0, bytes: answer.len() as u64, first: 120, last: 130 },
            ..record::Pair::default()
        };
        header.tail[8 - tail.len()..].copy_from_slice(tail);
        Self {
            header,
            end: End::Next,
            ask: ask[..ask.len().min(512)].to_vec(),
            answer: answer[..answer.len().min(256)].to_vec(),
        }
    }

    /// The pair on another connection, at another place, later.
    pub(super) fn at(mut self, conn: u64, seq: u32) -> Self {
        (self.header.conn, self.header.seq) = (conn, seq);
        self
    }

    pub(super) fn end(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    pub(super) fn failed(mut self, errno: u16) -> Self {
        self.header.errno = errno;
        self.end(End::Failed)
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut record::Pair)) -> Self {
        change(&mut self.header);
        self
    }

    pub(super) fn event(&self) -> Event<'_> {
        Event::Pair(Pair {
            header: &self.header,
            end: self.end,
            ask: &self.ask,
            answer: &self.answer,
            why: Why::default(),
        })
    }
}

/// A stage with its sink.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) http: Http1,
    pub(super) kept: Kept,
}

impl Default for Rig {
    fn default() -> Self {
        Self { http: Http1::new(Limits::default()), kept: Kept::default() }
    }
}

impl Rig {
    pub(super) fn pair(&mut self, told: &Told) {
        self.http.event(&told.event(), &mut self.kept);
    }

    pub(super) fn segment(&mut self, header: &record::Segment, data: &[u8]) {
        let direction = if header.direction == 0 { Direction::In } else { Direction::Out };
        let event = Event::Segment(Segment { header, direction, data });
        self.http.event(&event, &mut self.kept);
    }

    pub(super) fn close(&mut self, close: &record::Close) {
        self.http.event(&Event::Close(close), &mut self.kept);
    }

    /// Both sums of the counters.
    pub(super) fn check_sums(&self) {
        let counters = self.http.counters();
        let reported = counters.get(Count::Exchanges);
        assert_eq!(reported, self.kept.seen.len() as u64);
        assert_eq!(counters.get(Count::Requests), reported + counters.lost() + self.http.open());
    }
}

/// A connection told segment by segment, as a server sees it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) rig: Rig,
    pub(super) conn: u64,
    /// Positions: read, written.
    pub(super) at: [u64; 2],
    last: [u64; 2],
    pub(super) time: u64,
    /// The direction that moved last.
    way: Option<u8>,
    pub(super) flags: u8,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            rig: Rig::default(),
            conn: 1,
            at: [1000, 2000],
            last: [0; 2],
            time: 100,
            way: None,
            flags: flag::SERVER,
        }
    }
}

impl Line {
    /// A call in direction `way` (0 read, 1 written) that moved `data` and `more` unseen bytes.
    pub(super) fn moved(&mut self, way: u8, data: &[u8], more: u64) {
        let other = usize::from(1 - way);
        let way_at = usize::from(way);
        let start = self.at[way_at];
        self.time += 10;
        self.at[way_at] += data.len() as u64 + more;
        self.last[way_at] = self.time;
        let turn = if self.way == Some(way) { 0 } else { flag::TURN };
        self.way = Some(way);
        let header = record::Segment {
            kind: 2,
            flags: self.flags | turn,
            direction: way,
            len: data.len() as u16,
            conn: self.conn,
            start,
            end: self.at[way_at],
            time: self.time,
            other_end: self.at[other],
            other_time: self.last[other],
            tgid: 7,
            peer: Peer::default(),
            ..record::Segment::default()
        };
        self.rig.segment(&header, data);
    }

    pub(super) fn ask(&mut self, data: &[u8]) {
        self.moved(0, data, 0);
    }

    pub(super) fn answer(&mut self, data: &[u8]) {
        self.moved(1, data, 0);
    }

    /// Bytes that no record tells of.
    pub(super) fn silent(&mut self, way: usize, bytes: u64) {
        self.time += 10;
        self.at[way] += bytes;
        self.last[way] = self.time;
    }

    pub(super) fn state(&self, kind: u8, errno: u16) -> record::Close {
        record::Close {
            kind,
            flags: self.flags,
            errno,
            tgid: 7,
            conn: self.conn,
            time: self.time,
            end: self.at,
            last: self.last,
        }
    }

    pub(super) fn close(&mut self, errno: u16) {
        self.time += 10;
        let close = self.state(3, errno);
        self.rig.close(&close);
    }

    pub(super) fn progress(&mut self) {
        let state = self.state(8, 0);
        self.rig.http.event(&Event::Progress(&state), &mut self.rig.kept);
    }
}
