//! The HTTP server: `/metrics`, `/healthz`, `/status` and an index.
//!
//! It is made for a scraper and a kubelet, and stays up under anyone else: connections are bounded,
//! a head has a few seconds to arrive, a connection has an end, and nothing sent to it can be larger
//! than one buffer. What it turned away is counted.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::Status;

/// What is served. Every call is made while a client waits: it reads what is ready.
pub trait Views: Send + Sync + 'static {
    /// The metrics, in the form that the `Accept` header asks for.
    fn metrics(&self, accept: Option<&str>) -> Page;
    /// Why the agent is not well; empty if it is.
    fn ailments(&self) -> Vec<String>;
    /// Everything about the agent.
    fn status(&self) -> Status;
}

/// A body with its type.
#[derive(Clone, Debug)]
pub struct Page {
    /// The `Content-Type`.
    pub content_type: Cow<'static, str>,
    /// The body.
    pub body: Bytes,
}

/// What the server may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// For a request's head to arrive, and for an idle connection to send the next.
    pub head: Duration,
    /// For a connection from its beginning to its end.
    pub connection: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 32, head: Duration::from_secs(10), connection: Duration::from_mins(5) }
    }
}

/// Bytes of a request's head at most.
const HEAD_BYTES: usize = 16 * 1024;
/// Headers of a request at most.
const HEADERS: usize = 64;
/// After an error of `accept` (no file descriptors left), before the next try.
const BREATH: Duration = Duration::from_millis(100);
/// For an answer under way when the server ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the server did.
#[derive(Debug, Default)]
pub struct Served {
    /// Requests answered.
    pub requests: AtomicU64,
    /// Connections turned away because there were too many.
    pub refused: AtomicU64,
    /// Connections that ended in an error: no HTTP, too slow, too large, or gone.
    pub broken: AtomicU64,
    /// Connections that the system could not hand over.
    pub unaccepted: AtomicU64,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; {}", remedy(source, *address))]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

fn remedy(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another program (perhaps another steth) listens there: see `ss -ltnp 'sport = :{}'`, \
             or choose another address with --listen",
            address.port()
        ),
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this host has this address: choose another with --listen".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE: choose another with --listen".to_owned()
        }
        _ => "choose another address with --listen".to_owned(),
    }
}

/// An address that was taken, which may need a privilege that serving does not.
#[derive(Debug)]
pub struct Listener(std::net::TcpListener);

/// Takes the address.
pub fn listen(address: SocketAddr) -> Result<Listener, BindError> {
    let listener = std::net::TcpListener::bind(address);
    let listener = listener.and_then(|it| it.set_nonblocking(true).map(|()| it));
    listener.map(Listener).map_err(|source| BindError { address, source })
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    limits: Limits,
    served: Arc<Served>,
}

impl Server {
    /// A server at this address; there has to be a runtime already.
    pub fn on(listener: Listener, limits: Limits) -> io::Result<Self> {
        let listener = TcpListener::from_std(listener.0)?;
        Ok(Self { listener, limits, served: Arc::default() })
    }

    /// Where it listens; differs from what was asked for when that was port 0.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Its counters.
    pub fn served(&self) -> Arc<Served> {
        Arc::clone(&self.served)
    }

    /// Answers until `stop` says true or its sender is gone.
    pub async fn run(self, views: Arc<dyn Views>, mut stop: watch::Receiver<bool>) {
        let Self { listener, limits, served } = self;
        let places = Arc::new(Semaphore::new(limits.connections));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let Ok((stream, _)) = accepted else {
                served.unaccepted.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(BREATH).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                served.refused.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let (views, served, stop) = (Arc::clone(&views), Arc::clone(&served), stop.clone());
            tokio::spawn(async move {
                connection(stream, limits, views, served, stop).await;
                drop(place);
            });
        }
    }
}

async fn connection(
    stream: TcpStream,
    limits: Limits,
    views: Arc<dyn Views>,
    served: Arc<Served>,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        served.requests.fetch_add(1, Ordering::Relaxed);
        let response = answer(&request, views.as_ref());
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended.is_ok()),
        () = tokio::time::sleep(limits.connection) => None,
        _ = stop.wait_for(|stop| *stop) => None,
    };
    let well = if let Some(well) = ended {
        well
    } else {
        connection.as_mut().graceful_shutdown();
        matches!(tokio::time::timeout(FAREWELL, connection).await, Ok(Ok(())))
    };
    if !well {
        served.broken.fetch_add(1, Ordering::Relaxed);
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const INDEX: &str = "\
steth: zero-code telemetry

/metrics   everything measured, for Prometheus
/healthz   200 if the agent is well, 503 and why if not
/status    probes, queues, losses and budgets, as JSON
";

fn answer<B>(request: &Request<B>, views: &dyn Views) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/metrics" => {
            let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
            page(StatusCode::OK, views.metrics(accept))
        }
        "/healthz" => {
            let ailments = views.ailments();
            if ailments.is_empty() {
                return text(StatusCode::OK, "ok\n");
            }
            text(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", ailments.join("\n")))
        }
        "/status" => match serde_json::to_vec_pretty(&views.status()) {
            Ok(mut body) => {
                body.push(b'\n');
                let content_type = Cow::Borrowed("application/json");
                page(StatusCode::OK, Page { content_type, body: body.into() })
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        "/" => text(StatusCode::OK, INDEX),
        _ => text(StatusCode::NOT_FOUND, format!("not found; there is:\n\n{INDEX}")),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    page(status, Page { content_type: Cow::Borrowed(TEXT), body: body.into() })
}

fn page(status: StatusCode, page: Page) -> Response<Full<Bytes>> {
    let Page { content_type, body } = page;
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_str(&content_type);
    let content_type = content_type.unwrap_or_else(|_| HeaderValue::from_static(TEXT));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
