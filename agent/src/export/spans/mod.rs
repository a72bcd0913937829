//! The push of spans over OTLP: a bounded queue that drops the oldest, and a task that empties it by
//! the same rules of retry and partial success as the push of metrics.
//!
//! | while | comes | then |
//! |---|---|---|
//! | idle | spans | they are sent, request by request |
//! | an attempt is under way, or a retry waited for | spans | they wait; beyond the limit the oldest are counted as lost |
//! | any | the deadline of a shutdown | what is left is counted, the task ends |

mod queue;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::config;
use super::counters::{Counters, DropReason, Tally, add};
use super::otlp::batch::LIMIT;
use super::sender::gate::Gate;
use super::sender::{Error, Outcome, Sender, Signal, Wire};
use super::task::RareLog;
use crate::trace;
use queue::{Queue, Services};

/// The running push. Dropping it stops the task without a flush.
#[derive(Debug)]
pub struct Handle {
    publisher: Publisher,
    task: Option<JoinHandle<()>>,
}

/// Hands spans to a running push; after the push has ended, to nobody.
#[derive(Clone, Debug)]
pub struct Publisher {
    inbox: watch::Sender<Inbox>,
    tally: Arc<Tally>,
}

/// What the task is told.
#[derive(Debug)]
struct Inbox {
    queue: Queue,
    /// When to stop at the latest, once that is known.
    deadline: Option<Instant>,
}

/// How requests are made.
#[derive(Clone, Copy, Debug)]
struct Terms {
    /// Spans of one request at most.
    spans: usize,
    /// Bytes of one request at most.
    bytes: usize,
    /// A request older than this is given up.
    max_age: Duration,
}

/// Starts the task. To be called inside the runtime; reads TLS files, connects to nothing yet.
pub fn spawn(config: &config::Traces) -> Result<Handle, Error> {
    let sender = Sender::new(&config.target, Signal::Traces)?;
    let terms = Terms { spans: config.batch, bytes: LIMIT, max_age: config.max_age };
    Ok(spawn_with(sender, terms, config.queue))
}

