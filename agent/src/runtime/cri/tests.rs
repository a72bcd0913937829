//! Against a real gRPC server on a real Unix socket: one that answers, and those that do not.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tempfile::TempDir;
use tokio::net::UnixListener;

use super::super::bell::{self, Bell, Heard};
use super::wire;
use super::*;
use crate::cluster::{Cluster, Config, Whose};
use crate::metric::snapshot::Value;

/// A container as runtimes send it: with fields that nobody here asks for.
#[derive(Clone, PartialEq, prost::Message)]
struct Sent {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    pod_sandbox_id: String,
    #[prost(message, optional, tag = "3")]
    metadata: Option<wire::ContainerMetadata>,
    #[prost(message, optional, tag = "4")]
    image: Option<wire::ImageSpec>,
    #[prost(string, tag = "5")]
    image_ref: String,
    #[prost(int32, tag = "6")]
    state: i32,
    #[prost(int64, tag = "7")]
    created_at: i64,
    #[prost(map = "string, string", tag = "8")]
    labels: HashMap<String, String>,
    #[prost(string, tag = "10")]
    image_id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SentAll {
    #[prost(message, repeated, tag = "1")]
    containers: Vec<Sent>,
}

/// What a runtime does when it is asked something.
#[derive(Clone, Debug)]
enum Answer {
    /// Says this.
    Bytes(Vec<u8>),
    /// Refuses, by number and word.
    Status(u16, &'static str),
    /// Never answers.
    Hang,
}

/// A runtime that answers by the last part of the path, and remembers what it was asked.
#[derive(Clone, Debug, Default)]
struct Fake {
    answers: Arc<Mutex<BTreeMap<&'static str, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn says(&self, verb: &'static str, answer: Answer) {
        self.answers.lock().unwrap().insert(verb, answer);
    }

    fn tells(&self, verb: &'static str, message: &impl Message) {
        self.says(verb, Answer::Bytes(message.encode_to_vec()));
    }

    fn listen(&self, socket: &Path) {
        let listener = UnixListener::bind(socket).unwrap();
        let fake = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fake = fake.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| fake.clone().answer(request));
                    let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    // A connection that the client gave up is no fault of the test.
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
    }

    async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible>
    {
        let path = request.uri().path().to_owned();
        let verb = path.strip_prefix("/runtime.v1.RuntimeService/").unwrap_or("?").to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let named = wire::ContainerStatusRequest::decode(body.slice(5..)).unwrap();
        let whom = if verb == "ContainerStatus" { named.container_id } else { String::new() };
        self.asked.lock().unwrap().push(format!("{verb} {whom}").trim_end().to_owned());
        let answer = self.answers.lock().unwrap().get(verb.as_str()).cloned();
        let (bytes, status, said) = match answer.unwrap_or(Answer::Status(12, "unimplemented")) {
            Answer::Bytes(bytes) => (Some(bytes), 0, ""),
            Answer::Status(status, said) => (None, status, said),
            Answer::Hang => std::future::pending().await,
        };
        let framed = bytes.map(|bytes| {
            let mut framed = vec![0];
            framed.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
            framed.extend(bytes);
            framed
        });
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.into());
        trailers.insert("grpc-message", said.parse().unwrap());
        let body = Full::new(Bytes::from(framed.unwrap_or_default()))
            .with_trailers(async move { Some(Ok(trailers)) });
        Ok(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
    }
}

