//! The push of spans against a collector that answers by a script, in paused time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::time::{Instant, sleep};

use super::{Terms, spawn_with};
use crate::entity::EntityId;
use crate::event::Timestamp;
use crate::export::counters::{Counters, DropReason};
use crate::export::sender::{Outcome, Wire};
use crate::host::Anchor;
use crate::metric::key;
use crate::metric::snapshot::{Resource, Value, WallTime};
use crate::protocol::Role;
use crate::trace::ids::{SpanId, TraceId};
use crate::trace::{Batch, Kind, Span};

#[derive(Clone, Copy)]
enum Answer {
    Take,
    TakeInPart(u64),
    Busy,
    Refuse,
    Hang,
}

/// A collector that answers by a script and then always the last.
#[derive(Clone)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    taken: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Script {
    fn new(answers: &[Answer]) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.iter().copied().collect())),
            taken: Arc::default(),
        }
    }

    /// Names of the spans of each request.
    fn names(&self) -> Vec<Vec<String>> {
        let of = |request: &ExportTraceServiceRequest| {
            let scopes = request.resource_spans.iter().flat_map(|of| &of.scope_spans);
            scopes.flat_map(|scope| &scope.spans).map(|span| span.name.clone()).collect()
        };
        self.taken.lock().unwrap().iter().map(of).collect()
    }
}

impl Wire for Script {
    async fn send(&mut self, body: &Bytes) -> Outcome {
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            if answers.len() > 1 { answers.pop_front() } else { answers.front().copied() }
        };
        let take = |rejected| {
            let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
            self.taken.lock().unwrap().push(request);
            Outcome::Accepted { rejected, message: String::new() }
        };
        match answer.unwrap_or(Answer::Take) {
            Answer::Take => take(0),
            Answer::TakeInPart(rejected) => take(rejected),
            Answer::Busy => Outcome::Retry { after: None, why: "busy".to_owned() },
            Answer::Refuse => Outcome::Fatal { why: "no".to_owned() },
            Answer::Hang => std::future::pending().await,
        }
    }
}

fn span(name: &str) -> Span {
    Span {
        entity: EntityId(1),
        role: Role::Server,
        kind: Kind::Server,
        trace: TraceId([1; 16]),
        id: SpanId([2; 8]),
        parent: Some(SpanId([3; 8])),
        state: "ot=th:0".to_owned(),
        name: name.to_owned(),
        begun: Timestamp(5),
        ended: Timestamp(7),
        error: true,
        link: None,
        attributes: vec![(key::HTTP_RESPONSE_STATUS_CODE, Value::Int(500))],
    }
}

/// Spans of several services, named by numbers.
fn batch(services: &[&[u32]]) -> Batch {
    let anchor = Anchor { monotonic: Timestamp(0), wall: WallTime(1000), ..Anchor::default() };
    let of = |(place, names): (usize, &&[u32])| {
        let name = Value::Text(format!("service-{place}").into());
        let resource = Resource { attributes: vec![(key::SERVICE_NAME, name)] };
        let spans = names.iter().map(|name| span(&name.to_string())).collect();
        (Arc::new(resource), spans)
    };
    Batch { anchor, services: services.iter().enumerate().map(of).collect() }
}

const TERMS: Terms = Terms { spans: 4, bytes: 1 << 20, max_age: Duration::from_mins(5) };

/// What becomes of these batches when the collector answers so.
async fn pushed(answers: &[Answer], terms: Terms, batches: &[Batch]) -> (Script, Counters) {
    let script = Script::new(answers);
    let handle = spawn_with(script.clone(), terms, 10);
    for batch in batches {
        handle.publisher().publish(batch.clone());
        sleep(Duration::from_secs(1)).await;
    }
    sleep(Duration::from_mins(20)).await;
    let counters = handle.shutdown(Duration::from_secs(5)).await;
    (script, counters)
}

