//! The few messages of CRI v1 that are needed, with the few of their fields that are: `runtime.v1` of
//! `k8s.io/cri-api`. Fields that are left out are skipped when a message is read.

use std::collections::HashMap;

/// Asks who runs the containers.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct VersionRequest {}

/// Who runs them.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Version {
    /// `containerd`, `cri-o`.
    #[prost(string, tag = "2")]
    pub(super) runtime_name: String,
}

/// Asks for all pods, those that have ended included.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ListPodSandboxRequest {}

/// All pods.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ListPodSandboxResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) items: Vec<PodSandbox>,
}

/// The container that holds a pod's namespaces, with what is known of the pod.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PodSandbox {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) metadata: Option<PodSandboxMetadata>,
    #[prost(map = "string, string", tag = "5")]
    pub(super) labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "6")]
    pub(super) annotations: HashMap<String, String>,
}

/// A pod by name.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PodSandboxMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) uid: String,
    #[prost(string, tag = "3")]
    pub(super) namespace: String,
}

/// Asks for all containers, those that have ended included.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ListContainersRequest {}

/// All containers.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ListContainersResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) containers: Vec<Container>,
}

/// A container.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Container {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(string, tag = "2")]
    pub(super) pod_sandbox_id: String,
    #[prost(message, optional, tag = "3")]
    pub(super) metadata: Option<ContainerMetadata>,
    #[prost(message, optional, tag = "4")]
    pub(super) image: Option<ImageSpec>,
}

/// A container by name.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// How often it was begun anew.
    #[prost(uint32, tag = "2")]
    pub(super) attempt: u32,
}

/// An image: what was asked for where the kubelet tells (since 1.29), and what the runtime made of it, which may be an
/// id that names nothing.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ImageSpec {
    #[prost(string, tag = "1")]
    pub(super) image: String,
    #[prost(string, tag = "18")]
    pub(super) user_specified_image: String,
}

/// Asks for one container.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerStatusRequest {
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
}

/// One container.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<ContainerStatus>,
}

/// Of one container, what a list does not tell: its image by a name, which the runtime has to look up.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerStatus {
    #[prost(message, optional, tag = "8")]
    pub(super) image: Option<ImageSpec>,
}
