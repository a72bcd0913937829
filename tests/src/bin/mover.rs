//! `mover`: bytes moved by every means the kernel has, and processes that live for one request.
//! A program under test; its own clock and count are what the agent's are compared with.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use io_uring::{IoUring, opcode, squeue, types};
use rustix::fs::{MemfdFlags, memfd_create, sendfile};
use rustix::net::sockopt;
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, pipe, splice};

/// Bytes a call is asked to move.
const CHUNK: usize = 64 * 1024;
/// Buffers of the sockets: what they hold is what the two ends' clocks differ by.
const BUFFER: usize = 256 * 1024;

/// Moves bytes.
#[derive(Debug, Parser)]
enum Arguments {
    /// Answers every request with so many bytes
    Serve {
        /// The call that moves the body
        by: By,
        /// Where to listen, on loopback
        port: u16,
        /// Bytes of the body
        size: u64,
    },
    /// Fetches once, slowly; says how many seconds it took and how many bytes came
    Fetch {
        /// The call that takes the body
        by: By,
        /// The server's port on loopback
        port: u16,
        /// Bytes a second
        rate: u64,
    },
    /// Asks once, and ends
    Ask {
        /// The server
        server: SocketAddr,
    },
    /// Says the port it listens at, answers once, and ends
    Once,
    /// Answers every request at once
    Answer {
        /// Where to listen, on loopback
        port: u16,
    },
}

/// A way to move bytes.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    /// `read`, `write`
    Plain,
    /// `sendfile`
    Sendfile,
    /// `splice` through a pipe
    Splice,
    /// `io_uring`
    Uring,
}

fn main() -> Result<()> {
    match Arguments::parse() {
        Arguments::Serve { by, port, size } => serve(by, port, size),
        Arguments::Fetch { by, port, rate } => fetch(by, port, rate),
        Arguments::Ask { server } => ask(server),
        Arguments::Once => once(),
        Arguments::Answer { port } => answer(port),
    }
}

fn serve(by: By, port: u16, size: u64) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let mut body = Body::new(by, size)?;
    loop {
        let (mut stream, _) = listener.accept()?;
        sockopt::set_socket_send_buffer_size(&stream, BUFFER)?;
        while head(&mut stream)?.is_some() {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
            stream.write_all(head.as_bytes())?;
            body.send(&mut stream, size)?;
        }
    }
}

/// A head up to its empty line, and what came behind it; none if the stream ended.
fn head(stream: &mut TcpStream) -> Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(at + 4);
            return Ok(Some((String::from_utf8(bytes)?, rest)));
        }
        match stream.read(&mut chunk)? {
            0 if bytes.is_empty() => return Ok(None),
            0 => bail!("the stream ended in a head"),
            n => bytes.extend_from_slice(chunk.get(..n).unwrap_or_default()),
        }
    }
}

/// Where the bytes of a body come from.
enum Body {
    Memory(Vec<u8>),
    File(File),
    Pipe(File),
    Ring(Box<IoUring>, Vec<u8>),
}

impl Body {
    fn new(by: By, size: u64) -> Result<Self> {
        Ok(match by {
            By::Plain => Self::Memory(vec![b'x'; CHUNK]),
            By::Uring => Self::Ring(Box::new(IoUring::new(4)?), vec![b'x'; CHUNK]),
            By::Sendfile | By::Splice => {
                let file = File::from(memfd_create("body", MemfdFlags::CLOEXEC)?);
                file.set_len(size)?;
                if matches!(by, By::Splice) { Self::Pipe(file) } else { Self::File(file) }
            }
        })
    }

    fn send(&mut self, stream: &mut TcpStream, size: u64) -> Result<()> {
        let mut left = size;
        match self {
            Self::Memory(chunk) => {
                while left > 0 {
                    let part = chunk.get(..upto(left, CHUNK)).context("a chunk")?;
                    stream.write_all(part)?;
                    left -= part.len() as u64;
                }
            }
            Self::File(file) => {
                let mut at = 0;
                while left > 0 {
                    left -= sendfile(&*stream, &*file, Some(&mut at), upto(left, CHUNK))? as u64;
                }
            }
            Self::Pipe(file) => {
                let (out, into) = pipe()?;
                fcntl_setpipe_size(&into, CHUNK)?;
                let mut at = 0;
                while left > 0 {
                    let most = upto(left, CHUNK);
                    let flags = SpliceFlags::MOVE;
                    let mut held = splice(&*file, Some(&mut at), &into, None, most, flags)?;
                    left -= held as u64;
                    while held > 0 {
                        held -= splice(&out, None, &*stream, None, held, flags)?;
                    }
                }
            }
            Self::Ring(ring, chunk) => {
                while left > 0 {
                    let len = u32::try_from(upto(left, CHUNK))?;
                    let fd = types::Fd(stream.as_raw_fd());
                    let sent = submit(ring, &opcode::Send::new(fd, chunk.as_ptr(), len).build())?;
                    left -= sent as u64;
                }
            }
        }
        Ok(())
    }
}

