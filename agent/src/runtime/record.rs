//! `steth record`: watches as the agent does, and writes what it is told to a file instead of
//! exporting what it means.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, IsTerminal, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::log::{self, Sink};
use super::own::{Fixed, Own};
use super::tee::{Progress, Tee, Writing};
use super::turnstile::{Ask, Outlets, Pace, Turnstile};
use super::{bell, clock, confine, start};
use crate::config::Loaded;
use crate::config::cli::Cli;
use crate::host::{HostRoot, Processes};
use crate::source::{Counts, Header, Noted, Notes, Writer, anonymise};

/// Bytes of a recording at most.
pub const LIMIT: u64 = 1 << 30;
/// Between two words of progress, on a terminal and elsewhere.
const WORD: Duration = Duration::from_secs(1);
/// See `WORD`.
const QUIET: Duration = Duration::from_secs(10);
/// Between two looks whether the recording has ended early.
const LOOK: Duration = Duration::from_millis(200);

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The file to write.
    pub file: &'a Path,
    /// How long; until Ctrl-C if it is not said.
    pub length: Option<Duration>,
    /// Whether what tells who made it is left out.
    pub anonymous: bool,
}

/// Records until it is told to stop, the time is over, or no more can be written.
pub fn record(cli: &Cli, loaded: &Loaded, wanted: Wanted<'_>) -> anyhow::Result<()> {
    log::start(&loaded.config.log, Sink::Stderr).context("the log cannot be started")?;
    let exports = loaded.export()?;
    // Who reads the recording may want spans of it.
    let mut options = start::options(cli, loaded, &exports);
    start::ask_for_spans(&mut options, &loaded.config);
    let mut kernel = start::load(&options)?;
    // Both are there before anything is given up: whose directory it is may matter.
    let file = create(wanted.file)?;
    let (file, shown) =
        if wanted.anonymous { (unseen(wanted.file)?, Some(file)) } else { (file, None) };
    let raw = file.try_clone().context("the recording cannot be begun")?;
    let confined =
        confine::confine(&loaded.config.confine, confine::Terminal::Inherited, &mut kernel);

    let root = HostRoot::find(&loaded.config.host.root);
    let machine = start::machine(&loaded.config, &root);
    let anchor = clock::anchor();
    let notes = Notes::default();
    let facts = Noted::new(Processes::new(root), notes.clone());
    let header = Header { machine: machine.clone(), anchor };
    let writer = Writer::new(file, &header, LIMIT).context("the recording cannot be begun")?;
    let (stages, limits) = start::pipeline(&loaded.config, machine, Box::new(facts), &anchor, None);
    let own = Own::new(&anchor, Fixed::bare(limits, confined));
    let (tee, progress, writing) = Tee::start(writer, notes.clone())?;
    // Series that end stay: there is one snapshot, at the end.
    let pace = Pace { export: exports.interval, show: None, spans: None, look: None };
    let turnstile = Turnstile::new(kernel, stages, own, pace).recording(tee);
    let (ringer, bell) = bell::hang()?;
    let outlets =
        Outlets { export: Box::new(|_| {}), show: Box::new(|_, _| {}), spans: Box::new(|_| {}) };
    let turning = std::thread::Builder::new()
        .name("steth-pipeline".to_owned())
        .spawn(move || turnstile.run(&bell, outlets))?;

    let begun = Instant::now();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(watch(
        &progress,
        begun,
        wanted.length,
    ));
    ringer.ring(Ask::Stop);
    let outcome = turning.join().map_err(|_| anyhow::anyhow!("the pipeline ended badly"))?;
    let unwritten = || format!("{} cannot be written", wanted.file.display());
    let counts = written(writing).with_context(unwritten)?;
    outcome.context("the pipeline ended")?;
    let took = begun.elapsed();
    let counts = match shown {
        Some(shown) => copy(raw, shown, counts).with_context(unwritten)?,
        None => counts,
    };
    let late = progress.late.load(Relaxed);
    eprintln!("{}", summary(wanted.file, counts, took, late, notes.left_out()));
    Ok(())
}

