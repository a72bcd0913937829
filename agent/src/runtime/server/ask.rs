//! Single questions, for the metadata alone of objects that pods lead to: the node, the cluster, and what stands above a
//! `ReplicaSet` or a Job.
//!
//! Each is asked once, one at a time, and nothing is watched: what an owner is one of does not change. Whatever is
//! refused is not asked for again for long; nobody waits for it then, and names are made of other names.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Node};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use super::{REASON, fact};
use crate::cluster::{Above, Kind, News, Part, Place, Pod, some};
use crate::host::text::limited;
use crate::runtime::told::told;

/// For one answer.
const ANSWER: Duration = Duration::from_secs(4);
/// Before what was refused is asked for again.
pub(super) const RARELY: Duration = Duration::from_mins(10);
/// Owners of which it is remembered what they are one of.
const OWNERS: usize = 4096;
/// Questions that wait.
const QUESTIONS: usize = 1024;
/// The longest name there is.
const NAME: usize = 253;
/// The namespace that every cluster has from its first moment on.
const SYSTEM: &str = "kube-system";

/// Why there is no answer.
#[derive(Debug)]
struct Refusal {
    why: String,
    /// What the server said, if it did: 403 holds for all questions of this kind, 404 for this one.
    code: Option<u16>,
}

/// A question for what stands above an owner of pods.
#[derive(Clone, Debug)]
struct Question {
    part: Part,
    namespace: Arc<str>,
    name: Arc<str>,
    uid: Arc<str>,
}

type Asked = Pin<Box<dyn Future<Output = Result<Above, Refusal>> + Send>>;

/// What is asked beside pods. Outlives connections, since answers stay true.
#[derive(Default)]
pub(super) struct Beside {
    place: Place,
    known: HashMap<Arc<str>, Above>,
    /// Those that are known, oldest first.
    order: VecDeque<Arc<str>>,
    /// When what was refused was.
    refused: HashMap<Part, Instant>,
    questions: VecDeque<Question>,
    waiting: HashSet<Arc<str>>,
    current: Option<(Question, Asked)>,
}

impl Beside {
    /// On another connection: what was under way on the last one is nobody's any more.
    pub(super) fn begin(&mut self) {
        self.questions.clear();
        self.waiting.clear();
        self.current = None;
    }

    /// Asks where this is, as far as that is wanted and not known.
    pub(super) async fn find_place(
        &mut self,
        client: &Client,
        node: &str,
        wanted: &[Part],
    ) -> Vec<News> {
        let Place { node: known_node, cluster: known_cluster } = &self.place;
        let is_asked = |part, known: &Option<_>| wanted.contains(&part) && known.is_none();
        let of_node = async {
            if !is_asked(Part::Node, known_node) {
                return None;
            }
            Some(uid(metadata(Api::<Node>::all(client.clone()), node).await))
        };
        let of_cluster = async {
            if !is_asked(Part::Cluster, known_cluster) {
                return None;
            }
            Some(uid(metadata(Api::<Namespace>::all(client.clone()), SYSTEM).await))
        };
        let (of_node, of_cluster) = tokio::join!(of_node, of_cluster);
        let mut news = Vec::new();
        let mut take = |part, answer: Option<Result<Arc<str>, String>>| {
            let answer = answer?;
            news.push(News::Part(part, answer.as_ref().map(|_| ()).map_err(String::clone)));
            answer.ok()
        };
        if let Some(uid) = take(Part::Node, of_node) {
            self.place.node = Some(uid);
        }
        if let Some(uid) = take(Part::Cluster, of_cluster) {
            self.place.cluster = Some(uid);
        }
        news.push(News::Place(self.place.clone()));
        news
    }

    /// Whether something of what is wanted is not known of the place.
    pub(super) fn is_lost(&self, wanted: &[Part]) -> bool {
        let Place { node, cluster } = &self.place;
        wanted.iter().any(|part| match part {
            Part::Node => node.is_none(),
            Part::Cluster => cluster.is_none(),
            Part::ReplicaSets | Part::Jobs | Part::Services => false,
        })
    }

