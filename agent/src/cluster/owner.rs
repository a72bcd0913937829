//! What a pod is one of: as the server says, else as the labels show that controllers put on their pods.
//!
//! What stands above a `ReplicaSet` or a Job is the server's to say as well. Where it does not, it is in their names:
//! they are made of it.

use std::sync::Arc;

use super::fact::{Pod, some};
use crate::metric::key::{
    K8S_CRONJOB_NAME, K8S_CRONJOB_UID, K8S_DAEMONSET_NAME, K8S_DAEMONSET_UID, K8S_DEPLOYMENT_NAME,
    K8S_DEPLOYMENT_UID, K8S_JOB_NAME, K8S_JOB_UID, K8S_REPLICASET_NAME, K8S_REPLICASET_UID,
    K8S_STATEFULSET_NAME, K8S_STATEFULSET_UID, Key,
};

const TEMPLATE_HASH: &str = "pod-template-hash";
const OF_STATEFULSET: &str = "statefulset.kubernetes.io/pod-name";
const OF_DAEMONSET: &str = "pod-template-generation";
const OF_JOB: &str = "batch.kubernetes.io/job-name";
const OF_JOB_BEFORE_1_27: &str = "job-name";
/// Labels that show what a pod is one of.
pub(super) const LABELS: &[&str] =
    &[TEMPLATE_HASH, OF_STATEFULSET, OF_DAEMONSET, OF_JOB, OF_JOB_BEFORE_1_27];

/// Characters that the server adds to a name it makes, and the longest name that is made so: what was too long was cut.
const SUFFIX: usize = 5;
const LONGEST: usize = 63;

/// Kinds of workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A Deployment.
    Deployment,
    /// A `ReplicaSet`.
    ReplicaSet,
    /// A `StatefulSet`.
    StatefulSet,
    /// A `DaemonSet`.
    DaemonSet,
    /// A `CronJob`.
    CronJob,
    /// A Job.
    Job,
}

impl Kind {
    /// What its name is told as, and its uid.
    pub(super) fn keys(self) -> (Key, Key) {
        match self {
            Self::Deployment => (K8S_DEPLOYMENT_NAME, K8S_DEPLOYMENT_UID),
            Self::ReplicaSet => (K8S_REPLICASET_NAME, K8S_REPLICASET_UID),
            Self::StatefulSet => (K8S_STATEFULSET_NAME, K8S_STATEFULSET_UID),
            Self::DaemonSet => (K8S_DAEMONSET_NAME, K8S_DAEMONSET_UID),
            Self::CronJob => (K8S_CRONJOB_NAME, K8S_CRONJOB_UID),
            Self::Job => (K8S_JOB_NAME, K8S_JOB_UID),
        }
    }
}

/// What a pod is one of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: Arc<str>,
    /// Its uid.
    pub uid: Option<Arc<str>>,
    /// What stands above it.
    pub above: Above,
}

/// What stands above a `ReplicaSet` or a Job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Above {
    /// Nobody says it.
    #[default]
    Unsaid,
    /// It was asked for.
    Asked,
    /// This, or nothing.
    Said(Option<Arc<Owner>>),
}

impl Owner {
    /// An owner as it is said to be.
    pub fn new(kind: Kind, name: &str, uid: Option<&str>) -> Option<Self> {
        Some(Self { kind, name: some(name)?, uid: uid.and_then(some), above: Above::Unsaid })
    }

    /// What stands above it.
    fn above(&self, pod: &Pod) -> Option<Self> {
        if let Above::Said(above) = &self.above {
            return above.as_deref().cloned();
        }
        let (kind, name) = match self.kind {
            // One that no Deployment made has no such label on its pods.
            Kind::ReplicaSet => {
                let hash = pod.label(TEMPLATE_HASH)?;
                (Kind::Deployment, self.name.strip_suffix(&**hash)?.strip_suffix('-')?)
            }
            Kind::Job => (Kind::CronJob, scheduled(&self.name)?),
            _ => return None,
        };
        Self::new(kind, name, None)
    }
}

/// What a pod is one of, nearest first: at most two.
pub(super) fn owners(pod: &Pod) -> impl Iterator<Item = Owner> {
    let nearest = pod.owner.clone().or_else(|| shown(pod));
    let above = nearest.as_ref().and_then(|owner| owner.above(pod));
    nearest.into_iter().chain(above)
}

