//! The push against a collector that answers by a script, in paused time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data as MetricData;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as NumberValue;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use prost::Message;
use tokio::time::{Instant, sleep};

use super::Terms;
use crate::export::config::{Aggregation, Temporality};
use crate::export::counters::DropReason;
use crate::export::otlp::batch::LIMIT;
use crate::export::otlp::point::Form;
use crate::export::sample::{self, points_in, totals};
use crate::export::sender::{Outcome, Wire};
use crate::export::{Export, Handle, spawn_with};
use crate::metric::snapshot::{Attribute, Data, Number, Point, Snapshot, Value, WallTime};

/// What the collector does with one attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Take,
    TakeInPart(u64),
    Busy(Option<u64>),
    Refuse,
    Hang,
}

/// A collector that answers by a script, then always the same.
#[derive(Clone)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    afterwards: Arc<Mutex<Answer>>,
    attempts: Arc<Mutex<Vec<(u64, Answer)>>>,
    taken: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
    began: Instant,
}

impl Script {
    fn new(answers: &[Answer], afterwards: Answer) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.iter().copied().collect())),
            afterwards: Arc::new(Mutex::new(afterwards)),
            attempts: Arc::default(),
            taken: Arc::default(),
            began: Instant::now(),
        }
    }

    fn taken(&self) -> Vec<ExportMetricsServiceRequest> {
        self.taken.lock().unwrap().clone()
    }

    /// When each attempt was made, in whole seconds.
    fn attempts(&self) -> Vec<u64> {
        self.attempts.lock().unwrap().iter().map(|(at, _)| *at).collect()
    }
}

impl Wire for Script {
    async fn send(&mut self, body: &Bytes) -> Outcome {
        let next = self.answers.lock().unwrap().pop_front();
        let answer = next.unwrap_or(*self.afterwards.lock().unwrap());
        self.attempts.lock().unwrap().push((self.began.elapsed().as_secs(), answer));
        let take = || {
            let request = ExportMetricsServiceRequest::decode(body.clone()).unwrap();
            self.taken.lock().unwrap().push(request);
        };
        let why = "as told".to_owned();
        match answer {
            Answer::Take => {
                take();
                Outcome::Accepted { rejected: 0, message: String::new() }
            }
            Answer::TakeInPart(rejected) => {
                take();
                Outcome::Accepted { rejected, message: why }
            }
            Answer::Busy(after) => Outcome::Retry { after: after.map(Duration::from_secs), why },
            Answer::Refuse => Outcome::Fatal { why },
            Answer::Hang => std::future::pending().await,
        }
    }
}

fn start(script: &Script, temporality: Temporality, limit: usize) -> Handle {
    let form = Form { temporality, histograms: Aggregation::Exponential };
    let terms = Terms { form, limit, max_age: Duration::from_mins(5) };
    spawn_with(script.clone(), terms)
}

