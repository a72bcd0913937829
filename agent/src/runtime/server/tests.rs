//! Against a real HTTP server, with and without TLS: one that answers, and those that do not.

mod far;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::super::bell::{self, Bell, Heard};
use super::*;
use crate::cluster::{Above, Cluster, Config, ContainerId, Place, PodUid, Whose};
use crate::export::sender::certificates::Certificates;

/// What the server does with a request.
enum Answer {
    /// This, at once.
    Now(u16, String),
    /// Lines, as they come.
    Lines(mpsc::UnboundedReceiver<String>),
    /// Nothing, ever.
    Hang,
}

const PODS: &str = "/api/v1/pods";

/// A server that answers for pods and others as told, in that order, and then not any more.
#[derive(Clone, Default)]
struct Fake {
    answers: Arc<Mutex<HashMap<&'static str, VecDeque<Answer>>>>,
    /// What single objects are: status and text by path, and 404 for all others.
    objects: Arc<Mutex<HashMap<String, (u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn says(&self, answer: Answer) {
        self.says_of(PODS, answer);
    }

    fn says_of(&self, path: &'static str, answer: Answer) {
        self.answers.lock().unwrap().entry(path).or_default().push_back(answer);
    }

    /// An object there is, with what controls it.
    fn has(&self, path: &str, uid: &str, owner: Option<Value>) {
        let metadata =
            json!({"uid": uid, "ownerReferences": owner.into_iter().collect::<Vec<_>>()});
        let object = json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata,
        });
        self.refuses(path, 200, &object.to_string());
    }

    fn refuses(&self, path: &str, status: u16, text: &str) {
        self.objects.lock().unwrap().insert(path.to_owned(), (status, text.to_owned()));
    }

    /// Paths that were asked for beside pods.
    fn asked_beside(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|uri| !uri.starts_with("/api/v1/pods?")).cloned().collect()
    }

    async fn listen(&self, tls: Option<TlsAcceptor>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fake = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (fake, tls) = (fake.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => fake.serve(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                fake.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        address
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(move |request| self.clone().answer(request));
        // A connection that the client gave up is no fault of the test.
        let http = hyper::server::conn::http1::Builder::new();
        let _ = http.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<impl Body<Data = Bytes, Error = Infallible>>, Infallible> {
        self.asked.lock().unwrap().push(request.uri().to_string());
        let path = request.uri().path();
        let queued = self.answers.lock().unwrap().get_mut(path).map(VecDeque::pop_front);
        let answer = if let Some(queued) = queued {
            queued
        } else if path == PODS {
            None
        } else {
            let object = self.objects.lock().unwrap().get(path).cloned();
            let (status, text) = object.unwrap_or_else(|| (404, status(404, "NotFound")));
            Some(if status == 0 { Answer::Hang } else { Answer::Now(status, text) })
        };
        let (status, lines) = match answer.unwrap_or(Answer::Hang) {
            Answer::Now(status, text) => {
                let (send, lines) = mpsc::unbounded_channel();
                send.send(text).unwrap();
                (status, lines)
            }
            Answer::Lines(lines) => (200, lines),
            Answer::Hang => std::future::pending().await,
        };
        let frames = futures_util::stream::unfold(lines, |mut lines| async move {
            let line = lines.recv().await?;
            Some((Ok(Frame::data(Bytes::from(line))), lines))
        });
        let builder = Response::builder().status(status).header("content-type", "application/json");
        Ok(builder.body(StreamBody::new(Box::pin(frames))).unwrap())
    }
}

fn status(code: u16, reason: &str) -> String {
    let message = format!("{reason} it is");
    json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message})
        .to_string()
}

fn pod(uid: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "shop", "uid": uid, "resourceVersion": "7",
            "labels": {"pod-template-hash": "6d4", "app": "cart"},
            "ownerReferences": [
                {"apiVersion": "example.com/v1", "kind": "Job", "name": "odd", "uid": "o0"},
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-6d4", "uid": "o1", "controller": true},
            ],
        },
        "spec": {
            "nodeName": "n1",
            "containers": [{"name": "web", "image": "here:5000/cart:1.2"}],
            "initContainers": [{"name": "init", "image": "here/init"}],
        },
        "status": {
            "startTime": "2026-01-02T03:04:05Z",
            "containerStatuses": [{
                "name": "web", "image": "sha256:1f", "imageID": "", "ready": true, "restartCount": 3,
                "containerID": "containerd://c2",
                "lastState": {"terminated": {"exitCode": 1, "containerID": "containerd://c1"}},
            }],
            "initContainerStatuses": [{
                "name": "init", "image": "here/init:3", "imageID": "", "ready": true, "restartCount": 0,
                "containerID": "containerd://c0",
            }],
            "ephemeralContainerStatuses": [{
                "name": "debug", "image": "here/sh:9", "imageID": "", "ready": false, "restartCount": 0,
            }],
        },
    })
}

