//! Where the time of a service's requests went, as distributions: what each waited for, how long it was
//! worked on, when its answer began.
//!
//! A thread that was at other requests in between says nothing of this one: what it did is left out.

use std::sync::Arc;

use agent_common::schedule::{CAUSES, Cause};

use crate::event::Nanos;
use crate::metric::histogram::{Histogram, Place};
use crate::metric::instrument::{Instrument, request as metric};
use crate::metric::key;
use crate::metric::snapshot::{Attribute, Data, Metric, Point, Value, WallTime};
use crate::protocol::{Exchange, Role};

/// What a request may wait for before a thread has it, or a processor the thread.
const QUEUES: [&str; 5] = ["accept_queue", "receive_queue", "run_queue", "throttled", "first_read"];
const ACCEPT: usize = 0;
const RECEIVE: usize = 1;
const RUN: usize = 2;
const THROTTLED: usize = 3;
/// Both of the first two, where no accept is seen.
const FIRST_READ: usize = 4;
/// Behind them what a thread may wait for, then the two that are no waits.
const BLOCKED: usize = QUEUES.len();
const CPU: usize = BLOCKED + CAUSES;
const FIRST_BYTE: usize = CPU + 1;
const KINDS: usize = FIRST_BYTE + 1;

/// What a thread waits for, as an attribute's value.
pub(crate) const fn blocked(cause: Cause) -> &'static str {
    match cause {
        Cause::Disk => "disk",
        Cause::Network => "network",
        Cause::Lock => "lock",
        Cause::Sleep => "sleep",
        Cause::Other => "other",
    }
}

type Series = Option<Box<(WallTime, Histogram)>>;

/// The distributions of one service, each from its first value on.
#[derive(Debug, Default)]
pub(super) struct Whys([[Series; KINDS]; 2]);

fn instrument(kind: usize) -> &'static Instrument {
    match kind {
        CPU => &metric::STETH_REQUEST_CPU_DURATION,
        FIRST_BYTE => &metric::STETH_REQUEST_FIRST_BYTE_DURATION,
        _ => &metric::STETH_REQUEST_WAIT_DURATION,
    }
}

/// What a request waits for in series of this kind.
fn cause(kind: usize) -> Option<&'static str> {
    let queue = QUEUES.get(kind).copied();
    let cause = kind.checked_sub(BLOCKED).and_then(|at| Cause::ALL.get(at)).copied();
    queue.or(cause.map(blocked))
}

impl Whys {
    /// Counts what is known of one exchange.
    pub(super) fn record(&mut self, exchange: &Exchange<'_>, now: WallTime) {
        let course = &exchange.course;
        let Self([server, client]) = self;
        let of_role = if exchange.role == Role::Server { server } else { client };
        // All have the same bounds and unit.
        let place = |time: Nanos| Place::of(&metric::STETH_REQUEST_WAIT_DURATION, time.0);
        let mut add = |kind: usize, place: &Place| {
            if let Some(series) = of_role.get_mut(kind) {
                let new = || Box::new((now, Histogram::new(instrument(kind))));
                series.get_or_insert_with(new).1.count_at(place);
            }
        };
        let first = course.answered.map(|answered| place(answered.since(exchange.begun)));
        if let Some(first) = &first {
            add(FIRST_BYTE, first);
        }
        let why = &course.why;
        if let Ok(account) = why.thread()
            && !account.shared
        {
            // What waited for nothing was on the processor until its answer began.
            let same = first.filter(|first| first.value() == account.ran.0);
            add(CPU, &same.unwrap_or_else(|| place(account.ran)));
            if account.switches != 0 {
                let queues = [(RUN, account.queued), (THROTTLED, account.throttled)];
                let blocked = (BLOCKED..).zip(account.blocked);
                for (kind, time) in
                    queues.into_iter().chain(blocked).filter(|(_, time)| time.0 != 0)
                {
                    add(kind, &place(time));
                }
            }
        }
        let accept = if why.is_unseen_accept() { FIRST_READ } else { ACCEPT };
        for (kind, time) in [(accept, why.unaccepted()), (RECEIVE, why.unread())] {
            if let Some(time) = time {
                add(kind, &place(time));
            }
        }
    }

    /// Everything as it stands; its end, if it has `ended`.
    pub(super) fn metrics(&self, ended: bool) -> impl Iterator<Item = Metric> {
        let instruments = [BLOCKED, CPU, FIRST_BYTE].map(instrument);
        instruments.into_iter().filter_map(move |wanted| {
            let mut points = Vec::new();
            for (series, role) in self.0.iter().zip(["server", "client"]) {
                let of_instrument = series
                    .iter()
                    .enumerate()
                    .filter(|(kind, _)| std::ptr::eq(instrument(*kind), wanted));
                for (kind, series) in of_instrument {
                    let Some((start, histogram)) = series.as_deref() else { continue };
                    let data = if ended {
                        Data::Ended
                    } else {
                        Data::Histogram(Box::new(histogram.clone()))
                    };
                    points.push(Point {
                        attributes: attributes(role, cause(kind)),
                        start: *start,
                        data,
                    });
                }
            }
            (!points.is_empty()).then_some(Metric { instrument: wanted, points })
        })
    }
}

fn attributes(role: &'static str, cause: Option<&'static str>) -> Arc<[Attribute]> {
    let role = (key::STETH_REQUEST_ROLE, Value::Static(role));
    let cause = cause.map(|cause| (key::STETH_REQUEST_WAIT_CAUSE, Value::Static(cause)));
    [role].into_iter().chain(cause).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_holds_for_all() {
        for kind in 0..KINDS {
            assert_eq!(instrument(kind).bounds(), instrument(0).bounds());
            assert_eq!(instrument(kind).scale, instrument(0).scale);
        }
    }
}
