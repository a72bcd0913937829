//! Writing a recording.

use std::io::{BufWriter, Result, Write};

use agent_common::ABI_VERSION;

use super::note::Note;
use super::redact::Redaction;
use super::wire::Put;
use super::{Batch, FORMAT, FRAME, Header, Table};
use crate::event::Timestamp;
use crate::host::{Anchor, Machine};

/// The first bytes of every recording.
pub(super) const MAGIC: [u8; 8] = *b"STETHREC";

/// The first byte of a frame.
pub(super) mod frame {
    pub(in super::super) const HEADER: u8 = 1;
    pub(in super::super) const RECORDS: u8 = 2;
    pub(in super::super) const ROWS: u8 = 3;
    pub(in super::super) const TICK: u8 = 4;
    pub(in super::super) const CLOCKS: u8 = 5;
    pub(in super::super) const NOTE: u8 = 6;
}

/// What was written and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames written.
    pub frames: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Records and rows written.
    pub records: u64,
    /// Records left out because they made no sense and could not be redacted.
    pub malformed: u64,
    /// Frames left out because the recording was at its limit.
    pub left_out: u64,
}

/// Writes frames; what they hold is redacted here.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: BufWriter<W>,
    redaction: Redaction,
    record: Vec<u8>,
    limit: u64,
    counts: Counts,
}

impl<W: Write> Writer<W> {
    /// Begins a recording of at most `limit` bytes.
    pub fn new(out: W, header: &Header, limit: u64) -> Result<Self> {
        let mut writer = Self {
            out: BufWriter::with_capacity(64 * 1024, out),
            redaction: Redaction::default(),
            record: Vec::new(),
            limit,
            counts: Counts::default(),
        };
        let mut start = Put::default();
        start.0.extend_from_slice(&MAGIC);
        start.word(FORMAT);
        start.word(ABI_VERSION);
        writer.out.write_all(&start.0)?;
        writer.counts.bytes = start.0.len() as u64;
        let Header { machine, anchor } = header;
        let Machine { id, name, arch, kernel, boot } = machine;
        let mut put = Put::default();
        for text in [kernel, id, name, arch, boot] {
            put.bytes(text.as_bytes());
        }
        put_anchor(&mut put, *anchor);
        writer.frame(frame::HEADER, &put)?;
        Ok(writer)
    }

    /// Writes records as they came off the ring.
    pub fn records(&mut self, batch: &Batch) -> Result<()> {
        self.batch(frame::RECORDS, None, batch)
    }

    /// Writes rows of a table.
    pub fn rows(&mut self, table: Table, batch: &Batch) -> Result<()> {
        self.batch(frame::ROWS, Some(table), batch)
    }

    /// Writes that time has come to `now`.
    pub fn tick(&mut self, now: Timestamp) -> Result<()> {
        let mut put = Put::default();
        put.long(now.0);
        self.frame(frame::TICK, &put)
    }

    /// Writes how the clocks stand to each other.
    pub fn clocks(&mut self, anchor: Anchor) -> Result<()> {
        let mut put = Put::default();
        put_anchor(&mut put, anchor);
        self.frame(frame::CLOCKS, &put)
    }

    /// Writes what `/proc` answered in the handling of the step before.
    pub fn note(&mut self, note: &Note) -> Result<()> {
        let mut put = Put::default();
        note.put(&mut put);
        self.frame(frame::NOTE, &put)
    }

    /// What was written so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Ends the recording; gives back what it was written to.
    pub fn finish(self) -> Result<W> {
        self.out.into_inner().map_err(std::io::IntoInnerError::into_error)
    }

    /// Hands over what is buffered.
    pub fn flush(&mut self) -> Result<()> {
        self.out.flush()
    }

    fn batch(&mut self, kind: u8, table: Option<Table>, batch: &Batch) -> Result<()> {
        let begin = || {
            let mut put = Put::default();
            if let Some(Table(table)) = table {
                put.byte(table);
            }
            put
        };
        let is_records = table.is_none_or(|table| table == Table::SWEEP);
        let mut put = begin();
        let mut is_full = false;
        for record in batch.records() {
            if is_records {
                if !self.redaction.apply(record, &mut self.record) {
                    self.counts.malformed += 1;
                    continue;
                }
            } else {
                self.record.clear();
                self.record.extend_from_slice(record);
            }
            if self.record.len() + 16 > FRAME {
                self.counts.malformed += 1;
                continue;
            }
            if put.0.len() + self.record.len() + 8 > FRAME {
                self.frame(kind, &put)?;
                put = begin();
            }
            put.bytes(&self.record);
            self.counts.records += 1;
            is_full = true;
        }
        // A step without records is a step too.
        if is_full || batch.is_empty() { self.frame(kind, &put) } else { Ok(()) }
    }

    fn frame(&mut self, kind: u8, put: &Put) -> Result<()> {
        let bytes = 5 + put.0.len() as u64;
        let len = u32::try_from(put.0.len()).ok().filter(|len| *len as usize <= FRAME);
        let Some(len) = len.filter(|_| self.counts.bytes + bytes <= self.limit) else {
            // Nothing may follow what is missing, or a replay would go on with a hole in it.
            self.limit = 0;
            self.counts.left_out += 1;
            return Ok(());
        };
        self.out.write_all(&[kind])?;
        self.out.write_all(&len.to_le_bytes())?;
        self.out.write_all(&put.0)?;
        self.counts.frames += 1;
        self.counts.bytes += bytes;
        Ok(())
    }
}

fn put_anchor(put: &mut Put, anchor: Anchor) {
    let Anchor { monotonic, boot, wall } = anchor;
    put.long(monotonic.0);
    put.long(boot.0);
    put.long(wall.0);
}