fn list(pods: &[Value]) -> Answer {
    let list = json!({
        "apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": pods,
    });
    Answer::Now(200, list.to_string())
}

fn line(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}

fn config_of(scheme: &str, address: SocketAddr) -> kube::Config {
    kube::Config::new(format!("{scheme}://{address}").parse().unwrap())
}

fn told_of(news: &News) -> String {
    let names = |pods: &[crate::cluster::Pod]| {
        pods.iter().map(|pod| pod.name.to_string()).collect::<Vec<_>>().join(",")
    };
    match news {
        News::All(source, pods, containers) => {
            format!("{source:?} has {} and {} containers", names(pods), containers.len())
        }
        News::Pod(_, pod, containers) => format!("{} with {}", pod.name, containers.len()),
        News::Gone(_, uid) => format!("{} is gone", uid.0),
        News::Away(_, why) => format!("away: {why}"),
        News::Place(Place { node, cluster }) => format!("{node:?} {cluster:?}"),
        News::Above(uid, above) => match above {
            Above::Said(Some(above)) => {
                format!("{uid} is of {:?} {:?} {:?}", above.kind, above.name, above.uid)
            }
            other => format!("{uid} {other:?}"),
        },
        News::Part(part, standing) => format!("{part:?}: {standing:?}"),
        News::Services(all, beyond) => {
            let names = all.iter().map(|service| &*service.name).collect::<Vec<_>>().join(",");
            format!("Services {names} and {beyond} more")
        }
        News::Service(service) => format!("Service {} {:?}", service.name, service.addresses),
        News::NoService(uid) => format!("no Service {}", uid.0),
    }
}

fn wanted(place: &[Part]) -> Wanted {
    Wanted { node: "n1".to_owned(), place: place.to_vec(), chosen: Chosen::default() }
}

/// What comes of following until something is wrong.
async fn followed(config: kube::Config) -> (Vec<String>, String) {
    let mut news = Vec::new();
    let patience = Duration::from_millis(500);
    let mut beside = Beside::default();
    let tell = |said| {
        if !matches!(said, News::Place(_) | News::Above(..) | News::Part(..)) {
            news.push(told_of(&said));
        }
    };
    let why = follow(config, &wanted(&[]), &mut beside, patience, tell).await;
    (news, why)
}

#[tokio::test]
async fn the_pods_of_one_node_are_listed_and_followed() {
    let fake = Fake::default();
    fake.says(list(&[pod("u1", "cart-6d4-a")]));
    let (send, lines) = mpsc::unbounded_channel();
    let mut mirror = pod("u9", "etcd-n1");
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "3f4e"});
    send.send(line("ADDED", &pod("u2", "cart-6d4-b"))).unwrap();
    send.send(line("MODIFIED", &pod("u1", "cart-6d4-a"))).unwrap();
    send.send(line("DELETED", &mirror)).unwrap();
    let expired = json!({"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old"});
    send.send(line("ERROR", &expired)).unwrap();
    fake.says(Answer::Lines(lines));
    let address = fake.listen(None).await;
    let (news, why) = followed(config_of("http", address)).await;
    let expect = [
        "Server has cart-6d4-a and 3 containers",
        "cart-6d4-b with 3",
        "cart-6d4-a with 3",
        "3f4e is gone",
    ];
    assert_eq!(news, expect);
    assert!(why.contains("too old"), "{why}");
    let mut asked = fake.asked.lock().unwrap().clone();
    asked.retain(|uri| uri.starts_with("/api/v1/pods?"));
    assert!(asked.iter().all(|uri| uri.contains("fieldSelector=spec.nodeName%3Dn1")), "{asked:?}");
    assert!(asked[0].contains("resourceVersion=0") && asked[1].contains("watch=true"), "{asked:?}");
}

