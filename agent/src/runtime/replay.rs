//! `steth replay`: the pipeline over a recording, as fast as it goes, on any machine. The same file
//! gives the same bytes.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use agent_common::counter::{COUNTERS, Counter};
use anyhow::Context;

use super::account::{Account, account};
use super::start;
use super::traces::{Traces, draw};
use crate::config::Config;
use crate::event::Timestamp;
use crate::export::prometheus::{self, Format};
use crate::health::Loss;
use crate::host::Anchor;
use crate::pipeline::Pipeline;
use crate::source::{Batch, Error, Header, Reader, Recorded, Replay, Source, Step, Table};
use crate::trace;
use crate::trace::sampling::{Parent, Sampler, Threshold};

/// What a recording gave.
#[derive(Debug)]
pub struct Played {
    /// What it said of itself.
    pub header: Header,
    /// What the agent would have shown, as Prometheus text.
    pub page: String,
    /// The traces that it would have kept if it kept all, each a tree of lines, in order of their text.
    pub trees: Vec<String>,
    /// What was seen, reported and lost.
    pub account: Account,
    /// Records taken.
    pub records: u64,
    /// Why it was not read to its end, if it was not.
    pub broken: Option<Error>,
}

/// Prints what the agent would have exported, and on standard error what was in the file.
pub fn replay(config: &Config, path: &Path, mut out: impl Write) -> anyhow::Result<()> {
    let named = || format!("{}", path.display());
    let file = File::open(path).with_context(named)?;
    let played = play(config, BufReader::new(file)).with_context(named)?;
    out.write_all(played.page.as_bytes())?;
    out.flush()?;
    eprint!("{}", played.summary());
    played.broken.map_or(Ok(()), |error| Err(error).with_context(named))
}

/// Plays a recording; an error if it is none, or of another version.
pub fn play(config: &Config, from: impl Read) -> Result<Played, Error> {
    let recorded = Recorded::default();
    let mut replay = Replay::new(Reader::open(from)?, recorded.clone());
    let header = replay.header().clone();
    let mut anchor = header.anchor;
    let facts = Box::new(recorded);
    let trace = Some(keeps_all(config));
    let (mut pipeline, _) = start::pipeline(config, header.machine.clone(), facts, &anchor, trace);
    let mut traces = Traces::default();
    let mut counts = [0; COUNTERS as usize];
    let mut batch = Batch::default();
    let mut has_begun = false;
    let broken = loop {
        let step = match replay.next(&mut batch) {
            Ok(step) => step,
            Err(error) => break Some(error),
        };
        if !std::mem::replace(&mut has_begun, true) {
            pipeline.entities().scan();
        }
        match step {
            Step::Records | Step::Rows(Table::SWEEP) => {
                batch.records().for_each(|record| pipeline.record(record));
            }
            Step::Rows(Table::SWEEP_BEGIN) => {
                let now = batch.records().next().and_then(|row| numbers(row).next());
                pipeline.begin_sweep(Timestamp(now.unwrap_or_default()));
            }
            Step::Rows(Table::SWEEP_END) => pipeline.end_sweep(),
            Step::Rows(Table::COUNTERS) => {
                let row = batch.records().next().unwrap_or_default();
                counts.iter_mut().zip(numbers(row)).for_each(|(count, number)| *count = number);
            }
            // Of a table that a later agent may have.
            Step::Rows(_) => {}
            Step::Tick(now) => {
                pipeline.tick(now, anchor);
                traces.take(&pipeline.spans(&anchor));
            }
            Step::Clocks(read) => anchor = read,
            Step::End => break None,
        }
        // Nobody is there to be told.
        pipeline.verdicts().for_each(drop);
        pipeline.entities().changes();
    };
    pipeline.end_spans();
    traces.take(&pipeline.spans(&anchor));
    let mut trees: Vec<String> = traces.newest(usize::MAX).map(|trace| draw::tree(trace)).collect();
    trees.sort();
    Ok(Played {
        trees,
        page: page(&pipeline, &anchor),
        account: told(&pipeline, counts),
        records: pipeline.counters().records,
        header,
        broken,
    })
}

/// Spans of everything, with the same ids each time.
fn keeps_all(config: &Config) -> trace::Config {
    let trace = config.trace([1, 2, 3, 4], usize::MAX);
    let sampler = Sampler { threshold: Threshold::ALL, parent: Parent::Keeps, tail: true };
    trace::Config { sampler, per_service: u32::MAX, total: u32::MAX, ..trace }
}

fn page(pipeline: &Pipeline, anchor: &Anchor) -> String {
    prometheus::render(&pipeline.snapshot(anchor), Format::Text)
}

fn told(pipeline: &Pipeline, counts: [u64; COUNTERS as usize]) -> Account {
    account(&|counter: Counter| counts.get(counter as usize).copied().unwrap_or_default(), pipeline)
}

fn numbers(row: &[u8]) -> impl Iterator<Item = u64> {
    row.chunks_exact(8).filter_map(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)))
}

impl Played {
    /// What was in the file, for people.
    pub fn summary(&self) -> String {
        let Self { header, account, records, page: _, trees: _, broken: _ } = self;
        let Account { exchanges, losses, kernel: _ } = account;
        let mut text = format!(
            "{records} records of {}, kernel {}\nexchanges: {} seen, {} reported, {} lost, {} in flight\n",
            header.machine.name,
            header.machine.kernel,
            exchanges.seen,
            exchanges.reported,
            exchanges.lost,
            exchanges.in_flight,
        );
        for loss in losses {
            let Loss { stage, reason, count } = loss;
            text.extend(["lost: ", &count.to_string(), " ", reason, " in ", stage, "\n"]);
        }
        text
    }
}
