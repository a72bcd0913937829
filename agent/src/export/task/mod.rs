//! The push: takes the newest snapshot, sends it, and never holds more than one besides it.
//!
//! | while | comes | then |
//! |---|---|---|
//! | idle | a snapshot | it is sent, request by request |
//! | an attempt is under way | a newer snapshot | the attempt is finished first |
//! | a retry is waited for | a newer snapshot | the rest of the older one is given up for the newer |
//! | any | the deadline of a shutdown | what is left is counted, the task ends |
//!
//! Of a snapshot given up, only the last values of series that the newer one no longer has are kept
//! (`departed`), up to a fixed number of points.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::counters::{DropReason, Tally, add};
use super::otlp::batch::{self, Batch};
use super::otlp::delta::{Baselines, Moved, moved};
use super::otlp::departed::{left_behind, points};
use super::otlp::point::Form;
use super::otlp::series;
use super::sender::gate::Gate;
use super::sender::{Outcome, Wire};
use crate::metric::snapshot::Snapshot;

/// Points kept of series that ended while the collector was away.
const MOST_DEPARTED: usize = 4096;
/// Moves kept of snapshots that were overwritten before the task took them.
const MOST_MOVED: usize = 65_536;
/// Between two lines of the log that say the same.
const QUIET: Duration = Duration::from_mins(1);

/// What the task is told.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// The newest snapshot, and how many there were.
    pub(crate) snapshot: Option<Arc<Snapshot>>,
    pub(crate) number: u64,
    /// The number of the newest one that the task took.
    taken: AtomicU64,
    /// What moved in those that it did not take.
    moved: Vec<Moved>,
    /// When to stop at the latest, once that is known.
    pub(crate) deadline: Option<Instant>,
}

impl Inbox {
    /// Overwrites the snapshot that is there. Says whether the task had not taken that one.
    pub(crate) fn put(&mut self, snapshot: Arc<Snapshot>) -> bool {
        let overwritten = self.number != self.taken.load(Ordering::Relaxed);
        if !overwritten {
            self.moved.clear();
        } else if let Some(lost) = &self.snapshot {
            let room = MOST_MOVED.saturating_sub(self.moved.len());
            self.moved.extend(moved(lost).take(room));
        }
        self.snapshot = Some(snapshot);
        self.number += 1;
        overwritten
    }
}

/// How requests are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) form: Form,
    /// The largest request, in bytes.
    pub(crate) limit: usize,
    /// A request older than this is given up.
    pub(crate) max_age: Duration,
}

/// The task.
pub(crate) struct Push<W> {
    wire: W,
    terms: Terms,
    inbox: watch::Receiver<Inbox>,
    tally: Arc<Tally>,
    baselines: Baselines,
    /// What is to be sent, oldest first, each with the place of its first series not yet covered.
    work: VecDeque<(Arc<Snapshot>, usize)>,
    /// The number of the newest snapshot in `work`.
    taken: u64,
    gate: Gate,
    /// Whether the last attempt before the end was brought forward.
    hurried: bool,
    log: RareLog,
}

/// What became of a request.
enum Delivery {
    Accepted { rejected: u64 },
    Dropped(DropReason),
    Superseded,
    Stopped,
}

impl<W: Wire> Push<W> {
    pub(crate) fn new(
        wire: W,
        terms: Terms,
        inbox: watch::Receiver<Inbox>,
        tally: Arc<Tally>,
    ) -> Self {
        Self {
            wire,
            terms,
            inbox,
            tally,
            baselines: Baselines::default(),
            work: VecDeque::new(),
            taken: 0,
            gate: Gate::default(),
            hurried: false,
            log: RareLog::default(),
        }
    }

    /// Runs until the shutdown, or until nobody can publish any more.
    pub(crate) async fn run(mut self) {
        loop {
            self.take_newer();
            if self.send_work().await.is_break() {
                self.give_up();
                return;
            }
            if self.is_newer() {
                continue;
            }
            if self.inbox.borrow().deadline.is_some() || self.inbox.changed().await.is_err() {
                return;
            }
        }
    }

    fn is_newer(&self) -> bool {
        self.inbox.borrow().number != self.taken
    }

    /// Makes the newest snapshot the last of the work, in place of the rest of the one before.
    fn take_newer(&mut self) {
        let (newer, mut moves) = {
            let inbox = self.inbox.borrow_and_update();
            if inbox.number == self.taken {
                return;
            }
            self.taken = inbox.number;
            inbox.taken.store(inbox.number, Ordering::Relaxed);
            (inbox.snapshot.clone(), inbox.moved.clone())
        };
        let Some(newer) = newer else { return };
        moves.extend(moved(&newer));
        if let Some((older, place)) = self.work.pop_back() {
            let departed = left_behind(&older, place, &newer, &moves);
            let kept = points(&departed);
            let superseded = series(&older).skip(place).count().saturating_sub(kept);
            self.tally.drop_points(DropReason::Superseded, superseded as u64);
            if kept > 0 {
                self.work.push_back((Arc::new(departed), 0));
            }
            self.bound_departed();
        }
        self.work.push_back((newer, 0));
        if self.terms.form.has_deltas() {
            for moved in &moves {
                self.baselines.apply(moved);
            }
            self.baselines.retain(self.work.iter().map(|(snapshot, _)| snapshot.as_ref()));
        }
        self.show_sizes();
    }