#[test]
fn objects_are_facts() {
    let pod = serde_json::from_value(pod("u1", "cart-6d4-a")).unwrap();
    let (pod, containers) = fact::facts(&pod, &Chosen::default()).unwrap();
    let sources = vec![Source::Server];
    let mut cluster =
        Cluster::new(Config { sources, ..Config::default() }, crate::event::Timestamp::default());
    cluster.learn(News::All(Source::Server, vec![pod], containers));
    let mut check = |id: &str, expect: &str| {
        let whose = Whose::Container(ContainerId::new(id), PodUid::new("u1"));
        cluster.meet(&whose);
        let sheet = cluster.sheet(&whose).unwrap();
        let all = sheet.attributes.iter().map(|(key, value)| format!("{}={value:?}", key.0));
        let all = all.collect::<Vec<_>>().join(" ");
        for part in expect.split(' ') {
            assert!(all.contains(part), "{part} of {id}: {all}");
        }
        assert_eq!(sheet.name.as_deref(), Some("cart"));
    };
    let of_pod =
        "k8s.pod.start_time=Text(\"2026-01-02T03:04:05Z\") k8s.replicaset.uid=Text(\"o1\")";
    check("c2", &format!("{of_pod} k8s.deployment.name=Text(\"cart\") restart_count=Int(3)"));
    check("c1", "k8s.container.name=Text(\"web\") restart_count=Int(2) tags=List([\"1.2\"])");
    check(
        "c0",
        "k8s.container.name=Text(\"init\") restart_count=Int(0) image.name=Text(\"here/init\")",
    );
    // No whole pod is no fact.
    assert_eq!(fact::facts(&Pod::default(), &Chosen::default()), None);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_a_reason() {
    let check = |answer: Answer, expect: &'static str| async move {
        let fake = Fake::default();
        fake.says(answer);
        let address = fake.listen(None).await;
        let (news, why) = followed(config_of("http", address)).await;
        assert_eq!(news, [""; 0]);
        assert!(why.contains(expect), "{expect}: {why} {:?}", fake.asked.lock().unwrap());
    };
    let forbidden = json!({"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message": "pods is forbidden"});
    check(Answer::Now(403, forbidden.to_string()), "pods is forbidden").await;
    check(Answer::Now(401, "who are you?".to_owned()), "who are you?").await;
    check(Answer::Now(200, "{\"items\": 7}".to_owned()), "deserializ").await;
    check(Answer::Now(500, String::new()), "500").await;
    check(Answer::Hang, "no list of pods within 500ms").await;
    // A port that was free a moment ago may be another test's by now.
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let (_, why) = followed(config_of("http", nobody)).await;
    assert!(why.contains("refused"), "{why}");
}

#[tokio::test]
async fn only_the_named_authority_is_trusted() {
    let Some(certificates) = Certificates::make() else { return };
    let fake = Fake::default();
    fake.says(list(&[pod("u1", "cart-6d4-a")]));
    fake.says(Answer::Now(500, String::new()));
    let address = fake.listen(Some(certificates.acceptor(&[], false))).await;
    let with = |name: &str| {
        let mut config = config_of("https", address);
        config.root_cert_file = Some(certificates.path(name));
        config
    };
    let (news, why) = followed(with("other.pem")).await;
    assert_eq!(news, [""; 0]);
    assert!(why.contains("certificate"), "{why}");
    let (news, _) = followed(with("ca.pem")).await;
    assert_eq!(news, ["Server has cart-6d4-a and 3 containers"]);
}

