//! OTLP/HTTP with binary protobuf.

use std::io::Write;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;

use super::tls::Files;
use super::{Error, Outcome, accepted, chain, printable};
use crate::export::config::{Compression, Target};

/// What we call ourselves.
pub(crate) const USER_AGENT: &str = concat!("steth-otlp-exporter/", env!("CARGO_PKG_VERSION"));

/// No more of an answer is read, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// Shorter than what most servers and middle boxes allow a connection to idle.
const IDLE: Duration = Duration::from_secs(45);

/// Plain or TLS, as the address says.
pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// A pool of connections to one address.
#[derive(Debug)]
pub(crate) struct Http {
    client: Client<Connector, Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
    compression: Compression,
    timeout: Duration,
}

impl Http {
    pub(crate) fn new(target: &Target) -> Result<Self, Error> {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .build(connector(target)?);
        let mut headers: HeaderMap = target.headers.iter().cloned().collect();
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let encoding = match target.compression {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
        };
        headers.remove(header::CONTENT_ENCODING);
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        Ok(Self {
            client,
            uri: target.endpoint.clone(),
            headers,
            compression: target.compression,
            timeout: target.timeout,
        })
    }

    pub(crate) async fn send(&mut self, body: &Bytes) -> Outcome {
        let body = match compressed(body, self.compression) {
            Ok(body) => body,
            Err(error) => return Outcome::Fatal { why: format!("cannot compress: {error}") },
        };
        match tokio::time::timeout(self.timeout, self.attempt(body)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                Outcome::Retry { after: None, why: format!("no answer within {:?}", self.timeout) }
            }
        }
    }

    async fn attempt(&self, body: Bytes) -> Outcome {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let response = match self.client.request(request).await {
            Ok(response) => response,
            // Refused, unreachable, no TLS, or broken before the answer: all pass with time.
            Err(error) => return Outcome::Retry { after: None, why: chain(&error) },
        };
        let status = response.status();
        let asked = retry_after(&response, SystemTime::now());
        let body = Limited::new(response.into_body(), LONGEST_ANSWER)
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        classify(status, asked, &body)
    }
}

/// What an answer asks for.
fn classify(status: StatusCode, asked: Option<Duration>, body: &[u8]) -> Outcome {
    if status.is_success() {
        // An answer that cannot be read is still the answer to a request that was taken.
        return accepted(ExportMetricsServiceResponse::decode(body).unwrap_or_default());
    }
    let said = match tonic_types::Status::decode(body) {
        Ok(status) if !status.message.is_empty() => status.message,
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    let why = printable(&format!("HTTP {status}: {said}"));
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Outcome::Retry { after: asked, why },
        _ => Outcome::Fatal { why },
    }
}

/// Seconds or a date.
fn retry_after(response: &Response<Incoming>, now: SystemTime) -> Option<Duration> {
    parse_retry_after(response.headers().get(header::RETRY_AFTER)?.to_str().ok()?, now)
}

fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

fn compressed(body: &Bytes, compression: Compression) -> std::io::Result<Bytes> {
    Ok(match compression {
        Compression::None => body.clone(),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(body)?;
            encoder.finish()?.into()
        }
        Compression::Zstd => zstd::bulk::compress(body, 0)?.into(),
    })
}

/// Connects as the target asks.
pub(crate) fn connector(target: &Target) -> Result<Connector, Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(target.timeout));
    let config = if target.endpoint.scheme_str() == Some("https") {
        Files::read(&target.tls)?.client_config()?
    } else {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth()
    };
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::parse_retry_after;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let check = |text, expect: Option<u64>| {
            assert_eq!(parse_retry_after(text, now), expect.map(Duration::from_secs), "{text}");
        };
        check("0", Some(0));
        check(" 120 ", Some(120));
        check("Sun, 06 Nov 1994 08:49:47 GMT", Some(10));
        check("Sun, 06 Nov 1994 08:49:27 GMT", Some(0));
        check("-1", None);
        check("1.5", None);
        check("soon", None);
        check("", None);
    }
}