fn upto(left: u64, most: usize) -> usize {
    usize::try_from(left).map_or(most, |left| left.min(most))
}

/// One operation through the ring, waited for; its result.
#[allow(unsafe_code, reason = "the ring borrows memory across the kernel line")]
fn submit(ring: &mut IoUring, entry: &squeue::Entry) -> Result<usize> {
    // SAFETY: the operation's buffer is the caller's and outlives this call, which waits for its end.
    unsafe { ring.submission().push(entry)? };
    ring.submit_and_wait(1)?;
    let result = ring.completion().next().context("no completion")?.result();
    usize::try_from(result).map_err(|_| std::io::Error::from_raw_os_error(-result).into())
}

fn fetch(by: By, port: u16, rate: u64) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    sockopt::set_socket_recv_buffer_size(&stream, BUFFER)?;
    let begun = Instant::now();
    stream.write_all(b"GET /body HTTP/1.1\r\nHost: mover\r\n\r\n")?;
    let (head, rest) = head(&mut stream)?.context("no answer")?;
    let size: u64 = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: ")?.trim().parse().ok())
        .context("no length")?;
    let mut taker = Taker::new(by)?;
    let mut got = rest.len() as u64;
    while got < size {
        let taken = taker.take(&mut stream, upto(size - got, CHUNK))?;
        ensure!(taken > 0, "the stream ended after {got} bytes");
        got += taken as u64;
        let due = Duration::from_secs_f64(got as f64 / rate as f64);
        // The last bytes are in: nothing is waited for behind them.
        if got < size {
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
    }
    say(&format!("{:.6} {got}", begun.elapsed().as_secs_f64()))
}

/// Where the bytes of a body go.
enum Taker {
    Memory(Vec<u8>),
    Pipe { nowhere: File, out: std::os::fd::OwnedFd, into: std::os::fd::OwnedFd },
    Ring(Box<IoUring>, Vec<u8>),
}

impl Taker {
    fn new(by: By) -> Result<Self> {
        Ok(match by {
            By::Plain => Self::Memory(vec![0; CHUNK]),
            By::Uring => Self::Ring(Box::new(IoUring::new(4)?), vec![0; CHUNK]),
            By::Splice => {
                let (out, into) = pipe()?;
                fcntl_setpipe_size(&into, CHUNK)?;
                let nowhere = File::options().write(true).open("/dev/null")?;
                Self::Pipe { nowhere, out, into }
            }
            By::Sendfile => bail!("sendfile does not read sockets"),
        })
    }

    fn take(&mut self, stream: &mut TcpStream, most: usize) -> Result<usize> {
        match self {
            Self::Memory(chunk) => Ok(stream.read(chunk.get_mut(..most).context("a chunk")?)?),
            Self::Pipe { nowhere, out, into } => {
                let flags = SpliceFlags::MOVE;
                let taken = splice(stream.as_fd(), None, into.as_fd(), None, most, flags)?;
                let mut held = taken;
                while held > 0 {
                    held -= splice(out.as_fd(), None, nowhere.as_fd(), None, held, flags)?;
                }
                Ok(taken)
            }
            Self::Ring(ring, chunk) => {
                let fd: RawFd = stream.as_raw_fd();
                let to = chunk.as_mut_ptr();
                submit(ring, &opcode::Recv::new(types::Fd(fd), to, u32::try_from(most)?).build())
            }
        }
    }
}

fn ask(server: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.write_all(b"GET /once HTTP/1.1\r\nHost: mover\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

fn once() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    say(&listener.local_addr()?.port().to_string())?;
    let (mut stream, _) = listener.accept()?;
    head(&mut stream)?.context("no request")?;
    Ok(stream.write_all(ANSWER)?)
}

fn answer(port: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    loop {
        let (mut stream, _) = listener.accept()?;
        std::thread::spawn(move || -> Result<()> {
            if head(&mut stream)?.is_some() {
                stream.write_all(ANSWER)?;
            }
            Ok(())
        });
    }
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
