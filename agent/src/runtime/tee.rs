//! The tee at the pipeline's seams: what goes in goes to a recording as well.
//!
//! The pipeline's thread only copies and hands over. A thread of its own redacts and writes. Between
//! them is a bounded queue; when it is full, the recording ends there, since a replay behind a hole
//! would tell what never happened. What came later is counted.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use crate::event::Timestamp;
use crate::host::Anchor;
use crate::source::Note;
use crate::source::{Batch, Counts, Notes, Table, Writer};

/// Bytes of records that are handed over at once.
const PIECE: usize = 256 * 1024;
/// Pieces that may wait: 32 MiB.
const PIECES: usize = 128;

/// What is handed over.
enum Piece {
    Records(Batch),
    Rows(Table, Batch),
    Tick(Timestamp),
    Clocks(Anchor),
    Notes(Vec<Note>),
}

/// How the writing goes, for everyone to see.
#[derive(Debug, Default)]
pub struct Progress {
    /// Records and rows written.
    pub records: AtomicU64,
    /// Bytes written.
    pub bytes: AtomicU64,
    /// Records and rows that came after the recording had ended early.
    pub late: AtomicU64,
    /// It has ended early: at its limit, because it could not be written as fast, or not at all.
    pub ended: AtomicBool,
}

/// Hands over to the thread that writes.
pub struct Tee {
    pieces: SyncSender<Piece>,
    notes: Notes,
    batch: Batch,
    bytes: usize,
    progress: Arc<Progress>,
}

/// The thread that writes; gives what it wrote when the [`Tee`] is gone.
pub type Writing = JoinHandle<std::io::Result<Counts>>;

impl Tee {
    /// A tee and its thread. Answers of `/proc` are taken from `notes`.
    pub fn start<W: Write + Send + 'static>(
        writer: Writer<W>,
        notes: Notes,
    ) -> std::io::Result<(Self, Arc<Progress>, Writing)> {
        let (pieces, waiting) = sync_channel(PIECES);
        let progress = Arc::new(Progress::default());
        let told = Arc::clone(&progress);
        let writing =
            std::thread::Builder::new().name("steth-record".to_owned()).spawn(move || {
                let outcome = write(writer, &waiting, &told);
                told.ended.store(true, Relaxed);
                outcome
            })?;
        let tee =
            Self { pieces, notes, batch: Batch::default(), bytes: 0, progress: progress.clone() };
        Ok((tee, progress, writing))
    }

    /// A record, which the pipeline has taken.
    pub fn record(&mut self, record: &[u8]) {
        self.push(record);
        if self.bytes >= PIECE {
            self.records();
        }
    }

    /// The records so far are handed over, with what was asked for in their handling.
    pub fn records(&mut self) {
        if !self.batch.is_empty() {
            let batch = self.take();
            self.hand_over(Piece::Records(batch));
        }
        self.ask();
    }

    /// A row of a sweep, which the pipeline has taken.
    pub fn row(&mut self, row: &[u8]) {
        self.push(row);
        if self.bytes >= PIECE {
            self.rows();
        }
    }

    /// The rows so far are handed over.
    pub fn rows(&mut self) {
        if !self.batch.is_empty() {
            let batch = self.take();
            self.hand_over(Piece::Rows(Table::SWEEP, batch));
        }
        self.ask();
    }

    /// A table's only row, or a mark.
    pub fn table(&mut self, table: Table, numbers: &[u64]) {
        let mut batch = Batch::default();
        if !numbers.is_empty() {
            let row: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            batch.push(&row);
        }
        self.hand_over(Piece::Rows(table, batch));
        self.ask();
    }

    /// The clocks were read.
    pub fn clocks(&mut self, anchor: Anchor) {
        self.hand_over(Piece::Clocks(anchor));
        self.ask();
    }

    /// Time has passed for the pipeline.
    pub fn tick(&mut self, now: Timestamp, anchor: Anchor) {
        self.hand_over(Piece::Clocks(anchor));
        self.hand_over(Piece::Tick(now));
        self.ask();
    }

    fn push(&mut self, record: &[u8]) {
        if self.progress.ended.load(Relaxed) {
            self.progress.late.fetch_add(1, Relaxed);
            return;
        }
        self.batch.push(record);
        self.bytes += record.len() + 16;
    }

    fn take(&mut self) -> Batch {
        self.bytes = 0;
        std::mem::take(&mut self.batch)
    }

    fn ask(&mut self) {
        let notes = self.notes.take();
        if !notes.is_empty() {
            self.hand_over(Piece::Notes(notes));
        }
    }

    fn hand_over(&mut self, piece: Piece) {
        let Progress { late, ended, .. } = &*self.progress;
        let lost = if ended.load(Relaxed) {
            piece
        } else {
            match self.pieces.try_send(piece) {
                Ok(()) => return,
                Err(TrySendError::Full(piece) | TrySendError::Disconnected(piece)) => piece,
            }
        };
        ended.store(true, Relaxed);
        if let Piece::Records(batch) | Piece::Rows(_, batch) = lost {
            late.fetch_add(batch.len() as u64, Relaxed);
        }
    }
}

