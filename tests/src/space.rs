//! Network namespaces of the tests' own, with nothing in them but loopback.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::program::{Program, run};

/// A network namespace, removed when dropped.
pub struct Space(String);

impl Space {
    /// A fresh one; loopback is up.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let name = format!("steth-{name}-{}", std::process::id());
        ip(&["netns", "add", &name])?;
        let space = Self(name);
        space.ip(&["link", "set", "lo", "up"])?;
        Ok(space)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Runs `ip` inside.
    pub fn ip(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut all = vec!["-n", &self.0];
        all.extend_from_slice(arguments);
        ip(&all)
    }

    /// The same command, to be run inside.
    pub fn inside(&self, command: &Command) -> Command {
        use std::os::unix::process::CommandExt;
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.0]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside.stdin(std::process::Stdio::null()).process_group(0);
        inside
    }

    /// Starts a command inside and waits until it listens at `port`.
    pub fn listening(&self, command: &Command, port: u16) -> anyhow::Result<Program> {
        self.heard(Program::start(self.inside(command))?, port)
    }

    /// Waits until a program that is to run inside listens at `port`.
    pub fn heard(&self, program: Program, port: u16) -> anyhow::Result<Program> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let wanted = format!(":{port:04X} ");
        let proc = Path::new("/proc").join(program.pid().to_string()).join("net");
        let own = std::fs::read_link("/proc/self/ns/net")?;
        let listens = |file: &str| {
            std::fs::read_to_string(proc.join(file)).unwrap_or_default().lines().any(|line| {
                let mut fields = line.split_ascii_whitespace().skip(1);
                let local = fields.next().unwrap_or_default();
                format!("{local} ").ends_with(&wanted) && fields.nth(1) == Some("0A")
            })
        };
        loop {
            let entered = std::fs::read_link(proc.with_file_name("ns/net"))
                .context("it ended at once")?
                != own;
            if entered && (listens("tcp") || listens("tcp6")) {
                return Ok(program);
            }
            if Instant::now() > deadline {
                bail!("nothing listens at {port} in {}", self.0);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // What is left is seen with `ip netns`; the test has its verdict already.
        let _ = ip(&["netns", "delete", &self.0]);
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("ip");
    command.args(arguments);
    run(command).map(|_| ())
}
