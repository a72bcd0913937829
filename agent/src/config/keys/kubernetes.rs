//! Which pod, container and workload a process belongs to.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::unit::Period;

/// Which pod, container and workload everything belongs to, on the node of a cluster. What node and cluster are
/// called is said by `agent.attributes`: `k8s.node.name`, `k8s.cluster.name`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Kubernetes {
    /// Find out about pods. Nothing: only where the agent runs in a pod itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The socket of the node's container runtime, which speaks CRI v1. Nothing: that of containerd, CRI-O, k3s or
    /// cri-dockerd, whichever is found below `host.root`. It is only ever asked what there is, but whoever may
    /// connect to it could do anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<PathBuf>,
    /// Watch the pods of this node at the API server, by `KUBECONFIG` or from within a pod. Nothing: where the agent has
    /// a service account's token. The node is the one that `agent.attributes` calls `k8s.node.name`; pods of other nodes
    /// are never asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<bool>,
    /// Watch all Services of the cluster there as well: for who calls others through their `ClusterIP` and wants to see
    /// whom, as `service.peer.name`. It costs the server one list and one watch more a node, as a kube-proxy does.
    pub services: bool,
    /// How long whatever is in a pod waits for its name before it is told without. What was told keeps its name for
    /// good.
    pub wait: Period<100, 60_000>,
    /// Take `app.kubernetes.io/instance`, `/name` and `/version` for the names and versions of services.
    pub labels_are_names: bool,
    /// Labels of pods that are told, as `k8s.pod.label.<key>`.
    pub labels: Vec<String>,
    /// Annotations of pods that are told, as `k8s.pod.annotation.<key>`.
    pub annotations: Vec<String>,
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            enabled: None,
            runtime: None,
            api: None,
            services: false,
            wait: Period::from_millis(5000),
            labels_are_names: false,
            labels: Vec::new(),
            annotations: Vec::new(),
        }
    }
}
