//! The node and the cluster that all pods here are in, and what else the server is asked beside the pods themselves.

use std::sync::Arc;

use crate::metric::key::{K8S_CLUSTER_UID, K8S_NODE_UID};
use crate::metric::snapshot::{Attribute, Value};

/// Where this is, by uids. Whatever the host tells says so, in pods and beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The node's.
    pub node: Option<Arc<str>>,
    /// That of the namespace `kube-system`, which stands for the cluster's.
    pub cluster: Option<Arc<str>>,
}

impl Place {
    /// As attributes.
    pub(super) fn attributes(&self) -> Vec<Attribute> {
        let Self { node, cluster } = self;
        let all = [(K8S_CLUSTER_UID, cluster), (K8S_NODE_UID, node)];
        let told = all.into_iter().filter_map(|(key, uid)| Some((key, uid.as_ref()?)));
        told.map(|(key, uid)| (key, Value::Text(Arc::clone(uid)))).collect()
    }
}

/// What the server is asked beside a node's pods. It may refuse each by itself, and nothing else is lost then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// This node, for its uid.
    Node,
    /// The namespace `kube-system`, for its uid.
    Cluster,
    /// The `ReplicaSet` that a pod is one of, for the Deployment that it is one of.
    ReplicaSets,
    /// The Job that a pod is of, for its `CronJob`.
    Jobs,
    /// All Services, for their names by their addresses.
    Services,
}

impl Part {
    /// What is asked for.
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "API server: get nodes",
            Self::Cluster => "API server: get namespaces",
            Self::ReplicaSets => "API server: get replicasets",
            Self::Jobs => "API server: get jobs",
            Self::Services => "API server: watch services",
        }
    }

    /// What is lost without an answer.
    pub fn loss(self) -> &'static str {
        match self {
            Self::Node => K8S_NODE_UID.0,
            Self::Cluster => K8S_CLUSTER_UID.0,
            Self::ReplicaSets => {
                "k8s.deployment.uid; names of Deployments are what those of ReplicaSets are made of"
            }
            Self::Jobs => "k8s.cronjob.uid; names of CronJobs are what those of Jobs are made of",
            Self::Services => "service.peer.name of who is asked through a Service",
        }
    }
}