    /// Says of a pod what stands above its owner, or that it is asked for.
    pub(super) fn look(&mut self, pod: &mut Pod) {
        let Some(owner) = &mut pod.owner else { return };
        let part = match owner.kind {
            Kind::ReplicaSet => Part::ReplicaSets,
            Kind::Job => Part::Jobs,
            _ => return,
        };
        let Some(uid) = &owner.uid else { return };
        if let Some(known) = self.known.get(uid) {
            owner.above = known.clone();
            return;
        }
        let is_refused = self.refused.get(&part).is_some_and(|at| at.elapsed() < RARELY);
        // Users write these names, and they become a part of a path.
        if is_refused || !is_name(&owner.name) || !is_name(&pod.namespace) {
            return;
        }
        if !self.waiting.contains(uid) {
            if self.questions.len() >= QUESTIONS {
                return;
            }
            self.waiting.insert(Arc::clone(uid));
            self.questions.push_back(Question {
                part,
                namespace: Arc::clone(&pod.namespace),
                name: Arc::clone(&owner.name),
                uid: Arc::clone(uid),
            });
        }
        owner.above = Above::Asked;
    }

    /// What the next answer says. Waits for ever if there is no question; nothing is lost if this is not awaited to
    /// the end.
    pub(super) async fn next(&mut self, client: &Client) -> Vec<News> {
        if self.current.is_none()
            && let Some(question) = self.questions.pop_front()
        {
            let asked = ask(client.clone(), question.clone());
            self.current = Some((question, asked));
        }
        let Some((question, asked)) = &mut self.current else {
            return std::future::pending().await;
        };
        let (question, answer) = (question.clone(), asked.await);
        self.current = None;
        self.waiting.remove(&question.uid);
        self.take(question, answer)
    }

    fn take(&mut self, question: Question, answer: Result<Above, Refusal>) -> Vec<News> {
        let Question { part, uid, .. } = question;
        let standing = |standing| News::Part(part, standing);
        match answer {
            Ok(above) => {
                self.refused.remove(&part);
                self.remember(&uid, &above);
                vec![standing(Ok(())), News::Above(uid, above)]
            }
            Err(Refusal { code: Some(403), why }) => {
                self.refused.insert(part, Instant::now());
                let (of_part, others) =
                    std::mem::take(&mut self.questions).into_iter().partition(|q| q.part == part);
                self.questions = others;
                let of_part: VecDeque<Question> = of_part;
                let unsaid = of_part.into_iter().map(|question| question.uid).chain([uid]);
                let mut news = vec![standing(Err(why))];
                for uid in unsaid {
                    self.waiting.remove(&uid);
                    news.push(News::Above(uid, Above::Unsaid));
                }
                news
            }
            Err(Refusal { code: Some(404), .. }) => {
                self.remember(&uid, &Above::Unsaid);
                vec![standing(Ok(())), News::Above(uid, Above::Unsaid)]
            }
            // A moment's: the next pod of this owner asks again.
            Err(Refusal { why, .. }) => vec![standing(Err(why)), News::Above(uid, Above::Unsaid)],
        }
    }

    fn remember(&mut self, uid: &Arc<str>, above: &Above) {
        if self.order.len() >= OWNERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        if self.known.insert(Arc::clone(uid), above.clone()).is_none() {
            self.order.push_back(Arc::clone(uid));
        }
    }
}

fn ask(client: Client, question: Question) -> Asked {
    Box::pin(async move {
        let Question { part, namespace, name, uid } = &question;
        let found = if *part == Part::Jobs {
            metadata(Api::<Job>::namespaced(client, namespace), name).await?
        } else {
            metadata(Api::<ReplicaSet>::namespaced(client, namespace), name).await?
        };
        // Another one of that name, or none of whom it is known which.
        if found.uid.as_deref().and_then(some).as_ref() != Some(uid) {
            return Ok(Above::Unsaid);
        }
        Ok(Above::Said(fact::controller(&found).map(Arc::new)))
    })
}

/// An object's metadata, and nothing else of it.
async fn metadata<K>(api: Api<K>, name: &str) -> Result<ObjectMeta, Refusal>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    match timeout(ANSWER, api.get_metadata(name)).await {
        Ok(Ok(found)) => Ok(found.metadata),
        Ok(Err(error)) => {
            let code = match &error {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            };
            let why = limited(told(&error).as_bytes(), REASON);
            Err(Refusal { why, code })
        }
        Err(_) => Err(Refusal { why: format!("no answer within {ANSWER:?}"), code: None }),
    }
}

fn uid(found: Result<ObjectMeta, Refusal>) -> Result<Arc<str>, String> {
    let found = found.map_err(|refusal| refusal.why)?;
    found.uid.as_deref().and_then(some).ok_or_else(|| "it has no uid".to_owned())
}

/// What the server takes for a name, and nothing that means more in a path.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let all = |byte: u8| is_plain(byte) || byte == b'-' || byte == b'.';
    name.len() <= NAME && name.bytes().next().is_some_and(is_plain) && name.bytes().all(all)
}