#[tokio::test(start_paused = true)]
async fn many_services_share_a_request_and_batches_are_cut() {
    let (script, counters) =
        pushed(&[Answer::Take], TERMS, &[batch(&[&[1, 2], &[3]]), batch(&[&[4, 5, 6, 7, 8]])])
            .await;
    assert_eq!(script.names(), [vec!["1", "2", "3"], vec!["4", "5", "6", "7"], vec!["8"]]);
    assert_eq!((counters.exported, counters.requests, counters.dropped.total()), (8, 3, 0));
    let first = script.taken.lock().unwrap().first().cloned().unwrap();
    assert_eq!(first.resource_spans.len(), 2);
    let sent = &first.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((sent.start_time_unix_nano, sent.end_time_unix_nano), (1005, 1007));
    assert_eq!(
        (sent.trace_id.as_slice(), sent.parent_span_id.as_slice()),
        (&[1; 16][..], &[3; 8][..])
    );
    assert_eq!((sent.kind, sent.flags, sent.status.as_ref().unwrap().code), (2, 0x303, 2));
}

#[tokio::test(start_paused = true)]
async fn requests_stay_below_the_limit_and_what_is_larger_is_counted() {
    let mut large = batch(&[&[1, 2, 3, 4]]);
    for (place, spans) in large.services.iter_mut().enumerate() {
        spans.1[place + 1].name = "x".repeat(2000);
    }
    let (script, counters) = pushed(&[Answer::Take], Terms { bytes: 900, ..TERMS }, &[large]).await;
    assert_eq!(script.names().concat(), ["1", "3", "4"]);
    for request in script.taken.lock().unwrap().iter() {
        assert!(request.encoded_len() <= 900);
    }
    assert_eq!((counters.exported, counters.dropped.by(DropReason::TooLarge)), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn every_span_arrives_or_is_counted() {
    use Answer::{Busy, Hang, Refuse, Take, TakeInPart};
    let three = [batch(&[&[1, 2, 3]])];
    let (script, counters) = pushed(&[Busy, Busy, Take], TERMS, &three).await;
    assert_eq!((script.names().len(), counters.retries, counters.exported), (1, 2, 3));
    let (_, counters) = pushed(&[TakeInPart(2)], TERMS, &three).await;
    assert_eq!((counters.exported, counters.rejected), (1, 2));
    let (_, counters) = pushed(&[Refuse], TERMS, &three).await;
    assert_eq!((counters.exported, counters.dropped.by(DropReason::Refused)), (0, 3));
    let (_, counters) = pushed(&[Busy], TERMS, &three).await;
    assert_eq!((counters.exported, counters.dropped.by(DropReason::Expired)), (0, 3));
    // While the collector hangs, 10 may wait behind the 3 that are under way.
    let many: Vec<Batch> = (0..5).map(|_| batch(&[&[1, 2, 3]])).collect();
    let (_, counters) = pushed(&[Hang], TERMS, &many).await;
    assert_eq!(counters.dropped.by(DropReason::QueueFull), 2);
    assert_eq!(counters.dropped.by(DropReason::Shutdown), 13);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_sends_what_waits_and_ends_in_time() {
    let script = Script::new(&[Answer::Busy, Answer::Take]);
    let handle = spawn_with(script.clone(), TERMS, 10);
    handle.publisher().publish(batch(&[&[1, 2]]));
    let counters = handle.shutdown(Duration::from_secs(5)).await;
    assert_eq!((counters.exported, counters.dropped.total()), (2, 0));
    let handle = spawn_with(Script::new(&[Answer::Hang]), TERMS, 10);
    handle.publisher().publish(batch(&[&[1, 2]]));
    let begun = Instant::now();
    let counters = handle.shutdown(Duration::from_secs(5)).await;
    assert_eq!(counters.dropped.by(DropReason::Shutdown), 2);
    assert!(begun.elapsed() < Duration::from_secs(6));
}