fn spawn_with<W: Wire>(wire: W, terms: Terms, limit: usize) -> Handle {
    let (inbox, receiver) = watch::channel(Inbox { queue: Queue::new(limit), deadline: None });
    let tally = Arc::new(Tally::default());
    let push = Push {
        wire,
        terms,
        inbox: receiver,
        sender: inbox.clone(),
        tally: Arc::clone(&tally),
        gate: Gate::default(),
        hurried: false,
        log: RareLog::default(),
    };
    let task = Some(tokio::spawn(push.run()));
    Handle { publisher: Publisher { inbox, tally }, task }
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
            tracing::error!(%error, "OTLP: the exporter of spans ended badly");
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

impl Publisher {
    /// Hands over spans; beyond the limit the oldest that wait are dropped.
    pub fn publish(&self, batch: trace::Batch) {
        if batch.services.is_empty() {
            return;
        }
        add(&self.tally.published, 1);
        let mut lost = 0;
        self.inbox.send_modify(|inbox| lost = inbox.queue.put(batch));
        self.tally.drop_points(DropReason::QueueFull, lost);
    }

    /// What became of all spans so far.
    pub fn counters(&self) -> Counters {
        self.tally.counters()
    }

    fn end(&self, at: Instant) {
        self.inbox.send_modify(|inbox| inbox.deadline = Some(at));
    }
}

/// The task.
struct Push<W> {
    wire: W,
    terms: Terms,
    inbox: watch::Receiver<Inbox>,
    /// The same inbox, to take from.
    sender: watch::Sender<Inbox>,
    tally: Arc<Tally>,
    gate: Gate,
    /// Whether the last attempt before the end was brought forward.
    hurried: bool,
    log: RareLog,
}

/// What became of a request.
enum Delivery {
    Accepted { rejected: u64 },
    Dropped(DropReason),
    Stopped,
}

impl<W: Wire> Push<W> {
    /// Runs until the shutdown.
    async fn run(mut self) {
        loop {
            // Looked at before the queue is: what was published before the end is in it then, and what
            // comes behind this look wakes the task.
            let ends = self.inbox.borrow_and_update().deadline.is_some();
            let services = self.take();
            if services.is_empty() {
                if ends || self.inbox.changed().await.is_err() {
                    return;
                }
                continue;
            }
            if let Err(unsent) = self.send(&services).await {
                let left = unsent + self.take_all();
                self.tally.drop_points(DropReason::Shutdown, left);
                tracing::warn!(spans = left, "OTLP: the end came before all spans were sent");
                return;
            }
        }
    }

    fn take(&self) -> Services {
        let mut services = Services::new();
        let most = self.terms.spans;
        // Whoever waits for a change waits for spans to come, not to go.
        self.sender.send_if_modified(|inbox| {
            services = inbox.queue.take(most);
            false
        });
        services
    }

    fn take_all(&self) -> u64 {
        let mut left = 0;
        self.sender.send_if_modified(|inbox| {
            left = inbox.queue.clear();
            false
        });
        left
    }

    /// Sends these spans, in several requests if they are large. An error is how many were left when
    /// the end came.
    async fn send(&mut self, services: &Services) -> Result<(), u64> {
        let cut = request::requests(services, self.terms.bytes);
        self.tally.drop_points(DropReason::TooLarge, cut.too_large);
        let mut left: u64 = cut.requests.iter().map(|request| request.spans).sum();
        for request in &cut.requests {
            match self.deliver(&request.body).await {
                Delivery::Accepted { rejected } => {
                    add(&self.tally.exported, request.spans.saturating_sub(rejected));
                }
                Delivery::Dropped(reason) => self.tally.drop_points(reason, request.spans),
                Delivery::Stopped => return Err(left),
            }
            left -= request.spans;
        }
        Ok(())
    }

    /// Tries until the collector has it, refuses it, or it is no longer worth it.
    async fn deliver(&mut self, body: &Bytes) -> Delivery {
        let born = Instant::now();
        loop {
            if let Some(opens) = self.gate.opens() {
                if self.wait(opens.min(born + self.terms.max_age)).await.is_break() {
                    return Delivery::Stopped;
                }
                if opens > born + self.terms.max_age {
                    return Delivery::Dropped(DropReason::Expired);
                }
            }
            let Some(outcome) = self.attempt(body).await else { return Delivery::Stopped };
            match outcome {
                Outcome::Accepted { rejected, message } => {
                    self.gate.succeed();
                    add(&self.tally.requests, 1);
                    add(&self.tally.bytes, body.len() as u64);
                    add(&self.tally.rejected, rejected);
                    if rejected > 0 || !message.is_empty() {
                        self.log.warn("collector took spans in part", &message, rejected);
                    }
                    return Delivery::Accepted { rejected };
                }
                Outcome::Fatal { why } => {
                    self.gate.succeed();
                    self.log.warn("collector refused the spans", &why, 0);
                    return Delivery::Dropped(DropReason::Refused);
                }
                Outcome::Retry { after, why } => {
                    add(&self.tally.retries, 1);
                    self.gate.fail(Instant::now(), after);
                    self.log.warn("request with spans is to be repeated", &why, 0);
                }
            }
        }
    }

    /// Waits for the gate; breaks when the end comes first.
    async fn wait(&mut self, until: Instant) -> std::ops::ControlFlow<()> {
        loop {
            let deadline = self.inbox.borrow_and_update().deadline;
            // The collector may be back: one attempt more before the end, unless it said when.
            if deadline.is_some() && !self.hurried {
                self.hurried = true;
                if self.gate.hurry() {
                    return std::ops::ControlFlow::Continue(());
                }
            }
            if deadline.is_some_and(|deadline| deadline <= until.max(Instant::now())) {
                return std::ops::ControlFlow::Break(());
            }
            tokio::select! {
                biased;
                told = self.inbox.changed() => {
                    if told.is_err() {
                        return std::ops::ControlFlow::Break(());
                    }
                }
                () = sleep_until(until) => return std::ops::ControlFlow::Continue(()),
            }
        }
    }

    /// One attempt; `None` if the deadline came first.
    async fn attempt(&mut self, body: &Bytes) -> Option<Outcome> {
        let mut inbox = self.inbox.clone();
        let stop = async move {
            let told =
                inbox.wait_for(|inbox| inbox.deadline.is_some()).await.map(|inbox| inbox.deadline);
            if let Ok(Some(deadline)) = told {
                sleep_until(deadline).await;
            }
        };
        tokio::select! {
            biased;
            outcome = self.wire.send(body) => Some(outcome),
            () = stop => None,
        }
    }
}
