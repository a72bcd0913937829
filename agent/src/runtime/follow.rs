//! `steth trace`: prints traces as they are kept, without an agent that runs beside it and without
//! anything that listens. Who may watch may see them; nobody else can ask.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;

use super::log::{self, Sink};
use super::own::{Fixed, Own};
use super::traces::{Trace, Traces, draw};
use super::turnstile::{Ask, Outlets, Pace, Turnstile};
use super::{bell, clock, confine, start};
use crate::config::Loaded;
use crate::config::cli::Cli;
use crate::host::{HostRoot, Processes};
use crate::trace::Batch;
use crate::usage::Family;

/// Between two looks for traces that are whole.
const PACE: Duration = Duration::from_millis(500);
/// Spans that may wait to be printed.
const UNTAKEN: usize = 10_000;
/// Batches that may.
const BATCHES: usize = 64;
/// Columns where the output is no terminal, and the fewest there are.
const COLUMNS: u16 = 120;
const FEWEST: u16 = 60;

/// Prints the next traces, `most` of them if that is said, else until it is told to stop.
pub fn follow(
    cli: &Cli,
    loaded: &Loaded,
    most: Option<usize>,
    mut out: impl Write,
) -> anyhow::Result<()> {
    log::start(&loaded.config.log, Sink::Stderr).context("the log cannot be started")?;
    let config = &loaded.config;
    let exports = loaded.export()?;
    start::find_host(config)?;
    let mut options = start::options(cli, loaded, &exports);
    // The scheduler's view says what requests waited for.
    let wanted = [Family::Scheduler].into_iter().filter(|family| options.families.has(*family));
    options.families = wanted.collect();
    start::ask_for_spans(&mut options, config);
    let mut kernel = start::load(&options)?;
    let confined = confine::confine(&config.confine, confine::Terminal::Inherited, &mut kernel);
    let root = HostRoot::find(&config.host.root);
    let machine = start::machine(config, &root);
    let trace = start::looked_at(config, config.trace(start::seed(), UNTAKEN));
    let facts = Box::new(Processes::new(root));
    let (stages, limits) = start::pipeline(config, machine, facts, &clock::anchor(), Some(trace));
    let own = Own::new(&clock::anchor(), Fixed::bare(limits, confined));
    let pace = Pace {
        export: exports.interval,
        show: None,
        spans: Some(PACE),
        look: Some(start::look(config)),
    };
    let (batches, kept) = mpsc::channel(BATCHES);
    let outlets = Outlets {
        export: Box::new(|_| {}),
        show: Box::new(|_, _| {}),
        // Who reads too slowly misses some.
        spans: Box::new(move |batch| drop(batches.try_send(batch))),
    };
    let turnstile = Turnstile::new(kernel, stages, own, pace);
    let (ringer, bell) = bell::hang()?;
    let turning = std::thread::Builder::new()
        .name("steth-pipeline".to_owned())
        .spawn(move || turnstile.run(&bell, outlets))?;
    eprintln!(
        "watching; a trace is printed when nothing more of it is waited for. Ctrl-C ends it."
    );
    let printed = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(print(kept, most, &mut out));
    ringer.ring(Ask::Stop);
    let outcome = turning.join().map_err(|_| anyhow::anyhow!("the pipeline ended badly"))?;
    printed.context("the traces cannot be printed")?;
    outcome.context("the pipeline ended")
}

async fn print(
    mut kept: mpsc::Receiver<Batch>,
    most: Option<usize>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let mut stop = std::pin::pin!(start::told_to_stop());
    let mut left = most.unwrap_or(usize::MAX);
    while left > 0 {
        let batch = tokio::select! {
            () = &mut stop => break,
            batch = kept.recv() => batch,
        };
        let Some(batch) = batch else { break };
        // The spans of one trace are kept at once.
        let mut traces = Traces::default();
        traces.take(&batch);
        for trace in traces.newest(usize::MAX).take(left) {
            match write(trace, columns(), out) {
                // Whoever read has seen enough.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                outcome => outcome?,
            }
            left -= 1;
        }
    }
    Ok(())
}

/// Writes a trace as text.
pub fn write(trace: &Arc<Trace>, width: usize, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{}\n  trace {}", draw::head(trace), trace.id)?;
    for line in draw::waterfall(trace, width.saturating_sub(2)) {
        writeln!(out, "  {}", line.text)?;
    }
    writeln!(out)?;
    out.flush()
}

fn columns() -> usize {
    let size = std::io::stdout().is_terminal().then(ratatui::crossterm::terminal::size);
    let (columns, _) = size.and_then(Result::ok).unwrap_or((COLUMNS, 0));
    columns.max(FEWEST).into()
}