fn write<W: Write>(
    mut writer: Writer<W>,
    waiting: &Receiver<Piece>,
    progress: &Progress,
) -> std::io::Result<Counts> {
    while let Ok(piece) = waiting.recv() {
        match piece {
            Piece::Records(batch) => writer.records(&batch)?,
            Piece::Rows(table, batch) => writer.rows(table, &batch)?,
            Piece::Tick(now) => writer.tick(now)?,
            Piece::Clocks(anchor) => writer.clocks(anchor)?,
            Piece::Notes(notes) => notes.iter().try_for_each(|note| writer.note(note))?,
        }
        let counts = writer.counts();
        progress.records.store(counts.records, Relaxed);
        progress.bytes.store(counts.bytes, Relaxed);
        if counts.left_out > 0 {
            progress.ended.store(true, Relaxed);
        }
    }
    let counts = writer.counts();
    writer.finish()?.flush()?;
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::source::{Header, Reader, Recorded, Replay, Source, Step};

    /// A disk that takes nothing until it is told to.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<Vec<u8>>>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn exit(pid: u32) -> Vec<u8> {
        use zerocopy::IntoBytes;
        let kind = agent_common::record::Kind::Exit as u8;
        let exit = agent_common::record::Exit { kind, tgid: pid, ..Default::default() };
        exit.as_bytes().to_vec()
    }

    #[test]
    fn a_disk_that_stands_still_ends_the_recording_and_what_is_left_out_is_counted() {
        let disk = Disk::default();
        let writer = Writer::new(disk.clone(), &Header::default(), u64::MAX).unwrap();
        let held = disk.0.lock().unwrap();
        let (mut tee, progress, writing) = Tee::start(writer, Notes::default()).unwrap();
        let mut given = 0;
        while !progress.ended.load(Relaxed) {
            tee.record(&exit(given));
            tee.records();
            given += 1;
        }
        tee.record(&exit(given));
        given += 1;
        drop(tee);
        drop(held);
        let counts = writing.join().unwrap().unwrap();
        assert_eq!(counts.records + progress.late.load(Relaxed), u64::from(given));
        let bytes = disk.0.lock().unwrap().clone();
        let mut replay = Replay::new(Reader::open(&*bytes).unwrap(), Recorded::default());
        let (mut batch, mut read) = (Batch::default(), Vec::new());
        while replay.next(&mut batch).unwrap() != Step::End {
            read.extend(batch.records().map(<[u8]>::to_vec));
        }
        // What is there is the beginning, without a hole.
        assert_eq!(read, (0..counts.records as u32).map(exit).collect::<Vec<_>>());
    }
}