fn next(bell: &Bell<Ask>) -> String {
    loop {
        match bell.wait(None, Duration::from_secs(20)).unwrap() {
            Heard::Asked(Ask::Cluster(News::Place(_))) | Heard::Nothing => {}
            Heard::Asked(Ask::Cluster(news)) => return told_of(&news),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn it_is_asked_again_until_it_answers() {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let fake = Fake::default();
    fake.says(Answer::Now(503, "starting".to_owned()));
    fake.says(list(&[pod("u1", "cart-6d4-a")]));
    let address = threads.block_on(fake.listen(None));
    let (ringer, bell) = bell::hang().unwrap();
    let (stop, stopped) = watch::channel(false);
    let config = move || async move { Ok(config_of("http", address)) };
    let watching = threads.spawn(super::watch(config, wanted(&[]), ringer, stopped));
    let away = next(&bell);
    assert!(away.starts_with("away: ") && away.contains("starting"), "{away}");
    let listed = next(&bell);
    let asked = fake.asked.lock().unwrap().clone();
    assert_eq!(listed, "Server has cart-6d4-a and 3 containers", "{away} {asked:?}");
    stop.send_replace(true);
    threads.block_on(watching).unwrap();
}

const NODE: &str = "/api/v1/nodes/n1";
const SYSTEM: &str = "/api/v1/namespaces/kube-system";
const SET: &str = "/apis/apps/v1/namespaces/shop/replicasets/cart-6d4";

/// What is told up to this line; then the watch breaks.
async fn told_until(
    fake: &Fake,
    place: &[Part],
    beside: &mut Beside,
    breaking: mpsc::UnboundedSender<String>,
    last: &str,
) -> Vec<String> {
    let address = fake.listen(None).await;
    let mut news = Vec::new();
    let tell = |said| {
        news.push(told_of(&said));
        if news.last().is_some_and(|said| said == last) {
            breaking.send(line("ERROR", &json!({"kind": "Status", "code": 410}))).unwrap();
        }
    };
    let patience = Duration::from_secs(20);
    let wanted = wanted(place);
    let following = follow(config_of("http", address), &wanted, beside, patience, tell);
    let ended = timeout(patience, following).await;
    assert!(ended.is_ok(), "no {last} in {news:?}");
    news
}

#[tokio::test]
async fn place_and_owners_are_asked_for_once() {
    let fake = Fake::default();
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "the-cart", "uid": "d1", "controller": true,
    });
    fake.has(NODE, "n-uid", None);
    fake.has(SYSTEM, "c-uid", None);
    fake.has(SET, "o1", Some(deployment));
    let both = [Part::Node, Part::Cluster];
    let mut beside = Beside::default();
    let above = "o1 is of Deployment \"the-cart\" Some(\"d1\")";
    let mut follow = async |pods: &[Value]| {
        fake.says(list(pods));
        let (send, lines) = mpsc::unbounded_channel();
        fake.says(Answer::Lines(lines));
        send.send(line("ADDED", &pod("u3", "cart-6d4-c"))).unwrap();
        send.send(line("ADDED", &pod("u4", "last"))).unwrap();
        let mut news = told_until(&fake, &both, &mut beside, send, "last with 3").await;
        // An answer may come before the next line or behind it.
        news.sort();
        news
    };
    let all = "Server has cart-6d4-a,cart-6d4-b and 6 containers";
    let pods = [pod("u1", "cart-6d4-a"), pod("u2", "cart-6d4-b")];
    let first = follow(&pods).await;
    assert!(first.contains(&all.to_owned()), "{first:?}");
    assert!(first.contains(&"Some(\"n-uid\") Some(\"c-uid\")".to_owned()), "{first:?}");
    // The answer may not have come when the watch broke; what was never answered is asked for again.
    let second = follow(&pods).await;
    let times = |of: &str| fake.asked_beside().iter().filter(|uri| *uri == of).count();
    assert_eq!((times(NODE), times(SYSTEM)), (1, 1), "{:?}", fake.asked_beside());
    assert!(second.contains(&"Some(\"n-uid\") Some(\"c-uid\")".to_owned()), "{second:?}");
    assert!(times(SET) <= 2 && first.iter().chain(&second).filter(|s| *s == above).count() <= 1);
}

#[tokio::test]
async fn what_stands_above_an_owner_is_said_for_all_of_its_pods() {
    let fake = Fake::default();
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "the-cart", "uid": "d1", "controller": true,
    });
    fake.has(SET, "o1", Some(deployment));
    fake.says(list(&[pod("u1", "cart-6d4-a"), pod("u2", "cart-6d4-b")]));
    let (send, lines) = mpsc::unbounded_channel();
    fake.says(Answer::Lines(lines));
    let mut beside = Beside::default();
    let above = "o1 is of Deployment \"the-cart\" Some(\"d1\")";
    let news = told_until(&fake, &[], &mut beside, send, above).await;
    let expect = [
        "None None",
        "Server has cart-6d4-a,cart-6d4-b and 6 containers",
        "ReplicaSets: Ok(())",
        above,
    ];
    assert_eq!(news, expect);
    assert_eq!(fake.asked_beside(), [SET]);
    // The next pod of it needs no question.
    let pod = serde_json::from_value(pod("u3", "cart-6d4-c")).unwrap();
    let (mut pod, _) = fact::facts(&pod, &Chosen::default()).unwrap();
    beside.look(&mut pod);
    let above = pod.owner.unwrap().above;
    assert!(matches!(above, Above::Said(Some(above)) if &*above.name == "the-cart"));
}