fn publish(handle: &Handle, time: u64, services: &[(&str, u64)]) {
    handle.publish(Arc::new(sample::snapshot(time, services)));
}

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(start_paused = true)]
async fn a_published_snapshot_is_sent_at_once() {
    let script = Script::new(&[], Answer::Take);
    let handle = start(&script, Temporality::Cumulative, LIMIT);
    publish(&handle, 5, &[("shop", 3), ("cart", 4)]);
    sleep(Duration::from_millis(1)).await;
    let counters = handle.counters();
    assert_eq!((counters.published, counters.exported, counters.requests), (1, 4, 1));
    assert_eq!(counters.dropped.total(), 0);
    assert_eq!(script.taken().len(), 1);
    assert_eq!(counters.bytes, script.taken()[0].encoded_len() as u64);
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_without_a_collector_leave_the_newest_snapshot_and_no_queue() {
    let script = Script::new(&[], Answer::Busy(None));
    let handle = start(&script, Temporality::Cumulative, LIMIT);
    for minute in 1..=10 {
        publish(&handle, minute, &[("shop", minute)]);
        sleep(MINUTE).await;
    }
    assert!(script.taken().is_empty());
    *script.afterwards.lock().unwrap() = Answer::Take;
    publish(&handle, 11, &[("shop", 11)]);
    sleep(MINUTE).await;
    let taken = script.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(totals(&taken, false), BTreeMap::from([(("shop".to_owned(), 1), 11)]));
    let counters = handle.shutdown(MINUTE).await;
    assert_eq!((counters.exported, counters.departed), (2, 0));
    assert_eq!(counters.dropped.by(DropReason::Superseded), 20);
    assert_eq!(counters.dropped.total(), 20);
    // Half a minute is the longest wait: at least two attempts a minute, and not one a millisecond.
    assert!((20..=100).contains(&counters.retries), "{}", counters.retries);
}

#[tokio::test(start_paused = true)]
async fn the_delay_a_server_asked_for_holds_for_newer_snapshots_too() {
    let script = Script::new(&[Answer::Busy(Some(100)), Answer::Busy(Some(7))], Answer::Take);
    let handle = start(&script, Temporality::Cumulative, LIMIT);
    publish(&handle, 1, &[("shop", 1)]);
    sleep(MINUTE).await;
    publish(&handle, 2, &[("shop", 2)]);
    sleep(2 * MINUTE).await;
    assert_eq!(script.attempts(), [0, 100, 107]);
    assert_eq!(totals(&script.taken(), false), BTreeMap::from([(("shop".to_owned(), 1), 2)]));
    assert_eq!(handle.counters().retries, 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_is_not_sent_again() {
    let script = Script::new(&[Answer::Refuse], Answer::Take);
    let handle = start(&script, Temporality::Cumulative, LIMIT);
    publish(&handle, 1, &[("shop", 1)]);
    sleep(MINUTE).await;
    assert_eq!(script.attempts(), [0]);
    assert_eq!(handle.counters().dropped.by(DropReason::Refused), 2);
    publish(&handle, 2, &[("shop", 2)]);
    sleep(MINUTE).await;
    assert_eq!(script.attempts(), [0, 60]);
}

#[tokio::test(start_paused = true)]
async fn points_rejected_from_a_request_are_counted_and_not_sent_again() {
    let script = Script::new(&[Answer::TakeInPart(1)], Answer::Take);
    let handle = start(&script, Temporality::Delta, LIMIT);
    publish(&handle, 1, &[("shop", 5)]);
    sleep(MINUTE).await;
    assert_eq!(script.attempts(), [0]);
    publish(&handle, 2, &[("shop", 6)]);
    sleep(MINUTE).await;
    let counters = handle.counters();
    assert_eq!((counters.exported, counters.rejected, counters.requests), (3, 1, 2));
    assert_eq!(totals(&script.taken(), true), BTreeMap::from([(("shop".to_owned(), 1), 6)]));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_given_up_when_it_is_too_old() {
    let script = Script::new(&[], Answer::Busy(None));
    let handle = start(&script, Temporality::Cumulative, LIMIT);
    publish(&handle, 1, &[("shop", 1)]);
    sleep(20 * MINUTE).await;
    assert_eq!(handle.counters().dropped.by(DropReason::Expired), 2);
    assert!(script.attempts().iter().all(|at| *at <= 300), "{:?}", script.attempts());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_sends_what_was_published_last() {
    let script = Script::new(&[Answer::Busy(Some(3))], Answer::Take);
    let handle = start(&script, Temporality::Cumulative, LIMIT);
    publish(&handle, 1, &[("shop", 1)]);
    sleep(Duration::from_secs(1)).await;
    publish(&handle, 2, &[("shop", 2)]);
    let counters = handle.shutdown(Duration::from_secs(5)).await;
    assert_eq!(script.attempts(), [0, 3]);
    assert_eq!((counters.exported, counters.dropped.by(DropReason::Shutdown)), (2, 0));
    assert_eq!(totals(&script.taken(), false), BTreeMap::from([(("shop".to_owned(), 1), 2)]));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_the_next_attempt() {
    let script = Script::new(&[Answer::Busy(None); 9], Answer::Take);
    let handle = start(&script, Temporality::Cumulative, LIMIT);
    publish(&handle, 1, &[("shop", 1)]);
    while handle.counters().retries < 9 {
        sleep(Duration::from_millis(1)).await;
    }
    let began = Instant::now();
    let counters = handle.shutdown(MINUTE).await;
    assert_eq!((counters.exported, counters.retries), (2, 9));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_at_its_deadline_and_counts_what_is_left() {
    let check = async |answer: Answer, most: u64| {
        let script = Script::new(&[], answer);
        let handle = start(&script, Temporality::Cumulative, LIMIT);
        publish(&handle, 1, &[("shop", 1), ("cart", 1)]);
        sleep(Duration::from_millis(1)).await;
        let began = Instant::now();
        let counters = handle.shutdown(Duration::from_secs(5)).await;
        assert!(began.elapsed() <= Duration::from_secs(most), "{answer:?}");
        assert_eq!(counters.dropped.by(DropReason::Shutdown), 4, "{answer:?}");
        assert_eq!(counters.exported, 0);
    };
    check(Answer::Hang, 5).await;
    check(Answer::Busy(None), 5).await;
    check(Answer::Busy(Some(60)), 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_ends_the_task_and_publishers_do_no_harm() {
    let script = Script::new(&[], Answer::Busy(None));
    let handle = start(&script, Temporality::Cumulative, LIMIT);
    let publisher = handle.publisher();
    publisher.publish(Arc::new(sample::snapshot(1, &[("shop", 1)])));
    sleep(MINUTE).await;
    drop(handle);
    sleep(MINUTE).await;
    let attempts = script.attempts().len();
    publisher.publish(Arc::new(sample::snapshot(2, &[("shop", 2)])));
    sleep(MINUTE).await;
    assert_eq!(script.attempts().len(), attempts);
    assert_eq!(publisher.counters().dropped.by(DropReason::Shutdown), 2);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_in_pieces_is_finished_before_the_newer_one() {
    let script = Script::new(&[], Answer::Take);
    let handle = start(&script, Temporality::Cumulative, 20_000);
    handle.publish(Arc::new(sample::wide_snapshot(1000)));
    sleep(Duration::from_millis(1)).await;
    let taken = script.taken();
    assert!(taken.len() > 10);
    assert_eq!(taken.iter().map(points_in).sum::<u64>(), 1000);
    assert_eq!(handle.counters().exported, 1000);
}

#[tokio::test(start_paused = true)]
async fn a_series_that_ended_while_the_collector_was_away_still_arrives() {
    for temporality in [Temporality::Cumulative, Temporality::Delta] {
        let script = Script::new(&[], Answer::Busy(None));
        let handle = start(&script, temporality, LIMIT);
        publish(&handle, 1, &[("shop", 1), ("job", 50)]);
        sleep(MINUTE).await;
        publish(&handle, 2, &[("shop", 2)]);
        sleep(MINUTE).await;
        assert_eq!(handle.counters().departed, 2);
        publish(&handle, 3, &[("shop", 3)]);
        sleep(MINUTE).await;
        *script.afterwards.lock().unwrap() = Answer::Take;
        sleep(MINUTE).await;
        let expect = BTreeMap::from([(("shop".to_owned(), 1), 3), (("job".to_owned(), 1), 50)]);
        assert_eq!(totals(&script.taken(), temporality == Temporality::Delta), expect);
        let counters = handle.counters();
        assert_eq!((counters.departed, counters.dropped.by(DropReason::EndedUnsent)), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_for_a_collector_that_is_away_is_bounded() {
    let script = Script::new(&[], Answer::Busy(None));
    let handle = start(&script, Temporality::Delta, LIMIT);
    for round in 0..20_u64 {
        let names: Vec<String> = (0..500).map(|job| format!("job-{round}-{job}")).collect();
        let services: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        publish(&handle, round + 2, &services);
        sleep(MINUTE).await;
    }
    let counters = handle.counters();
    assert_eq!(counters.departed, 4000);
    assert_eq!(counters.dropped.by(DropReason::EndedUnsent), 15_000);
    assert_eq!(counters.baselines, 0);
    assert_eq!(counters.dropped.total(), 15_000);
}

#[tokio::test(start_paused = true)]
async fn baselines_end_with_their_series() {
    let script = Script::new(&[], Answer::Take);
    let handle = start(&script, Temporality::Delta, LIMIT);
    for round in 0..20_u64 {
        let name = format!("job-{round}");
        publish(&handle, round + 2, &[("shop", round), (&name, 1)]);
        sleep(MINUTE).await;
        assert_eq!(handle.counters().baselines, 4);
    }
}

/// What a service does between two snapshots.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Grow(u64),
    End,
    Vanish,
    Restart(u64),
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => (0..1000_u64).prop_map(Fate::Grow),
        1 => Just(Fate::End),
        1 => Just(Fate::Vanish),
        1 => (0..1000_u64).prop_map(Fate::Restart),
    ]
}

fn answers() -> impl Strategy<Value = Answer> {
    prop_oneof![
        3 => Just(Answer::Take),
        2 => Just(Answer::Busy(None)),
        1 => (0..200_u64).prop_map(|delay| Answer::Busy(Some(delay))),
    ]
}

const SERVICES: [&str; 4] = ["shop", "cart", "job", "mail"];

/// The services as they are: when each began, what it counted, whether it has just ended.
#[derive(Default)]
struct World {
    alive: BTreeMap<&'static str, (u64, u64, bool)>,
    expect: BTreeMap<(String, u64), u64>,
}

impl World {
    fn step(&mut self, now: u64, fates: &[Fate]) -> Snapshot {
        self.alive.retain(|_, (_, _, ended)| !*ended);
        for (service, fate) in SERVICES.into_iter().zip(fates) {
            match (self.alive.get_mut(service), *fate) {
                (Some((_, count, _)), Fate::Grow(by)) => *count += by,
                (Some((_, _, ended)), Fate::End) => *ended = true,
                (Some(_), Fate::Vanish) => drop(self.alive.remove(service)),
                (_, Fate::Restart(count)) | (None, Fate::Grow(count)) => {
                    // It began between the two snapshots.
                    self.alive.insert(service, (now - 1, count, false));
                }
                (None, Fate::End | Fate::Vanish) => (),
            }
        }
        let services: Vec<(&str, u64)> =
            self.alive.iter().map(|(service, (_, count, _))| (*service, *count)).collect();
        let mut snapshot = sample::snapshot(now, &services);
        for (resource, (service, (start, count, ended))) in
            snapshot.resources.iter_mut().zip(&self.alive)
        {
            self.expect.insert(((*service).to_owned(), *start), *count);
            for metric in &mut resource.scopes[0].metrics {
                metric.points[0].start = WallTime(*start);
                if *ended {
                    metric.points[0].data = Data::Ended;
                }
            }
        }
        snapshot
    }
}

/// Routes of one service that are merged into another one, again and again.
fn merging(now: u64, counts: &mut [(u64, bool)], merge: Option<usize>, grow: u64) -> Snapshot {
    let mut snapshot = sample::snapshot(now, &[("shop", 0)]);
    let labels = |route: usize| -> Arc<[Attribute]> {
        [(crate::metric::key::HTTP_ROUTE, Value::Text(format!("/{route}").into()))].into()
    };
    let last = counts.len() - 1;
    let merged = merge.filter(|route| *route < last && counts[*route].1);
    for (route, (count, alive)) in counts.iter_mut().enumerate() {
        if *alive {
            *count += grow + route as u64;
        }
    }
    for metric in &mut snapshot.resources[0].scopes[0].metrics {
        metric.points.clear();
        let histogram =
            matches!(metric.instrument.kind, crate::metric::instrument::Kind::Histogram(_));
        for (route, (count, alive)) in counts.iter().enumerate() {
            let total = if route == last {
                *count + merged.map_or(0, |merged| counts[merged].0)
            } else {
                *count
            };
            let data = if Some(route) == merged {
                Data::Moved(labels(last))
            } else if !alive {
                continue;
            } else if histogram {
                Data::Histogram(Box::new(sample::quarters(total)))
            } else {
                Data::Number(Number::Int(i64::try_from(total).unwrap()))
            };
            metric.points.push(Point { attributes: labels(route), start: sample::START, data });
        }
    }
    if let Some(merged) = merged {
        counts[last].0 += counts[merged].0;
        counts[merged] = (0, false);
    }
    snapshot
}

/// All that was ever counted for a service over all its routes.
fn sums(taken: &[ExportMetricsServiceRequest]) -> (u64, i64) {
    let (mut histograms, mut counters) = (0, 0);
    let metrics = taken
        .iter()
        .flat_map(|request| &request.resource_metrics)
        .flat_map(|resource| &resource.scope_metrics)
        .flat_map(|scope| &scope.metrics);
    for metric in metrics {
        match metric.data.as_ref().unwrap() {
            MetricData::ExponentialHistogram(histogram) => {
                histograms += histogram.data_points.iter().map(|point| point.count).sum::<u64>();
            }
            MetricData::Sum(sum) => {
                for point in &sum.data_points {
                    match point.value {
                        Some(NumberValue::AsInt(value)) => counters += value,
                        None => assert_eq!(point.flags, 1),
                        other => panic!("{other:?}"),
                    }
                }
            }
            other => panic!("{other:?}"),
        }
    }
    (histograms, counters)
}

proptest::proptest! {
    #[test]
    fn deltas_tell_nothing_twice_when_series_become_part_of_another(
        steps in proptest::collection::vec(
            (
                proptest::option::of(0..5_usize),
                0..100_u64,
                proptest::collection::vec(answers(), 0..6),
                0..3_u8,
            ),
            1..15,
        ),
        small in any::<bool>(),
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let script = Script::new(&[], Answer::Take);
            let handle = start(&script, Temporality::Delta, if small { 700 } else { LIMIT });
            let mut counts = [(0, true); 6];
            for (number, (merge, grow, answers, wait)) in steps.iter().enumerate() {
                script.answers.lock().unwrap().extend(answers);
                let now = 10 * (number as u64 + 1);
                handle.publish(Arc::new(merging(now, &mut counts, *merge, *grow)));
                match wait {
                    // The task does not even see this snapshot.
                    0 => (),
                    1 => sleep(Duration::from_millis(5)).await,
                    _ => sleep(MINUTE).await,
                }
            }
            script.answers.lock().unwrap().clear();
            sleep(20 * MINUTE).await;
            let now = 10 * (steps.len() as u64 + 1);
            handle.publish(Arc::new(merging(now, &mut counts, None, 1)));
            handle.shutdown(MINUTE).await;
            let expect: u64 = counts.iter().map(|(count, _)| *count).sum();
            assert_eq!(sums(&script.taken()), (expect, i64::try_from(expect).unwrap()));
        });
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    #[test]
    fn deltas_add_up_to_the_cumulative_whatever_the_collector_does(
        steps in proptest::collection::vec(
            (
                proptest::array::uniform4(fates()),
                proptest::collection::vec(answers(), 0..6),
                any::<bool>(),
            ),
            1..25,
        ),
        small in any::<bool>(),
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            // So small that each request holds about two points.
            let limit = if small { 700 } else { LIMIT };
            let script = Script::new(&[], Answer::Take);
            let handle = start(&script, Temporality::Delta, limit);
            let mut world = World::default();
            for (number, (fates, answers, wait)) in steps.iter().enumerate() {
                script.answers.lock().unwrap().extend(answers);
                let now = 10 * (number as u64 + 1);
                handle.publish(Arc::new(world.step(now, fates)));
                sleep(if *wait { MINUTE } else { Duration::from_millis(5) }).await;
            }
            script.answers.lock().unwrap().clear();
            sleep(20 * MINUTE).await;
            let now = 10 * (steps.len() as u64 + 1);
            handle.publish(Arc::new(world.step(now, &[Fate::Grow(1); 4])));
            let counters = handle.shutdown(MINUTE).await;
            for reason in DropReason::ALL {
                if reason != DropReason::Superseded {
                    assert_eq!(counters.dropped.by(reason), 0, "{}", reason.name());
                }
            }
            assert_eq!(totals(&script.taken(), true), world.expect);
        });
    }
}