fn pairs(all: &[(&str, &str)]) -> HashMap<String, String> {
    all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn sandbox(id: &str, uid: &str, name: &str, labels: &[(&str, &str)]) -> wire::PodSandbox {
    wire::PodSandbox {
        id: id.to_owned(),
        metadata: Some(wire::PodSandboxMetadata {
            name: name.to_owned(),
            uid: uid.to_owned(),
            namespace: "shop".to_owned(),
        }),
        labels: pairs(labels),
        annotations: pairs(&[
            ("resource.opentelemetry.io/team", "basket"),
            ("kubernetes.io/config.source", "api"),
        ]),
    }
}

fn sent(id: &str, sandbox: &str, name: &str, attempt: u32, images: (&str, &str)) -> Sent {
    Sent {
        id: id.to_owned(),
        pod_sandbox_id: sandbox.to_owned(),
        metadata: Some(wire::ContainerMetadata { name: name.to_owned(), attempt }),
        image: Some(wire::ImageSpec {
            image: images.0.to_owned(),
            user_specified_image: images.1.to_owned(),
        }),
        image_ref: "sha256:1".to_owned(),
        state: 1,
        created_at: 1_700_000_000_000_000_000,
        labels: pairs(&[("io.kubernetes.container.name", name)]),
        image_id: "sha256:2".to_owned(),
    }
}

/// A node with a Deployment's pod of two containers, one of them begun anew, and a static pod.
fn node() -> Fake {
    let fake = Fake::default();
    let version = wire::Version { runtime_name: "containerd".to_owned() };
    fake.tells("Version", &version);
    let items = vec![
        sandbox("s1", "u1", "cart-6d4-x2x9z", &[("pod-template-hash", "6d4"), ("app", "cart")]),
        sandbox("s2", "3f4e", "etcd-node", &[]),
    ];
    fake.tells("ListPodSandbox", &wire::ListPodSandboxResponse { items });
    let id = format!("sha256:{}", "a".repeat(64));
    let containers = vec![
        sent("c1", "s1", "web", 0, (&id, "here:5000/cart:1.2")),
        sent("c2", "s1", "web", 1, (&id, "here:5000/cart:1.2")),
        sent("c3", "s1", "proxy", 0, (&id, "")),
        sent("c4", "s2", "etcd", 0, ("here/etcd:3.5", "")),
    ];
    fake.tells("ListContainers", &SentAll { containers });
    let image = wire::ImageSpec { image: "here/proxy:9".to_owned(), ..Default::default() };
    let status = Some(wire::ContainerStatus { image: Some(image) });
    fake.tells("ContainerStatus", &wire::ContainerStatusResponse { status });
    fake
}

async fn listed(fake: &Fake) -> Result<News, String> {
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("cri.sock");
    fake.listen(&socket);
    Runtime::new(Chosen::default()).list(|| Ok(socket.clone())).await
}

fn told(cluster: &mut Cluster, id: &str, pod: &str) -> String {
    let whose = Whose::Container(ContainerId::new(id), PodUid::new(pod));
    cluster.meet(&whose);
    let sheet = cluster.sheet(&whose).unwrap();
    let value = |value: &Value| match value {
        Value::Text(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
        Value::List(list) => list.join(","),
        other => format!("{other:?}"),
    };
    let all = sheet.attributes.iter().map(|(_, told)| value(told));
    let [name, version] = [&sheet.name, &sheet.version].map(|t| t.as_deref().unwrap_or("-"));
    std::iter::once(format!("{name} {version}:")).chain(all).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_node_is_listed_with_all_its_names() {
    let fake = node();
    let news = listed(&fake).await.unwrap();
    let asked = ["Version", "ListContainers", "ListPodSandbox", "ContainerStatus c3"];
    assert_eq!(*fake.asked.lock().unwrap(), asked);
    let sources = vec![Source::Runtime];
    let mut cluster =
        Cluster::new(Config { sources, ..Config::default() }, crate::event::Timestamp::default());
    cluster.learn(news);
    let cart = "u1 cart-6d4-x2x9z shop cart-6d4 cart";
    for (id, pod, expect) in [
        ("c1", "u1", format!("cart 1.2: {cart} web web containerd here:5000/cart 0 1.2 basket")),
        ("c2", "u1", format!("cart 1.2: {cart} web web containerd here:5000/cart 1 1.2 basket")),
        ("c3", "u1", format!("cart 9: {cart} proxy proxy containerd here/proxy 0 9 basket")),
        // What holds the pod's namespaces has no name of its own.
        ("s1", "u1", format!("cart -: {cart} containerd basket")),
        (
            "c4",
            "3f4e",
            "etcd-node 3.5: 3f4e etcd-node shop etcd etcd containerd here/etcd 0 3.5 basket"
                .to_owned(),
        ),
    ] {
        assert_eq!(told(&mut cluster, id, pod), expect, "{id}");
    }
    assert_eq!(cluster.counts().nameless, 0);
}

#[tokio::test]
async fn a_runtime_that_does_not_answer_is_a_reason() {
    let check = |answers: &'static [(&'static str, Answer)], expect: &'static str| async move {
        let fake = node();
        for (verb, answer) in answers {
            fake.says(verb, answer.clone());
        }
        let why = listed(&fake).await.unwrap_err();
        assert!(why.starts_with(expect), "{why}");
    };
    check(&[("Version", Answer::Status(12, "unknown service"))], "Version: CRI v1 is not spoken")
        .await;
    check(&[("Version", Answer::Status(7, "no\tway"))], "Version: PermissionDenied: no").await;
    check(&[("ListContainers", Answer::Status(2, "disk"))], "ListContainers: Unknown: disk").await;
    check(&[("ListPodSandbox", Answer::Hang)], "ListPodSandbox: no answer within 3s").await;
    let fake = node();
    fake.says("ListContainers", Answer::Bytes(vec![0xff; 64]));
    assert!(listed(&fake).await.unwrap_err().starts_with("ListContainers: Internal: "));
    fake.says("ListContainers", Answer::Bytes(vec![0; BEYOND]));
    let why = listed(&fake).await.unwrap_err();
    assert!(why.starts_with("ListContainers: OutOfRange: "), "{why}");
    // An image that cannot be had is an image less.
    let fake = node();
    fake.says("ContainerStatus", Answer::Status(5, "gone"));
    assert!(listed(&fake).await.is_ok());
}

