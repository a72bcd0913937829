//! A process that makes the requests of every row, prints what was answered, and waits to be let go, so that it is
//! still there when the agent is asked.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result};

use super::message::Messages;
use super::{PORT, ROWS, Row, SOCKET, Transport, Writing, key};
use crate::kernels::report::Tally;

/// An answer that takes longer is an error.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes all requests, prints the tally as one line of JSON, and waits for the end of standard input.
pub fn run() -> Result<()> {
    let mut tally = Tally::new();
    for row in &ROWS {
        for _ in 0..row.connections {
            connection(row, &mut tally).with_context(|| format!("requests of {}", row.key()))?;
        }
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&tally)?)?;
    out.flush()?;
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}

fn connection(row: &Row, tally: &mut Tally) -> Result<()> {
    match row.transport {
        Transport::V4 => {
            converse(tcp(TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?)?, row, tally)
        }
        Transport::V6 => {
            converse(tcp(TcpStream::connect((Ipv6Addr::LOCALHOST, PORT))?)?, row, tally)
        }
        Transport::Unix => {
            let stream = UnixStream::connect(SOCKET)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            converse(stream, row, tally)
        }
    }
}

fn tcp(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn converse(stream: impl Read + Write, row: &Row, tally: &mut Tally) -> Result<()> {
    let mut messages = Messages::new(stream);
    let one = request(row);
    let at_once = if row.writing == Writing::Pipelined { row.requests } else { 1 };
    let written = one.repeat(usize::try_from(at_once)?);
    for _ in 0..row.requests / at_once {
        match row.writing {
            Writing::Whole | Writing::Pipelined => messages.stream().write_all(&written)?,
            Writing::Split => {
                for piece in written.chunks(written.len().div_ceil(3)) {
                    messages.stream().write_all(piece)?;
                }
            }
        }
        for _ in 0..at_once {
            let head = messages
                .next(|_| row.method != "HEAD")?
                .context("the server closed without an answer")?;
            let status =
                head.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
            *tally.entry(key(row.method, status)).or_default() += 1;
        }
    }
    Ok(())
}

fn request(row: &Row) -> Vec<u8> {
    let Row { method, status, body, .. } = row;
    let close = if row.requests == 1 { "Connection: close\r\n" } else { "" };
    let mut bytes = format!(
        "{method} /answers/{status} HTTP/1.1\r\nHost: localhost:{PORT}\r\nUser-Agent: smoke\r\n{close}Content-Length: {body}\r\n\r\n"
    )
    .into_bytes();
    bytes.resize(bytes.len() + body, b'x');
    bytes
}
