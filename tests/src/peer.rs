//! Two processes that move exact bytes in exact calls, under observation.
//!
//! What each side does is a script: a list of [`Step`]s. The program `peer` of this package performs
//! it, at an address where it listens or to which it connects, and says at the end what it took.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::agent::free_port;
use crate::program::{Scratch, command, listens};

/// How long a peer may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// One thing that a peer does. Texts are the bytes themselves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Step {
    /// Writes it in one call.
    Write(String),
    /// Writes it in calls of so many bytes each.
    Pieces(usize, String),
    /// Writes pieces in one `writev`.
    Vector(Vec<String>),
    /// Writes pieces in one `sendmsg`.
    Message(Vec<String>),
    /// Writes texts in one `sendmmsg`, a message each.
    Messages(Vec<String>),
    /// Writes so many bytes of a body, in calls of 64 KiB.
    Fill(u64),
    /// Reads exactly so many bytes, in as few calls as they come in.
    Read(usize),
    /// Reads exactly so many bytes in calls of so many each.
    ReadPieces(usize, usize),
    /// Reads exactly so many bytes by `recvmsg` into two pieces.
    ReadMessage(usize),
    /// Reads exactly so many bytes by `readv` into pieces of 16 bytes.
    ReadVector(usize),
    /// Looks at so many bytes with `MSG_PEEK` until they are there, and leaves them.
    Peek(usize),
    /// Reads until the other side has ended; what it wrote may be cut off by a reset.
    End,
    /// Ends its own direction.
    Shut,
    /// Waits so many milliseconds.
    Pause(u64),
    /// The clock starts; a later one starts it again.
    Start,
    /// The clock stops.
    Stop,
    /// Performs steps so many times, so many microseconds apart at least.
    Repeat(u64, u64, Vec<Step>),
    /// Makes this file.
    Touch(PathBuf),
    /// Waits until this file is there.
    Await(PathBuf),
}

/// Which end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Listens, takes one connection, performs its script.
    Listen,
    /// Connects, performs its script.
    Connect,
}

/// What a peer says at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Nanoseconds between [`Step::Start`] and [`Step::Stop`].
    pub took: u64,
    /// Bytes read.
    pub read: u64,
    /// Bytes written.
    pub written: u64,
}

/// Where two peers meet.
#[derive(Clone, Debug)]
pub enum Place {
    /// A port of 127.0.0.1.
    Tcp(u16),
    /// A Unix socket's path.
    Unix(PathBuf),
}

impl Place {
    /// A free port.
    pub fn tcp() -> anyhow::Result<Self> {
        Ok(Self::Tcp(free_port()?))
    }

    fn word(&self) -> String {
        match self {
            Self::Tcp(port) => format!("127.0.0.1:{port}"),
            Self::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    fn listens(&self) -> bool {
        match self {
            Self::Tcp(port) => listens(SocketAddr::from(([127, 0, 0, 1], *port))),
            Self::Unix(path) => path.exists(),
        }
    }
}

/// A running peer.
pub struct Peer {
    child: Child,
    name: String,
}

impl Peer {
    /// Starts the program `peer` (found at `binary`) as the service `name`; a listening one listens
    /// when this returns.
    pub fn start(
        binary: &Path,
        scratch: &Scratch,
        name: &str,
        end: End,
        place: &Place,
        script: &[Step],
    ) -> anyhow::Result<Self> {
        let script = scratch.file(&format!("{name}.json"), serde_json::to_vec(script)?)?;
        let mut command: Command = command(binary, name);
        command.arg(if end == End::Listen { "listen" } else { "connect" });
        command.arg(place.word()).arg(script);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut peer = Self { child, name: name.to_owned() };
        let deadline = Instant::now() + PATIENCE;
        while end == End::Listen && !place.listens() {
            if peer.child.try_wait()?.is_some() || Instant::now() > deadline {
                return match peer.report() {
                    Ok(_) => bail!("{name} ended before it listened"),
                    Err(error) => Err(error),
                };
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(peer)
    }

    /// Waits for its end; what it says.
    pub fn report(mut self) -> anyhow::Result<Report> {
        let (mut said, mut complaint) = (String::new(), String::new());
        if let (Some(out), Some(err)) = (&mut self.child.stdout, &mut self.child.stderr) {
            std::io::Read::read_to_string(out, &mut said)?;
            std::io::Read::read_to_string(err, &mut complaint)?;
        }
        let status = self.child.wait()?;
        if !status.success() {
            bail!("{}: {status}: {complaint}", self.name);
        }
        serde_json::from_str(&said).with_context(|| format!("{} said {said:?}", self.name))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // One that has ended is not killed, and one that has not must not outlive the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both ends' reports, of peers known as `{name}-server` and `{name}-client`.
pub fn converse(
    binary: &Path,
    scratch: &Scratch,
    name: &str,
    place: &Place,
    server: &[Step],
    client: &[Step],
) -> anyhow::Result<[Report; 2]> {
    let start = |role: &str, end, script| {
        Peer::start(binary, scratch, &format!("{name}-{role}"), end, place, script)
    };
    let server = start("server", End::Listen, server)?;
    let client = start("client", End::Connect, client)?;
    let client = client.report();
    Ok([server.report()?, client?])
}