/// More than is taken at once.
const BEYOND: usize = (16 << 20) + 1;

#[tokio::test]
async fn a_socket_with_nobody_behind_it_is_a_reason() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    let why = socket(root, None).unwrap_err();
    assert!(why.starts_with("no container runtime has its socket below "), "{why}");
    assert_eq!(socket(root, Some(Path::new("/x"))), Ok("/x".into()));
    let crio = root.join("run/crio/crio.sock");
    std::fs::create_dir_all(crio.parent().unwrap()).unwrap();
    drop(UnixListener::bind(&crio).unwrap());
    assert_eq!(socket(root, None), Ok(crio.clone()));
    let list = |path: PathBuf| async move {
        Runtime::new(Chosen::default()).list(|| Ok(path.clone())).await.unwrap_err()
    };
    let refused = list(crio.clone()).await;
    assert!(refused.contains("crio.sock: ") && refused.contains("refused"), "{refused}");
    let missing = list(root.join("none")).await;
    assert!(missing.contains("No such file"), "{missing}");
    // Somebody who takes the connection and speaks something else.
    let odd = root.join("odd");
    let listener = UnixListener::bind(&odd).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-x\r\n").await;
        }
    });
    assert!(!list(odd).await.is_empty());
}

fn next(bell: &Bell<Ask>) -> News {
    loop {
        match bell.wait(None, Duration::from_secs(20)).unwrap() {
            Heard::Asked(Ask::Cluster(news)) => return news,
            Heard::Nothing => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn it_is_asked_when_somebody_waits_and_when_it_is_back() {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("cri.sock");
    let (ringer, bell) = bell::hang().unwrap();
    let (stop, stopped) = watch::channel(false);
    let asked = Arc::new(Notify::new());
    let find = {
        let socket = socket.clone();
        move || Ok(socket.clone())
    };
    let watching =
        threads.spawn(watch(find, Chosen::default(), Arc::clone(&asked), ringer, stopped));
    assert!(matches!(next(&bell), News::Away(Source::Runtime, _)));
    let fake = node();
    threads.block_on(async { fake.listen(&socket) });
    assert!(matches!(next(&bell), News::All(Source::Runtime, pods, _) if pods.len() == 2));
    // A pod more, that something runs in already.
    let items = vec![sandbox("s3", "u3", "new", &[])];
    fake.tells("ListPodSandbox", &wire::ListPodSandboxResponse { items });
    asked.notify_one();
    assert!(matches!(next(&bell), News::All(_, pods, _) if &*pods[0].name == "new"));
    fake.says("ListContainers", Answer::Status(14, "restarting"));
    asked.notify_one();
    let News::Away(_, why) = next(&bell) else { panic!("away") };
    assert_eq!(why, "ListContainers: Unavailable: restarting");
    stop.send_replace(true);
    threads.block_on(watching).unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_is_away_is_asked_less_and_less_but_at_once_for_who_waits() {
    let (ringer, _bell) = bell::hang().unwrap();
    let (_stop, stopped) = watch::channel(false);
    let (asked, tried) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Vec::new())));
    let find = {
        let (begun, tried) = (Instant::now(), Arc::clone(&tried));
        move || {
            tried.lock().unwrap().push(begun.elapsed().as_secs());
            Err("no socket".to_owned())
        }
    };
    tokio::spawn(watch(find, Chosen::default(), Arc::clone(&asked), ringer, stopped));
    sleep(Duration::from_secs(70)).await;
    for _ in 0..3 {
        asked.notify_one();
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(*tried.lock().unwrap(), [0, 1, 3, 7, 15, 31, 61, 70, 71, 72]);
}
