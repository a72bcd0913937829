//! `hyper_peer`: a server and a client made of hyper, the way most Rust services are. `server PORT` answers `/status/N` with N;
//! `client PORT..` asks each server as the programs in `tests/programs` do.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

const STATUSES: [u16; 5] = [200, 404, 429, 500, 503];
const EACH: usize = 40;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next();
    let ports: Vec<u16> = arguments.map(|port| port.parse()).collect::<Result<_, _>>()?;
    match role.as_deref() {
        Some("server") => server(*ports.first().context("no port")?).await,
        Some("client") => client(&ports).await,
        _ => bail!("server PORT | client PORT.."),
    }
}

async fn server(port: u16) -> Result<()> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer)),
        );
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let status = request.uri().path().rsplit('/').next().and_then(|n| n.parse().ok());
    let mut response = Response::new(Full::from("0123456789"));
    *response.status_mut() = status.unwrap_or(hyper::StatusCode::BAD_REQUEST);
    Ok(response)
}

async fn client(ports: &[u16]) -> Result<()> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    for port in ports {
        for i in 0..EACH * STATUSES.len() {
            let status = STATUSES.get(i % STATUSES.len()).context("a status")?;
            let response =
                client.get(format!("http://127.0.0.1:{port}/status/{status}").parse()?).await?;
            ensure!(response.status() == *status, "{} for {status}", response.status());
            ensure!(response.into_body().collect().await?.to_bytes().len() == 10);
        }
    }
    Ok(())
}
