//! A collector that does not behave: takes OTLP/HTTP and answers as it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How every request is answered.
#[derive(Clone, Debug)]
pub struct Manner {
    /// The status.
    pub status: u16,
    /// Of protobuf.
    pub body: Vec<u8>,
    /// Before the answer.
    pub delay: Duration,
}

/// The one that listens; its threads end with the test.
pub struct Receiver {
    port: u16,
    requests: Arc<AtomicU64>,
}

impl Receiver {
    /// Listens and answers in this `manner`.
    pub fn start(manner: &Manner) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let requests = Arc::new(AtomicU64::new(0));
        let (counted, manner) = (Arc::clone(&requests), manner.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counted, manner) = (Arc::clone(&counted), manner.clone());
                // A client that goes away in the middle is its own affair.
                std::thread::spawn(move || answer(&stream, &manner, &counted).unwrap_or(()));
            }
        });
        Ok(Self { port, requests })
    }

    /// Where to send to.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Requests that came whole.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

fn answer(mut stream: &TcpStream, manner: &Manner, counted: &AtomicU64) -> std::io::Result<()> {
    let Manner { status, body, delay } = manner;
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
        counted.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(*delay);
        write!(
            stream,
            "HTTP/1.1 {status} As told\r\nContent-Type: application/x-protobuf\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        )?;
        stream.write_all(body)?;
    }
}
