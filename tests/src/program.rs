//! Servers and clients under observation: real programs, started by the test, ended with it.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// How long a program may take until it listens.
const PATIENCE: Duration = Duration::from_mins(1);

/// A program that runs until this is dropped, with everything it started.
pub struct Program {
    child: Child,
    name: String,
}

/// A command that will be known as the service `name`, in a process group of its own.
pub fn command(program: impl AsRef<Path>, name: &str) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(program.as_ref());
    command.env("OTEL_SERVICE_NAME", name).stdin(Stdio::null()).process_group(0);
    command
}

impl Program {
    /// Starts a command. Its output goes nowhere unless the command says so.
    pub fn start(mut command: Command) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdout(Stdio::null())
            .stderr(if std::env::var_os("STETH_TEST_LOUD").is_some() {
                Stdio::inherit()
            } else {
                Stdio::null()
            })
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name })
    }

    /// Starts a command and waits until something listens at `address`.
    pub fn listening(command: Command, address: SocketAddr) -> anyhow::Result<Self> {
        let mut program = Self::start(command)?;
        let deadline = Instant::now() + PATIENCE;
        while !listens(address) {
            if let Some(status) = program.child.try_wait()? {
                bail!("{} ended at once: {status}", program.name);
            }
            if Instant::now() > deadline {
                bail!("{} does not listen at {address}", program.name);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(program)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The whole group: workers must not outlive their master.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

/// Whether something listens at `address`, found out without connecting, so that nothing is counted.
pub fn listens(address: SocketAddr) -> bool {
    let file = if address.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    let wanted = format!(":{:04X}", address.port());
    std::fs::read_to_string(file).unwrap_or_default().lines().skip(1).any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let local = fields.next().unwrap_or_default();
        let state = fields.nth(1).unwrap_or_default();
        local.ends_with(&wanted) && state == "0A"
    })
}

/// Runs a command to its end; its output, if it went well.
pub fn run(mut command: Command) -> anyhow::Result<Output> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed: {}\n{said}", output.status);
    }
    Ok(output)
}

/// A directory for this test, removed when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A fresh directory.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("steth-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it; gives its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> anyhow::Result<PathBuf> {
        let path = self.0.join(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A plain connection to a local port.
pub fn connect(port: u16) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
