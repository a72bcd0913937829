//! `peer listen|connect PLACE SCRIPT`: performs a script on one connection; see `steth_tests::peer`.

mod message;

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use steth_tests::peer::{Report, Step};

/// How long a step may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The connection.
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A peer at work.
struct Player {
    socket: Socket,
    buffer: Vec<u8>,
    since: Instant,
    report: Report,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().context("peer listen|connect PLACE SCRIPT");
    let (end, place, script) = (next()?, next()?, next()?);
    let script: Vec<Step> = serde_json::from_slice(&std::fs::read(script)?)?;
    let socket = match (end.as_str(), place.strip_prefix("unix:")) {
        ("listen", None) => Socket::Tcp(TcpListener::bind(place)?.accept()?.0),
        ("connect", None) => Socket::Tcp(TcpStream::connect(place)?),
        ("listen", Some(path)) => Socket::Unix(UnixListener::bind(path)?.accept()?.0),
        ("connect", Some(path)) => Socket::Unix(UnixStream::connect(path)?),
        _ => bail!("neither listen nor connect: {end}"),
    };
    match &socket {
        Socket::Tcp(stream) => {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
        }
        Socket::Unix(stream) => stream.set_read_timeout(Some(PATIENCE))?,
    }
    let buffer = vec![0; 1 << 18];
    let mut player = Player { socket, buffer, since: Instant::now(), report: Report::default() };
    for (i, step) in script.iter().enumerate() {
        player.perform(step).with_context(|| format!("step {i}: {}", brief(step)))?;
    }
    let said = serde_json::to_string(&player.report)?;
    std::io::stdout().write_all(said.as_bytes())?;
    Ok(())
}

/// A step, without the bulk of its bytes.
fn brief(step: &Step) -> String {
    format!("{step:?}").chars().take(120).collect()
}

impl Player {
    fn perform(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Write(text) => self.write(text.as_bytes())?,
            Step::Pieces(size, text) => {
                text.as_bytes().chunks(*size).try_for_each(|piece| self.write(piece))?;
            }
            Step::Vector(pieces) => {
                let slices: Vec<_> = pieces.iter().map(|p| IoSlice::new(p.as_bytes())).collect();
                let moved = self.socket.as_write().write_vectored(&slices)?;
                self.whole(moved, pieces)?;
            }
            Step::Message(pieces) => {
                let moved = message::send(self.socket.as_fd(), pieces)?;
                self.whole(moved, pieces)?;
            }
            Step::Messages(texts) => {
                let moved = message::send_many(self.socket.as_fd(), texts)?;
                self.whole(moved, texts)?;
            }
            Step::Fill(bytes) => {
                let block = vec![b'x'; 1 << 16];
                let mut left = *bytes;
                while left > 0 {
                    let n = usize::try_from(left)?.min(block.len());
                    self.write(block.get(..n).unwrap_or_default())?;
                    left -= n as u64;
                }
            }
            Step::Read(bytes) => self.read(*bytes, usize::MAX)?,
            Step::ReadPieces(size, bytes) => self.read(*bytes, *size)?,
            Step::ReadMessage(bytes) => self.read_by(*bytes, message::receive)?,
            Step::ReadVector(bytes) => self.read_vector(*bytes)?,
            Step::Peek(bytes) => self.peek(*bytes)?,
            Step::End => self.read_to_end()?,
            Step::Shut => match &self.socket {
                Socket::Tcp(stream) => stream.shutdown(Shutdown::Write)?,
                Socket::Unix(stream) => stream.shutdown(Shutdown::Write)?,
            },
            Step::Pause(ms) => std::thread::sleep(Duration::from_millis(*ms)),
            Step::Start => self.since = Instant::now(),
            Step::Stop => self.report.took = u64::try_from(self.since.elapsed().as_nanos())?,
            Step::Repeat(times, apart, steps) => {
                let begun = Instant::now();
                for i in 0..*times {
                    let due = begun + Duration::from_micros(apart * i);
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    steps.iter().try_for_each(|step| self.perform(step))?;
                }
            }
            Step::Touch(path) => std::fs::write(path, "")?,
            Step::Await(path) => wait(path)?,
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.socket.as_write().write_all(bytes)?;
        self.report.written += bytes.len() as u64;
        Ok(())
    }

    /// A call that was to move all of `pieces` has.
    fn whole(&mut self, moved: usize, pieces: &[String]) -> Result<()> {
        let all: usize = pieces.iter().map(String::len).sum();
        ensure!(moved == all, "{moved} of {all} bytes were written in one call");
        self.report.written += moved as u64;
        Ok(())
    }

    fn read(&mut self, bytes: usize, at_most: usize) -> Result<()> {
        let mut left = bytes;
        while left > 0 {
            let room = left.min(at_most).min(self.buffer.len());
            let room = self.buffer.get_mut(..room).unwrap_or_default();
            let n = self.socket.as_read().read(room)?;
            ensure!(n > 0, "ended {left} bytes early");
            left -= n;
            self.report.read += n as u64;
        }
        Ok(())
    }

    fn read_by(
        &mut self,
        bytes: usize,
        call: fn(BorrowedFd<'_>, &mut [u8]) -> std::io::Result<usize>,
    ) -> Result<()> {
        let mut left = bytes;
        while left > 0 {
            let room = self.buffer.get_mut(..left).context("too many for one buffer")?;
            let n = call(self.socket.as_fd(), room)?;
            ensure!(n > 0, "ended {left} bytes early");
            left -= n;
            self.report.read += n as u64;
        }
        Ok(())
    }

    fn read_vector(&mut self, bytes: usize) -> Result<()> {
        let mut left = bytes;
        while left > 0 {
            let room = self.buffer.get_mut(..left.min(4096)).context("no room")?;
            let mut pieces: Vec<_> = room.chunks_mut(16).map(IoSliceMut::new).collect();
            let n = self.socket.as_read().read_vectored(&mut pieces)?;
            ensure!(n > 0, "ended {left} bytes early");
            left -= n;
            self.report.read += n as u64;
        }
        Ok(())
    }

    fn peek(&mut self, bytes: usize) -> Result<()> {
        let Socket::Tcp(stream) = &self.socket else { bail!("only TCP is looked into") };
        let room = self.buffer.get_mut(..bytes).context("too many to look at")?;
        while stream.peek(room)? < bytes {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn read_to_end(&mut self) -> Result<()> {
        loop {
            match self.socket.as_read().read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => self.report.read += n as u64,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Socket {
    fn as_write(&mut self) -> &mut dyn Write {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }

    fn as_read(&mut self) -> &mut dyn Read {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

fn wait(path: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !path.exists() {
        ensure!(Instant::now() < deadline, "nobody made {}", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