#[tokio::test]
async fn each_part_may_be_refused_by_itself() {
    let fake = Fake::default();
    let text = status(403, "Forbidden");
    for path in [NODE, SET] {
        fake.refuses(path, 403, &text);
    }
    fake.has(SYSTEM, "c-uid", None);
    let mut job = pod("u2", "once-x2x9z");
    job["metadata"]["ownerReferences"] = json!([
        {"apiVersion": "batch/v1", "kind": "Job", "name": "once", "uid": "j1", "controller": true},
    ]);
    let mut hostile = pod("u3", "odd");
    hostile["metadata"]["ownerReferences"] = json!([
        {"apiVersion": "batch/v1", "kind": "Job", "name": "../../secrets/x", "uid": "j2", "controller": true},
    ]);
    fake.says(list(&[pod("u1", "cart-6d4-a"), hostile, job]));
    let (send, lines) = mpsc::unbounded_channel();
    fake.says(Answer::Lines(lines));
    let mut beside = Beside::default();
    let places = [Part::Node, Part::Cluster];
    let news = told_until(&fake, &places, &mut beside, send, "j1 Unsaid").await;
    let short = |said: &String| said.split('(').next().unwrap_or_default().to_owned();
    let expect = [
        "Node: Err",
        "Cluster: Ok",
        "None Some",
        "Server has cart-6d4-a,odd,once-x2x9z and 9 containers",
        "ReplicaSets: Err",
        "o1 Unsaid",
        // It is gone: nothing is wrong with that.
        "Jobs: Ok",
        "j1 Unsaid",
    ];
    assert_eq!(news.iter().map(short).collect::<Vec<_>>(), expect, "{news:?}");
    assert!(news[0].contains("Forbidden it is"), "{news:?}");
    let mut asked = fake.asked_beside();
    asked.sort();
    let once = "/apis/batch/v1/namespaces/shop/jobs/once";
    assert_eq!(asked, [SYSTEM, NODE, SET, once]);
    // What was refused is not asked for again, and nobody waits for it.
    let again = serde_json::from_value(pod("u9", "cart-6d4-z")).unwrap();
    let (mut again, _) = fact::facts(&again, &Chosen::default()).unwrap();
    beside.look(&mut again);
    assert_eq!(again.owner.unwrap().above, Above::Unsaid);
}

#[tokio::test]
async fn what_is_too_long_is_a_reason() {
    let check = async |lines: Vec<String>, expect: &str| {
        let fake = Fake::default();
        let is_list = lines.is_empty();
        let long = "x".repeat(33 << 20);
        fake.says(if is_list { Answer::Now(200, long) } else { list(&[pod("u1", "cart-6d4-a")]) });
        let (send, answer) = mpsc::unbounded_channel();
        for line in lines {
            send.send(line).unwrap();
        }
        fake.says(Answer::Lines(answer));
        let address = fake.listen(None).await;
        let mut beside = Beside::default();
        let (wanted, patience) = (wanted(&[]), Duration::from_secs(20));
        let config = config_of("http", address);
        let why = timeout(patience, follow(config, &wanted, &mut beside, patience, |_| ())).await;
        assert!(why.as_ref().unwrap().contains(expect), "{why:?}");
    };
    check(Vec::new(), "the answer is longer than 33554432 bytes").await;
    let mut long = pod("u1", "cart-6d4-a");
    long["metadata"]["annotations"] = json!({"a": "x".repeat(3 << 20)});
    let long = line("MODIFIED", &long);
    // Two lines may be longer together.
    check(vec![long.clone(), long, "y".repeat(5 << 20)], "the answer is longer than 4194304 bytes")
        .await;
}

#[test]
fn hostile_objects_are_short_facts() {
    let chosen = Chosen { labels: ["team".to_owned()].into(), annotations: [].into() };
    let mut one = pod("u1\n", &"n".repeat(1 << 20));
    let many = (0..100_000).map(|i| (format!("resource.opentelemetry.io/k{i}"), json!("v\u{1}")));
    one["metadata"]["annotations"] = Value::Object(many.collect());
    one["metadata"]["labels"] = json!({"team": "t".repeat(1 << 20), "a\u{0}b": "x"});
    one["status"]["containerStatuses"][0]["restartCount"] = json!(i32::MIN);
    one["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "250m", "memory": "1e99"}, "requests": {"cpu": "-1", "memory": "64Mi"}});
    let Some(News::Pod(_, pod, containers)) = facts(&chosen, one.to_string().as_bytes()) else {
        panic!("no facts")
    };
    assert_eq!((&*pod.uid.0, pod.name.len()), ("u1\u{fffd}", 255));
    assert_eq!((pod.labels.len(), pod.labels["team"].len()), (1, 255));
    assert_eq!(
        (pod.annotations.len(), &*pod.annotations["resource.opentelemetry.io/k0"]),
        (64, "v\u{fffd}")
    );
    assert_eq!(containers[0].restarts, None);
    let amounts = containers[0].desired.unwrap();
    assert_eq!((amounts.cpu_limit, amounts.memory_limit), (Some(250_000_000), None));
    assert_eq!((amounts.cpu_request, amounts.memory_request), (None, Some(64 << 20)));
    for json in ["", "[]", "{\"metadata\": 7}", &"[".repeat(1 << 16)] {
        assert_eq!(facts(&chosen, json.as_bytes()), None);
    }
}
