//! What must not stand in a recording: credentials in heads, and environments.
//!
//! Values of headers that carry credentials are overwritten by `*` of the same length, so that the
//! framing of what is recorded stays as it was. A head may be cut at any byte into any number of
//! records: the place in the line is kept for each direction of a connection. What cannot be seen here are
//! compressed heads (HTTP/2) and credentials in targets and bodies.

use std::collections::HashMap;

use agent_common::record::{self, Direction, Kind, flag};
use zerocopy::{FromBytes, IntoBytes};

use crate::host::process::otel_only;

/// Headers whose values are overwritten.
const HEADERS: &[&[u8]] = &[
    b"authorization",
    b"cookie",
    b"proxy-authorization",
    b"set-cookie",
    b"x-api-key",
    b"x-auth-token",
];
/// Bytes of the longest of them.
const LONGEST: usize = 24;
/// Directions of connections whose place is kept.
const PLACES: usize = 8192;

/// Where in a line the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a header's name, of which so many bytes were seen, in lower case.
    Name([u8; LONGEST], usize),
    /// In what is left alone, up to the end of the line.
    Plain,
    /// In a value that is overwritten.
    Secret,
    /// Behind the end of a line that was overwritten: a blank would continue it.
    Behind,
}

/// Overwrites credentials in bytes of one direction, piece by piece.
#[derive(Clone, Copy, Debug)]
pub struct Redactor {
    place: Place,
    /// In a head, as far as is known, and not in a body.
    in_head: bool,
    /// Bytes of the line so far, saturating: an empty one ends a head.
    line: u8,
    /// The position behind the last byte.
    end: u64,
}

impl Redactor {
    /// At the first byte of a turn, which has position `start`.
    pub fn new(start: u64) -> Self {
        Self { place: NAME, in_head: true, line: 0, end: start }
    }

    /// Somewhere: what comes first may be the rest of a credential.
    fn lost() -> Self {
        Self { place: Place::Secret, in_head: true, line: 1, end: 0 }
    }

    /// Goes over the bytes at position `start`. Behind a gap in a head, the rest of the line goes too.
    pub fn pass(&mut self, start: u64, bytes: &mut [u8]) {
        if start != self.end && self.in_head {
            (self.place, self.line) = (Place::Secret, 1);
        }
        self.end = start.wrapping_add(bytes.len() as u64);
        for byte in bytes {
            self.place = self.step(byte);
        }
    }

    fn step(&mut self, byte: &mut u8) -> Place {
        if *byte == b'\n' {
            if self.line == 0 {
                self.in_head = false;
            }
            self.line = 0;
            return if self.place == Place::Secret { Place::Behind } else { NAME };
        }
        if *byte != b'\r' {
            self.line = self.line.saturating_add(1);
        }
        let place = match self.place {
            Place::Behind if matches!(*byte, b' ' | b'\t') => Place::Secret,
            Place::Behind => NAME,
            place => place,
        };
        match place {
            Place::Name(name, len) => match *byte {
                b':' => {
                    let name = name.get(..len).unwrap_or_default().trim_ascii();
                    if HEADERS.contains(&name) { Place::Secret } else { Place::Plain }
                }
                _ => longer(name, len, *byte),
            },
            Place::Secret => {
                // A blank in front of the value is the framing's, a return at its end too.
                if !matches!(*byte, b' ' | b'\t' | b'\r') {
                    *byte = b'*';
                }
                Place::Secret
            }
            place => place,
        }
    }
}

const NAME: Place = Place::Name([0; LONGEST], 0);

fn longer(mut name: [u8; LONGEST], len: usize, byte: u8) -> Place {
    match name.get_mut(len) {
        Some(place) => {
            *place = byte.to_ascii_lowercase();
            Place::Name(name, len + 1)
        }
        None => Place::Plain,
    }
}

/// Makes records fit to be kept.
#[derive(Debug, Default)]
pub struct Redaction {
    places: HashMap<(u64, u8), Redactor>,
}

