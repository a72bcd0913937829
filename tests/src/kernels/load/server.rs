//! A process that serves on both loopback addresses and on a Unix socket, and tells in the end what it has answered.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{self, Sender};
use std::thread;

use super::message::Messages;
use super::{PORT, SOCKET, key};
use crate::kernels::report::Tally;

/// Serves until standard input ends, then prints the tally as one line of JSON. Prints `ready` once it listens.
pub fn run() -> anyhow::Result<()> {
    let (answered, log) = mpsc::channel();
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
    let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, PORT))?;
    let unix = UnixListener::bind(SOCKET)?;
    for listener in [v4, v6] {
        let answered = answered.clone();
        thread::spawn(move || {
            listener.incoming().flatten().for_each(|stream| serve_apart(stream, &answered));
        });
    }
    thread::spawn(move || {
        unix.incoming().flatten().for_each(|stream| serve_apart(stream, &answered));
    });
    let mut out = io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()?;
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    let mut tally: Tally = BTreeMap::new();
    for request in log.try_iter() {
        *tally.entry(request).or_default() += 1;
    }
    writeln!(out, "{}", serde_json::to_string(&tally)?)?;
    Ok(())
}

fn serve_apart(stream: impl Read + Write + Send + 'static, answered: &Sender<String>) {
    let answered = answered.clone();
    // An error of a connection shows as a request missing in the tally.
    thread::spawn(move || serve(stream, &answered));
}

fn serve(stream: impl Read + Write, answered: &Sender<String>) -> io::Result<()> {
    let mut messages = Messages::new(stream);
    while let Some(head) = messages.next(|_| true)? {
        let mut words = head.split_whitespace();
        let method = words.next().unwrap_or_default();
        let status =
            words.next().and_then(|path| path.rsplit('/').next()?.parse().ok()).unwrap_or(400);
        // Said first: when the client has the answer, it is in the log.
        let _ = answered.send(key(method, status));
        messages.stream().write_all(answer(method, status).as_bytes())?;
        if head.contains("Connection: close") {
            break;
        }
    }
    Ok(())
}

fn answer(method: &str, status: u16) -> String {
    let body = format!("this is {status}\n");
    match (method, status) {
        (_, 204) => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        ("HEAD", _) => {
            format!("HTTP/1.1 {status} Because\r\nContent-Length: {}\r\n\r\n", body.len())
        }
        _ => format!("HTTP/1.1 {status} Because\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
    }
}
