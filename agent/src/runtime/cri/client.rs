//! Asks a container runtime over its Unix socket. Every wait and every answer is bounded.

use std::path::Path;
use std::time::Duration;

use hyper::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::super::told::told;
use super::wire;

/// For a connection.
const CONNECT: Duration = Duration::from_secs(1);
/// For one answer. A busy node's lists take a tenth of that.
const ANSWER: Duration = Duration::from_secs(3);
/// Bytes of one answer: as many as the kubelet takes.
const BYTES: usize = 16 << 20;

/// A connection to a runtime.
#[derive(Debug)]
pub(super) struct Client {
    grpc: tonic::client::Grpc<Channel>,
    /// What it calls itself.
    pub(super) name: String,
}

impl Client {
    /// Connects, and makes sure that somebody is there who speaks CRI.
    pub(super) async fn connect(socket: &Path) -> Result<Self, String> {
        let named = |why: &dyn std::fmt::Display| format!("{}: {why}", socket.display());
        let target = socket.to_str().ok_or_else(|| named(&"not a path of a socket"))?;
        let endpoint =
            Endpoint::try_from(format!("unix://{target}")).map_err(|e| named(&told(&e)))?;
        // The endpoint's own limit does not hold for Unix sockets.
        let channel = tokio::time::timeout(CONNECT, endpoint.connect()).await;
        let channel = channel
            .map_err(|_| named(&"no connection in time"))?
            .map_err(|error| named(&told(&error)))?;
        let grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(BYTES);
        let mut client = Self { grpc, name: String::new() };
        let version: wire::Version =
            client.ask("/runtime.v1.RuntimeService/Version", wire::VersionRequest {}).await?;
        client.name = version.runtime_name;
        Ok(client)
    }

    /// All pods.
    pub(super) async fn pods(&mut self) -> Result<Vec<wire::PodSandbox>, String> {
        let all: wire::ListPodSandboxResponse = self
            .ask("/runtime.v1.RuntimeService/ListPodSandbox", wire::ListPodSandboxRequest {})
            .await?;
        Ok(all.items)
    }

    /// All containers.
    pub(super) async fn containers(&mut self) -> Result<Vec<wire::Container>, String> {
        let all: wire::ListContainersResponse = self
            .ask("/runtime.v1.RuntimeService/ListContainers", wire::ListContainersRequest {})
            .await?;
        Ok(all.containers)
    }

    /// The image of one container by a name, if it has one.
    pub(super) async fn image(&mut self, container: &str) -> Result<Option<String>, String> {
        let request = wire::ContainerStatusRequest { container_id: container.to_owned() };
        let answer: wire::ContainerStatusResponse =
            self.ask("/runtime.v1.RuntimeService/ContainerStatus", request).await?;
        Ok(answer.status.and_then(|status| status.image).map(|image| image.image))
    }

    async fn ask<Q, A>(&mut self, path: &'static str, question: Q) -> Result<A, String>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let verb = path.rsplit('/').next().unwrap_or(path);
        let asked = async {
            self.grpc.ready().await.map_err(|error| told(&error))?;
            let path = PathAndQuery::from_static(path);
            let codec = ProstCodec::<Q, A>::default();
            let answer = self.grpc.unary(tonic::Request::new(question), path, codec).await;
            answer.map(tonic::Response::into_inner).map_err(|status| refused(&status))
        };
        match tokio::time::timeout(ANSWER, asked).await {
            Ok(answer) => answer.map_err(|why| format!("{verb}: {why}")),
            Err(_) => Err(format!("{verb}: no answer within {ANSWER:?}")),
        }
    }
}

/// What a runtime says when it does not answer, short: it may say anything.
fn refused(status: &Status) -> String {
    const LONGEST: usize = 200;
    if status.code() == Code::Unimplemented {
        return "CRI v1 is not spoken here".to_owned();
    }
    let said = crate::host::text::limited(status.message().as_bytes(), LONGEST);
    format!("{:?}: {said}", status.code())
}
