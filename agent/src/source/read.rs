//! Reading a recording, of whatever origin: a clear error with its place, never a panic.

use std::io::{ErrorKind, Read};

use agent_common::ABI_VERSION;

use super::note::{Note, Recorded};
use super::wire::Take;
use super::write::{MAGIC, frame};
use super::{Batch, FORMAT, FRAME, Header, Source, Step, Table};
use crate::event::{Nanos, Timestamp};
use crate::host::{Anchor, Machine};
use crate::metric::snapshot::WallTime;

/// Why a recording could not be read on, and where.
#[derive(Debug, thiserror::Error)]
#[error("{what} (at byte {offset} of the recording)")]
pub struct Error {
    /// Where the piece begins that could not be read.
    pub offset: u64,
    /// What is wrong with it.
    pub what: What,
}

/// What is wrong with a recording.
#[derive(Debug, thiserror::Error)]
pub enum What {
    /// It does not begin as one.
    #[error("this is not a recording of steth")]
    Magic,
    /// Its format is another.
    #[error("the recording has format {0}, this steth reads format {FORMAT}")]
    Format(u32),
    /// Its records mean something else.
    #[error("the recording has records of version {0}, this steth reads version {ABI_VERSION}")]
    Abi(u32),
    /// It ends in the middle of a piece: whoever wrote it was stopped.
    #[error("the recording is cut short")]
    Cut,
    /// A piece of a kind that is not known.
    #[error("the recording has a frame of unknown kind {0}")]
    Kind(u8),
    /// A piece that is longer than any that is written.
    #[error("the recording has a frame of {0} bytes, {FRAME} are the most")]
    Long(u32),
    /// A piece that makes no sense.
    #[error("the recording has a frame of kind {0} that makes no sense")]
    Malformed(u8),
    /// It could not be read.
    #[error("the recording cannot be read: {0}")]
    Read(#[source] std::io::Error),
    /// What is made of it could not be written.
    #[error("the copy cannot be written: {0}")]
    Write(#[source] std::io::Error),
}

/// One piece of a recording.
#[derive(Debug)]
pub(super) enum Frame {
    Step(Step),
    Note(Note),
}

/// Reads pieces in their order.
#[derive(Debug)]
pub struct Reader<R: Read> {
    from: R,
    offset: u64,
    payload: Vec<u8>,
    header: Header,
}

impl<R: Read> Reader<R> {
    /// Begins to read: checks that this is a recording that can be understood.
    pub fn open(from: R) -> Result<Self, Error> {
        let mut reader = Self { from, offset: 0, payload: Vec::new(), header: Header::default() };
        let wrong = |offset, what| Err(Error { offset, what });
        match reader.fill(MAGIC.len()) {
            Ok(()) if reader.payload == MAGIC => {}
            Ok(()) | Err(Error { what: What::Cut, .. }) => return wrong(0, What::Magic),
            Err(error) => return Err(error),
        }
        let format = reader.number()?;
        if format != FORMAT {
            return wrong(8, What::Format(format));
        }
        let abi = reader.number()?;
        if abi != ABI_VERSION {
            return wrong(12, What::Abi(abi));
        }
        let offset = reader.offset;
        match reader.frame()? {
            Some(frame::HEADER) => {}
            Some(kind) => return wrong(offset, What::Malformed(kind)),
            None => return wrong(offset, What::Cut),
        }
        reader.header = header(&reader.payload)
            .ok_or(Error { offset, what: What::Malformed(frame::HEADER) })?;
        Ok(reader)
    }

    /// What the recording says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How far it was read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next piece; records and rows replace what is in `batch`.
    pub(super) fn next(&mut self, batch: &mut Batch) -> Result<Frame, Error> {
        let offset = self.offset;
        let Some(kind) = self.frame()? else { return Ok(Frame::Step(Step::End)) };
        let wrong = |what| Error { offset, what };
        let mut take = Take(&self.payload);
        let found = match kind {
            frame::RECORDS => records(take, batch).map(|()| Frame::Step(Step::Records)),
            frame::ROWS => take.byte().and_then(|table| {
                records(take, batch)?;
                Some(Frame::Step(Step::Rows(Table(table))))
            }),
            frame::TICK => {
                take.long().and_then(|now| take.end(Frame::Step(Step::Tick(Timestamp(now)))))
            }
            frame::CLOCKS => take_anchor(&mut take)
                .and_then(|anchor| take.end(Frame::Step(Step::Clocks(anchor)))),
            frame::NOTE => Note::take(&self.payload).map(Frame::Note),
            kind => return Err(wrong(What::Kind(kind))),
        };
        found.ok_or(wrong(What::Malformed(kind)))
    }

    /// The kind of the next frame, its payload read; `None` at the end.
    fn frame(&mut self) -> Result<Option<u8>, Error> {
        let offset = self.offset;
        let mut kind = [0];
        loop {
            match self.from.read(&mut kind) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error { offset, what: What::Read(error) }),
            }
        }
        self.offset += 1;
        let [kind] = kind;
        let here = |mut error: Error| {
            error.offset = offset;
            error
        };
        let len = self.number().map_err(here)?;
        match usize::try_from(len) {
            Ok(len) if len <= FRAME => self.fill(len).map_err(here)?,
            _ => return Err(Error { offset, what: What::Long(len) }),
        }
        Ok(Some(kind))
    }

