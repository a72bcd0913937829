//! Snapshots out of the agent: pushed over OTLP, pulled as Prometheus text.
//!
//! The only stage that makes text of labels and the only one beside the runtime that reads a clock.
//! It never asks the pipeline for anything: snapshots are published to it, the newest one wins, and
//! what it could not deliver it counts.

pub mod config;
pub mod counters;
pub mod env;
pub(crate) mod otlp;
pub mod own;
pub mod prometheus;
pub mod recorder;
#[cfg(test)]
pub(crate) mod sample;
pub mod sender;
pub mod spans;
mod task;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::metric::snapshot::Snapshot;
use counters::{Counters, Tally, add};
use otlp::point::Form;
use sender::{Error, Sender, Signal, Wire};
use task::{Inbox, Push, Terms};

/// Where snapshots go: the seam, with [`Handle`] as its live form and
/// [`recorder::Recorder`] as its twin.
pub trait Export {
    /// Hands over the newest snapshot; one that was not taken up yet is overwritten.
    fn publish(&self, snapshot: Arc<Snapshot>);

    /// What became of all points so far.
    fn counters(&self) -> Counters;
}

/// The push over OTLP.
#[derive(Debug)]
pub struct Exporter;

impl Exporter {
    /// Starts the task. To be called inside the runtime; reads TLS files, connects to nothing yet.
    pub fn spawn(config: &config::Metrics) -> Result<Handle, Error> {
        let sender = Sender::new(&config.target, Signal::Metrics)?;
        let terms = Terms {
            form: Form { temporality: config.temporality, histograms: config.histograms },
            limit: otlp::batch::LIMIT,
            max_age: config.max_age,
        };
        Ok(spawn_with(sender, terms))
    }
}

fn spawn_with<W: Wire>(wire: W, terms: Terms) -> Handle {
    let (inbox, receiver) = watch::channel(Inbox::default());
    let tally = Arc::new(Tally::default());
    let push = Push::new(wire, terms, receiver, Arc::clone(&tally));
    let task = Some(tokio::spawn(push.run()));
    Handle { publisher: Publisher { inbox, tally }, task }
}

/// The running push. Dropping it stops the task without a flush.
#[derive(Debug)]
pub struct Handle {
    publisher: Publisher,
    task: Option<JoinHandle<()>>,
}

impl Handle {
    /// For those who publish from another thread.
    pub fn publisher(&self) -> Publisher {
        self.publisher.clone()
    }

    /// Sends what was published and stops; what was not taken by then is counted.
    pub async fn shutdown(mut self, deadline: Duration) -> Counters {
        self.publisher.end(Instant::now() + deadline);
        if let Some(task) = self.task.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "OTLP: the exporter ended badly");
        }
        self.publisher.counters()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.task.is_some() {
            self.publisher.end(Instant::now());
        }
    }
}

impl Export for Handle {
    fn publish(&self, snapshot: Arc<Snapshot>) {
        self.publisher.publish(snapshot);
    }

    fn counters(&self) -> Counters {
        self.publisher.counters()
    }
}

/// Hands snapshots to a running push; after the push has ended, to nobody.
#[derive(Clone, Debug)]
pub struct Publisher {
    inbox: watch::Sender<Inbox>,
    tally: Arc<Tally>,
}

impl Publisher {
    fn end(&self, at: Instant) {
        self.inbox.send_modify(|inbox| inbox.deadline = Some(at));
    }
}

impl Export for Publisher {
    fn publish(&self, snapshot: Arc<Snapshot>) {
        add(&self.tally.published, 1);
        let mut overwritten = false;
        self.inbox.send_modify(|inbox| overwritten = inbox.put(snapshot));
        add(&self.tally.overwritten, u64::from(overwritten));
    }

    fn counters(&self) -> Counters {
        self.tally.counters()
    }
}