/// Until it is over, with a word now and then.
async fn watch(progress: &Progress, begun: Instant, length: Option<Duration>) {
    let is_terminal = std::io::stderr().is_terminal();
    let every = if is_terminal { WORD } else { QUIET };
    let mut due = Duration::ZERO;
    let mut stop = std::pin::pin!(start::told_to_stop());
    loop {
        let past = begun.elapsed();
        if progress.ended.load(Relaxed) || length.is_some_and(|length| past >= length) {
            break;
        }
        if past >= due {
            due = past + every;
            let (records, bytes) = (progress.records.load(Relaxed), progress.bytes.load(Relaxed));
            let word = format!("{} s, {records} records, {}", past.as_secs(), size(bytes));
            if is_terminal {
                eprint!("\r\x1b[Krecording, Ctrl-C ends it: {word}");
            } else {
                eprintln!("recording: {word}");
            }
        }
        let left = length.map_or(LOOK, |length| length.saturating_sub(past).min(LOOK));
        tokio::select! {
            () = &mut stop => break,
            () = tokio::time::sleep(left) => {}
        }
    }
    if is_terminal {
        eprintln!();
    }
}

fn written(writing: Writing) -> std::io::Result<Counts> {
    writing.join().unwrap_or_else(|_| Err(std::io::Error::other("the writer ended badly")))
}

/// What is in the file, and what is not.
fn summary(file: &Path, counts: Counts, took: Duration, late: u64, notes: u64) -> String {
    let Counts { bytes, records, malformed, left_out, frames: _ } = counts;
    let mut text = format!(
        "{}: {records} records of {:.1} s, {}",
        file.display(),
        took.as_secs_f64(),
        size(bytes)
    );
    let mut add = |line: String| {
        text.push_str("\n  ");
        text.push_str(&line);
    };
    if left_out > 0 {
        add(format!("it ends early, at the limit of {}", size(LIMIT)));
    } else if late > 0 {
        add("it ends early: it could not be written as fast as it came".to_owned());
    }
    if late > 0 {
        add(format!("left out: {late} records that came later"));
    }
    if malformed > 0 {
        add(format!("left out: {malformed} records that made no sense"));
    }
    if notes > 0 {
        add(format!("left out: {notes} facts about processes"));
    }
    text
}

/// A recording is a capture of traffic: nobody else is to read it.
fn create(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Where it stands until it can be shown: beside the file, without a name, so that nothing is left of it however
/// this ends.
fn unseen(file: &Path) -> anyhow::Result<File> {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    let path = PathBuf::from(name);
    let file = create(&path)?;
    std::fs::remove_file(&path).with_context(|| format!("{} is left behind", path.display()))?;
    Ok(file)
}

/// Copies what can be shown; the rest goes.
fn copy(mut raw: File, shown: File, all: Counts) -> anyhow::Result<Counts> {
    raw.seek(SeekFrom::Start(0))?;
    let (counts, mut out) = anonymise(BufReader::new(raw), shown, LIMIT)?;
    out.flush()?;
    Ok(Counts { malformed: all.malformed, left_out: all.left_out, ..counts })
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_says_what_is_in_the_file_and_what_is_not() {
        let counts = Counts { records: 12, bytes: 4_200, malformed: 1, left_out: 0, frames: 3 };
        let took = Duration::from_millis(1_500);
        let check = |counts, late, notes, expect: &str| {
            assert_eq!(summary(Path::new("f"), counts, took, late, notes), expect);
        };
        let whole = Counts { malformed: 0, ..counts };
        check(whole, 0, 0, "f: 12 records of 1.5 s, 4.2 kB");
        check(
            counts,
            7,
            2,
            "f: 12 records of 1.5 s, 4.2 kB
  it ends early: it could not be written as fast as it came
  left out: 7 records that came later
  left out: 1 records that made no sense
  left out: 2 facts about processes",
        );
        check(
            Counts { left_out: 1, ..whole },
            0,
            0,
            "f: 12 records of 1.5 s, 4.2 kB\n  it ends early, at the limit of 1.07 GB",
        );
    }
}