    fn number(&mut self) -> Result<u32, Error> {
        self.fill(4)?;
        let bytes = self.payload.first_chunk().copied().unwrap_or_default();
        Ok(u32::from_le_bytes(bytes))
    }

    /// Reads so many bytes; memory grows with what comes, not with what is promised.
    fn fill(&mut self, len: usize) -> Result<(), Error> {
        self.payload.clear();
        let offset = self.offset;
        let read = (&mut self.from)
            .take(len as u64)
            .read_to_end(&mut self.payload)
            .map_err(|error| Error { offset, what: What::Read(error) })?;
        if read < len {
            return Err(Error { offset, what: What::Cut });
        }
        self.offset += read as u64;
        Ok(())
    }
}

fn records(mut take: Take<'_>, batch: &mut Batch) -> Option<()> {
    batch.clear();
    while !take.0.is_empty() {
        batch.push(take.bytes()?);
    }
    Some(())
}

fn header(payload: &[u8]) -> Option<Header> {
    let mut take = Take(payload);
    let kernel = take.text()?;
    let machine = Machine {
        id: take.text()?,
        name: take.text()?,
        arch: take.text()?,
        kernel,
        boot: take.text()?,
    };
    let anchor = take_anchor(&mut take)?;
    take.end(Header { machine, anchor })
}

fn take_anchor(take: &mut Take<'_>) -> Option<Anchor> {
    Some(Anchor {
        monotonic: Timestamp(take.long()?),
        boot: Nanos(take.long()?),
        wall: WallTime(take.long()?),
    })
}

/// A recording as a [`Source`]: notes go to [`Recorded`] before the step is given in whose handling
/// they were taken down.
#[derive(Debug)]
pub struct Replay<R: Read> {
    reader: Reader<R>,
    recorded: Recorded,
    /// The step that was read behind the notes of the one before, with its records.
    ahead: Option<(Result<Step, Error>, Batch)>,
}

impl<R: Read> Replay<R> {
    /// Replays what `reader` reads; questions are answered by `recorded`.
    pub fn new(reader: Reader<R>, recorded: Recorded) -> Self {
        Self { reader, recorded, ahead: None }
    }

    /// What the recording says of itself.
    pub fn header(&self) -> &Header {
        self.reader.header()
    }

    fn step(&mut self, batch: &mut Batch) -> Result<Step, Error> {
        loop {
            match self.reader.next(batch)? {
                Frame::Step(step) => return Ok(step),
                Frame::Note(note) => self.recorded.add(note),
            }
        }
    }
}

impl<R: Read> Source for Replay<R> {
    fn next(&mut self, batch: &mut Batch) -> Result<Step, Error> {
        batch.clear();
        let (step, mut spare) = match self.ahead.take() {
            Some((step, mut ahead)) => {
                std::mem::swap(batch, &mut ahead);
                (step?, ahead)
            }
            None => (self.step(batch)?, Batch::default()),
        };
        if step != Step::End {
            spare.clear();
            let next = self.step(&mut spare);
            self.ahead = Some((next, spare));
        }
        Ok(step)
    }
}