    fn bound_departed(&mut self) {
        let mut kept: usize = self.work.iter().map(|(snapshot, _)| points(snapshot)).sum();
        while kept > MOST_DEPARTED {
            let Some((oldest, place)) = self.work.pop_front() else { return };
            let all = points(&oldest);
            kept -= all;
            self.tally.drop_points(DropReason::EndedUnsent, all.saturating_sub(place) as u64);
        }
    }

    fn show_sizes(&self) {
        let departed: usize =
            self.work.iter().rev().skip(1).map(|(snapshot, _)| points(snapshot)).sum();
        self.tally.departed.store(departed as u64, Ordering::Relaxed);
        self.tally.baselines.store(self.baselines.len() as u64, Ordering::Relaxed);
    }

    /// Sends all there is; stops early for a newer snapshot, and breaks at the deadline.
    async fn send_work(&mut self) -> std::ops::ControlFlow<()> {
        while let Some((snapshot, place)) = self.work.front() {
            let (snapshot, place) = (Arc::clone(snapshot), *place);
            let Terms { form, limit, .. } = self.terms;
            let Some(batch) = batch::next(&snapshot, place, form, &self.baselines, limit) else {
                self.work.pop_front();
                continue;
            };
            match self.deliver(&batch.body).await {
                Delivery::Accepted { rejected } => {
                    add(&self.tally.exported, batch.points.saturating_sub(rejected));
                    self.acknowledge(&snapshot, place, &batch);
                }
                Delivery::Dropped(reason) => self.tally.drop_points(reason, batch.points),
                Delivery::Superseded => return std::ops::ControlFlow::Continue(()),
                Delivery::Stopped => return std::ops::ControlFlow::Break(()),
            }
            self.tally.drop_points(DropReason::TooLarge, batch.too_large);
            self.tally.drop_points(DropReason::Malformed, batch.malformed);
            if let Some((_, place)) = self.work.front_mut() {
                *place = batch.end;
            }
        }
        self.show_sizes();
        std::ops::ControlFlow::Continue(())
    }

    fn acknowledge(&mut self, snapshot: &Snapshot, from: usize, batch: &Batch) {
        for series in series(snapshot).take(batch.end).skip(from) {
            if self.terms.form.is_delta(series.metric.instrument.kind) {
                self.baselines.acknowledge(&series);
            }
        }
    }

    /// Tries until the collector has it, refuses it, or it is no longer worth it.
    async fn deliver(&mut self, body: &Bytes) -> Delivery {
        if body.is_empty() {
            return Delivery::Dropped(DropReason::Malformed);
        }
        let born = Instant::now();
        loop {
            if let Some(opens) = self.gate.opens() {
                if opens > born + self.terms.max_age {
                    return self.expire(opens).await;
                }
                if let Some(end) = self.wait(opens).await {
                    return end;
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
                        self.log.warn("collector took the request in part", &message, rejected);
                    }
                    return Delivery::Accepted { rejected };
                }
                Outcome::Fatal { why } => {
                    self.gate.succeed();
                    self.log.warn("collector refused the request", &why, 0);
                    return Delivery::Dropped(DropReason::Refused);
                }
                Outcome::Retry { after, why } => {
                    add(&self.tally.retries, 1);
                    self.gate.fail(Instant::now(), after);
                    self.log.warn("request is to be repeated", &why, 0);
                }
            }
        }
    }

    /// The gate opens after the request's last moment: whatever comes first ends the wait for it.
    async fn expire(&mut self, opens: Instant) -> Delivery {
        match self.wait(opens).await {
            Some(end) => end,
            None => Delivery::Dropped(DropReason::Expired),
        }
    }

    /// Waits for the gate; says what ended the wait before it opened.
    async fn wait(&mut self, opens: Instant) -> Option<Delivery> {
        loop {
            if self.is_newer() {
                return Some(Delivery::Superseded);
            }
            let deadline = self.inbox.borrow().deadline;
            // The collector may be back: one attempt more before the end, unless it said when.
            if deadline.is_some() && !self.hurried {
                self.hurried = true;
                if self.gate.hurry() {
                    return None;
                }
            }
            if deadline.is_some_and(|deadline| deadline <= opens.max(Instant::now())) {
                return Some(Delivery::Stopped);
            }
            tokio::select! {
                biased;
                told = self.inbox.changed() => {
                    if told.is_err() {
                        return Some(Delivery::Stopped);
                    }
                }
                () = sleep_until(opens) => return None,
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

    /// Counts what could not be sent any more.
    fn give_up(&mut self) {
        self.take_newer();
        let left: usize = self
            .work
            .drain(..)
            .map(|(snapshot, place)| points(&snapshot).saturating_sub(place))
            .sum();
        self.tally.drop_points(DropReason::Shutdown, left as u64);
        self.show_sizes();
    }
}

/// Says each kind of thing once a minute, with how often it was left unsaid.
#[derive(Debug, Default)]
pub(crate) struct RareLog {
    said: Vec<(&'static str, Instant, u64)>,
}

impl RareLog {
    pub(crate) fn warn(&mut self, what: &'static str, why: &str, rejected: u64) {
        let now = Instant::now();
        let mut unsaid = 0;
        match self.said.iter_mut().find(|(known, ..)| *known == what) {
            Some((_, last, count)) if now.duration_since(*last) < QUIET => {
                *count += 1;
                return;
            }
            Some((_, last, count)) => {
                *last = now;
                unsaid = std::mem::take(count);
            }
            None => self.said.push((what, now, 0)),
        }
        tracing::warn!(why, rejected, unsaid, "OTLP: {what}");
    }
}