/// What the labels and the name of a pod show together.
fn shown(pod: &Pod) -> Option<Owner> {
    let of = |kind, name| Owner::new(kind, name, None);
    if let Some(job) = pod.label(OF_JOB).or_else(|| pod.label(OF_JOB_BEFORE_1_27)) {
        return of(Kind::Job, job);
    }
    if pod.label(OF_STATEFULSET).is_some_and(|name| *name == pod.name) {
        let (name, ordinal) = pod.name.rsplit_once('-')?;
        let is_ordinal = !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit());
        return if is_ordinal { of(Kind::StatefulSet, name) } else { None };
    }
    let (name, suffix) = pod.name.rsplit_once('-')?;
    if suffix.len() != SUFFIX {
        return None;
    }
    if let Some(hash) = pod.label(TEMPLATE_HASH) {
        // Of a name that was cut, the hash is not whole any more.
        let deployment = name.strip_suffix(&**hash)?.strip_suffix('-')?;
        return if deployment.is_empty() { None } else { of(Kind::ReplicaSet, name) };
    }
    let is_whole = pod.name.len() < LONGEST;
    (is_whole && pod.label(OF_DAEMONSET).is_some()).then(|| of(Kind::DaemonSet, name))?
}

/// The `CronJob` of a Job, whose name ends with the minute it was due, since 1970. So many minutes as `20240131` has
/// are of 2008: what ends with a date was named by somebody else.
fn scheduled(job: &str) -> Option<&str> {
    const DIGITS: usize = 8;
    const YEAR_2019: u32 = 26_000_000;
    let (name, minute) = job.rsplit_once('-')?;
    let is_number = minute.len() == DIGITS && minute.bytes().all(|b| b.is_ascii_digit());
    let minute: u32 = minute.parse().ok().filter(|_| is_number)?;
    (minute >= YEAR_2019 && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fact::PodUid;

    fn told(pod: &Pod) -> Vec<String> {
        owners(pod).map(|owner| format!("{:?} {}", owner.kind, owner.name)).collect()
    }

    #[test]
    fn labels_show_what_a_pod_is_one_of() {
        let check = |name: &str, labels: &[(&str, &str)], expect: &[&str]| {
            let mut pod = Pod::new(PodUid::new("u"), "shop", name);
            pod.labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
            assert_eq!(told(&pod), expect, "{name} {labels:?}");
        };
        let hash = &[(TEMPLATE_HASH, "6d4cf56db6")];
        check("cart-6d4cf56db6-x2x9z", hash, &["ReplicaSet cart-6d4cf56db6", "Deployment cart"]);
        check("a-b-6d4cf56db6-x2x9z", hash, &["ReplicaSet a-b-6d4cf56db6", "Deployment a-b"]);
        // The server cut the name; a pod made by hand with a template's labels.
        check("a-name-that-was-cut-6d4cf5x2x9z", hash, &[]);
        check("cart-debug", hash, &[]);
        check("-6d4cf56db6-x2x9z", hash, &[]);
        check("cart-6d4cf56db6-x2x9z", &[(TEMPLATE_HASH, "")], &[]);
        check("db-0", &[(OF_STATEFULSET, "db-0")], &["StatefulSet db"]);
        check("db-0", &[(OF_STATEFULSET, "db-1")], &[]);
        check("db-x", &[(OF_STATEFULSET, "db-x")], &[]);
        check("agent-x2x9z", &[(OF_DAEMONSET, "1")], &["DaemonSet agent"]);
        check(&format!("{}-x2x9z", "a".repeat(57)), &[(OF_DAEMONSET, "1")], &[]);
        check("once-x2x9z", &[(OF_JOB_BEFORE_1_27, "once")], &["Job once"]);
        let due = &[(OF_JOB, "nightly-29384756"), (OF_JOB_BEFORE_1_27, "nightly-29384756")];
        check("nightly-29384756-x2x9z", due, &["Job nightly-29384756", "CronJob nightly"]);
        check("x-x2x9z", &[(OF_JOB, "import-20240131")], &["Job import-20240131"]);
        check("x-x2x9z", &[(OF_JOB, "29384756")], &["Job 29384756"]);
        check("bare", &[], &[]);
        check("", hash, &[]);
    }

    #[test]
    fn the_server_is_believed_and_what_stands_above_is_in_the_name() {
        let check = |kind, name: &str, hash: Option<&str>, expect: &[&str]| {
            let mut pod = Pod::new(PodUid::new("u"), "shop", "p");
            pod.owner = Owner::new(kind, name, Some("o"));
            pod.labels = hash.iter().map(|h| (TEMPLATE_HASH.into(), (*h).into())).collect();
            assert_eq!(told(&pod), expect, "{name}");
        };
        let set = Kind::ReplicaSet;
        check(
            set,
            "cart-6d4cf56db6",
            Some("6d4cf56db6"),
            &["ReplicaSet cart-6d4cf56db6", "Deployment cart"],
        );
        check(set, "by-hand", None, &["ReplicaSet by-hand"]);
        check(set, "6d4cf56db6", Some("6d4cf56db6"), &["ReplicaSet 6d4cf56db6"]);
        check(Kind::Job, "nightly-29384756", None, &["Job nightly-29384756", "CronJob nightly"]);
        check(Kind::DaemonSet, "agent", None, &["DaemonSet agent"]);
    }
}