impl Redaction {
    /// The record without what must not be kept. One that makes no sense is left out: `false`.
    pub fn apply(&mut self, record: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        out.extend_from_slice(record);
        match record.first().copied().and_then(Kind::of) {
            Some(Kind::Pair) => self.pair(out).is_some(),
            Some(Kind::Segment) => self.segment(out).is_some(),
            Some(Kind::Exec) => exec(record, out).is_some(),
            Some(Kind::Close) => {
                if let Ok((close, _)) = record::Close::read_from_prefix(record) {
                    self.places.remove(&(close.conn, Direction::In as u8));
                    self.places.remove(&(close.conn, Direction::Out as u8));
                }
                true
            }
            Some(
                Kind::ConnectFailed
                | Kind::Carried
                | Kind::Joint
                | Kind::Fork
                | Kind::Exit
                | Kind::Progress,
            ) => true,
            None => false,
        }
    }

    fn pair(&mut self, out: &mut [u8]) -> Option<()> {
        let (pair, rest) =
            record::Pair::read_from_prefix(out).ok().map(|(pair, rest)| (pair, rest.len()))?;
        let from = out.len().checked_sub(rest)?;
        let (ask, answer) = (usize::from(pair.ask_head), usize::from(pair.answer_head));
        let heads = out.get_mut(from..)?;
        let (ask_head, rest) = heads.split_at_mut_checked(ask)?;
        let (answer_head, _) = rest.split_at_mut_checked(answer)?;
        let is_server = pair.flags & flag::SERVER != 0;
        let (asked, answered) = if is_server { (0, 1) } else { (1, 0) };
        for (direction, turn, head) in
            [(asked, pair.ask, ask_head), (answered, pair.answer, answer_head)]
        {
            let mut redactor = Redactor::new(turn.start);
            redactor.pass(turn.start, head);
            // Segments may follow that go on where the head was cut.
            self.keep(pair.conn, direction, redactor);
        }
        // The record's `tail`, the answer's last eight bytes, is left: they are its framing, and
        // without them a replay could not see the end of a chunked body.
        Some(())
    }

    fn segment(&mut self, out: &mut [u8]) -> Option<()> {
        let (segment, rest) = record::Segment::read_from_prefix(out)
            .ok()
            .map(|(segment, rest)| (segment, rest.len()))?;
        let from = out.len().checked_sub(rest)?;
        let data = out.get_mut(from..)?.get_mut(..usize::from(segment.len))?;
        let key = (segment.conn, segment.direction);
        let mut redactor = if segment.flags & flag::TURN != 0 {
            Redactor::new(segment.start)
        } else {
            self.places.get(&key).copied().unwrap_or_else(Redactor::lost)
        };
        redactor.pass(segment.start, data);
        self.keep(segment.conn, segment.direction, redactor);
        Some(())
    }

    fn keep(&mut self, conn: u64, direction: u8, redactor: Redactor) {
        if self.places.len() >= PLACES && !self.places.contains_key(&(conn, direction)) {
            // Whoever is not known is taken for one in the middle of a credential.
            self.places.clear();
        }
        self.places.insert((conn, direction), redactor);
    }
}

fn exec(record: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (mut header, rest) = record::Exec::read_from_prefix(record).ok()?;
    let (args, rest) = rest.split_at_checked(usize::from(header.args))?;
    let (env, rest) = rest.split_at_checked(usize::from(header.env))?;
    let groups = rest.get(..usize::from(header.groups))?;
    let mut kept = otel_only(env);
    if env.last().is_some_and(|last| *last != 0) || env.len() + 1 >= agent_common::limit::EXEC_ENV {
        // Says still that it was cut: a text without its end.
        kept.push(b'-');
    }
    header.env = u16::try_from(kept.len()).ok()?;
    out.clear();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(args);
    out.extend_from_slice(&kept);
    out.extend_from_slice(groups);
    Some(())
}
