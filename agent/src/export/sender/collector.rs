//! Real collectors inside the test: the generated gRPC service, and an HTTP server that decodes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::codec::CompressionEncoding;
use tonic::{Status, codegen::async_trait};

use crate::export::config::Protocol;

/// What a collector does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Takes it.
    Take,
    /// Takes it but for some points.
    TakeInPart(i64, &'static str),
    /// Answers with this status, over gRPC.
    Grpc(Status),
    /// Answers with this status and `Retry-After`, over HTTP.
    Http(u16, Option<&'static str>),
    /// Never answers.
    Hang,
}

/// What came, and what is to be answered.
#[derive(Debug, Default)]
struct State {
    answers: VecDeque<Answer>,
    taken: Vec<ExportMetricsServiceRequest>,
    requests: u64,
    headers: HeaderMap,
}

/// A collector on a port of its own. Answers as told, then takes everything.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    state: Arc<Mutex<State>>,
    pub(crate) address: SocketAddr,
}

impl Collector {
    fn new(address: SocketAddr, answers: &[Answer]) -> Self {
        let answers = answers.iter().cloned().collect();
        let state = Arc::new(Mutex::new(State { answers, ..State::default() }));
        Self { state, address }
    }

    /// The requests it took.
    pub(crate) fn taken(&self) -> Vec<ExportMetricsServiceRequest> {
        self.state.lock().unwrap().taken.clone()
    }

    /// How many came.
    pub(crate) fn requests(&self) -> u64 {
        self.state.lock().unwrap().requests
    }

    /// A header of the last request.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let state = self.state.lock().unwrap();
        state.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    fn meet(&self, headers: HeaderMap, request: ExportMetricsServiceRequest) -> Answer {
        let mut state = self.state.lock().unwrap();
        state.requests += 1;
        state.headers = headers;
        let answer = state.answers.pop_front().unwrap_or(Answer::Take);
        if matches!(answer, Answer::Take | Answer::TakeInPart(..)) {
            state.taken.push(request);
        }
        answer
    }

    /// A collector of either kind on a free port.
    pub(crate) async fn start(
        protocol: Protocol,
        answers: &[Answer],
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_at(any, protocol, answers, tls).await
    }

    /// The same on this port.
    pub(crate) async fn start_at(
        address: SocketAddr,
        protocol: Protocol,
        answers: &[Answer],
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let collector = Self::new(listener.local_addr().unwrap(), answers);
        let serving = collector.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (collector, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => collector.serve(protocol, stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                collector.serve(protocol, stream).await;
                            }
                        }
                    }
                });
            }
        });
        collector
    }

    async fn serve(
        self,
        protocol: Protocol,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) {
        let stream = TokioIo::new(stream);
        // A connection that the client gave up is no fault of the test.
        let _ended = match protocol {
            Protocol::Grpc => {
                let service = MetricsServiceServer::new(self)
                    .accept_compressed(CompressionEncoding::Gzip)
                    .accept_compressed(CompressionEncoding::Zstd);
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(stream, TowerToHyperService::new(service))
                    .await
            }
            Protocol::HttpProtobuf => {
                let service = service_fn(move |request| {
                    let collector = self.clone();
                    async move { Ok::<_, Infallible>(collector.answer(request).await) }
                });
                hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await
            }
        };
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        assert_eq!((head.method, head.uri.path()), (Method::POST, "/v1/metrics"));
        assert_eq!(head.headers["content-type"], "application/x-protobuf");
        let body = body.collect().await.unwrap().to_bytes();
        let mut plain = Vec::new();
        match head.headers.get("content-encoding").map(|value| value.to_str().unwrap()) {
            None => plain.extend_from_slice(&body),
            Some("gzip") => {
                flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
            }
            Some("zstd") => plain = zstd::stream::decode_all(&body[..]).unwrap(),
            Some(other) => panic!("{other}"),
        }
        let request = ExportMetricsServiceRequest::decode(&plain[..]).unwrap();
        let response = |response: ExportMetricsServiceResponse| {
            Response::new(Full::from(response.encode_to_vec()))
        };
        match self.meet(head.headers, request) {
            Answer::Take => response(ExportMetricsServiceResponse::default()),
            Answer::TakeInPart(rejected, message) => response(in_part(rejected, message)),
            Answer::Http(status, retry_after) => {
                let mut response = Response::new(Full::from("not now\nor never"));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                if let Some(delay) = retry_after {
                    response.headers_mut().insert("retry-after", delay.parse().unwrap());
                }
                response
            }
            Answer::Hang => std::future::pending().await,
            Answer::Grpc(_) => panic!("not over HTTP"),
        }
    }
}

fn in_part(rejected_data_points: i64, message: &str) -> ExportMetricsServiceResponse {
    ExportMetricsServiceResponse {
        partial_success: Some(ExportMetricsPartialSuccess {
            rejected_data_points,
            error_message: message.to_owned(),
        }),
    }
}

#[async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        match self.meet(metadata.into_headers(), request) {
            Answer::Take => Ok(tonic::Response::new(ExportMetricsServiceResponse::default())),
            Answer::TakeInPart(rejected, message) => {
                Ok(tonic::Response::new(in_part(rejected, message)))
            }
            Answer::Grpc(status) => Err(status),
            Answer::Hang => std::future::pending().await,
            Answer::Http(..) => panic!("not over gRPC"),
        }
    }
}
