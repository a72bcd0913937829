//! A small session of real servers and clients, scripted so that it is the same each time: for
//! recordings, and for comparing ways of capture.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

use crate::agent::{binary, free_port};
use crate::program::{Program, Scratch, command, run};

/// Pipelines three requests, and reads until the server closes.
const PIPELINE: &str = r#"
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
one = "GET /hello/%d HTTP/1.1\r\nHost: front.example\r\n%s\r\n"
s.sendall("".join(one % (i, "Connection: close\r\n" if i == 3 else "") for i in (1, 2, 3)).encode())
while s.recv(65536): pass
"#;

/// Gives up in the middle of a long answer.
const ABORT: &str = r#"
import socket, struct, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"GET /slow HTTP/1.1\r\nHost: front.example\r\n\r\n")
assert s.recv(100)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()
"#;

/// Servers that wait for the script.
pub struct Session {
    scratch: Scratch,
    files: u16,
    front: u16,
    nobody: u16,
    _servers: [Program; 2],
}

impl Session {
    /// Starts Python's file server as the service `files` and nginx as `front`.
    pub fn start() -> anyhow::Result<Self> {
        let scratch = Scratch::new("session")?;
        let (files, front, nobody) = (free_port()?, free_port()?, free_port()?);
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        scratch.file("a.txt", "hello\n")?;
        let mut python = command("python3", "files");
        python.args(["-m", "http.server", "--bind", "127.0.0.1", "--protocol", "HTTP/1.1"]);
        python.arg(files.to_string()).current_dir(scratch.path());
        let python = Program::listening(python, at(files))?;

        let dir = scratch.path().display();
        scratch.file("slow", vec![b'x'; 1 << 20])?;
        let config = scratch.file(
            "nginx.conf",
            format!(
                "worker_processes 1; daemon off; master_process off;
                 error_log {dir}/error.log; pid {dir}/pid;
                 events {{ worker_connections 64; }}
                 http {{ access_log off; client_body_temp_path {dir}; proxy_temp_path {dir};
                   fastcgi_temp_path {dir}; uwsgi_temp_path {dir}; scgi_temp_path {dir};
                   server {{ listen 127.0.0.1:{front};
                     location /hello {{ return 200 \"hello\\n\"; }}
                     location /made {{ return 201; }}
                     location /broken {{ return 503; }}
                     location /slow {{ root {dir}; limit_rate 1k; }} }} }}"
            ),
        )?;
        let mut nginx = command("nginx", "front");
        nginx.arg("-c").arg(config).current_dir("/");
        let nginx = Program::listening(nginx, at(front))?;
        Ok(Self { scratch, files, front, nobody, _servers: [python, nginx] })
    }

    /// The ports that are used, for the agent's filter.
    pub fn ports(&self) -> String {
        let Self { files, front, nobody, .. } = self;
        format!("{files},{front},{nobody}")
    }

    /// A directory that goes with the session.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Runs the script: ten requests of several kinds, three in one go, one given up, and a connect
    /// that is refused.
    pub fn play(&self) -> anyhow::Result<()> {
        let Self { files, front, nobody, .. } = self;
        let file = |path: &str| format!("http://127.0.0.1:{files}{path}");
        let page = |path: &str| format!("http://127.0.0.1:{front}{path}");
        self.curl(&[&file("/a.txt")])?;
        self.curl(&[&file("/none")])?;
        self.curl(&["--head", &file("/a.txt")])?;
        // One connection, two requests.
        self.curl(&[&page("/hello/1"), &page("/hello/2?token=abc")])?;
        self.curl(&["--request", "POST", "--data", "a=b", &page("/made")])?;
        self.curl(&["--request", "PUT", "--data", "a=b", &page("/made")])?;
        self.curl(&["--request", "DELETE", &page("/hello/1")])?;
        self.curl(&["--header", "Authorization: Bearer secret", &page("/broken")])?;
        self.curl(&["--http1.0", &page("/hello/1")])?;
        if self.curl(&[&format!("http://127.0.0.1:{nobody}/")]).is_ok() {
            bail!("somebody listens at {nobody}");
        }
        self.python("pipeliner", PIPELINE)?;
        self.python("quitter", ABORT)
    }

    fn curl(&self, args: &[&str]) -> anyhow::Result<()> {
        let mut curl = command("curl", "asker");
        curl.args(["--silent", "--noproxy", "*", "--output", "/dev/null"]);
        // An output option is for one address only.
        curl.args(["--output", "/dev/null"]).args(args).current_dir("/");
        run(curl).map(|_| ())
    }

    fn python(&self, service: &str, script: &str) -> anyhow::Result<()> {
        let mut python = command("python3", service);
        python.args(["-c", script]).arg(self.front.to_string()).current_dir("/");
        run(python).map(|_| ())
    }
}

/// A running `steth record`.
pub struct Recorder {
    child: Child,
    said: BufReader<std::process::ChildStderr>,
}

impl Recorder {
    /// Starts to record; comes back when it does.
    pub fn start(file: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(binary());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("OTEL_") || text.starts_with("STETH_") {
                command.env_remove(&name);
            }
        }
        command.arg("record").arg(file).args(flags);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child =
            command.spawn().with_context(|| format!("cannot start {}", binary().display()))?;
        let stderr = child.stderr.take().context("no standard error")?;
        let mut recorder = Self { child, said: BufReader::new(stderr) };
        let mut all = String::new();
        while !all.lines().last().is_some_and(|line| line.starts_with("recording")) {
            if recorder.said.read_line(&mut all)? == 0 {
                bail!("it ended at once: {all}");
            }
        }
        Ok(recorder)
    }

    /// Ends the recording; what it said last.
    pub fn stop(mut self) -> anyhow::Result<String> {
        let pid = self.child.id().to_string();
        run({
            let mut kill = Command::new("kill");
            kill.args(["-INT", &pid]);
            kill
        })?;
        let mut all = String::new();
        std::io::Read::read_to_string(&mut self.said, &mut all)?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("steth record: {status}: {all}");
        }
        Ok(all)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // After a failed test; an ended process is not there to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Plays a recording back; the page.
pub fn replay(file: &Path) -> anyhow::Result<String> {
    let mut command = Command::new(binary());
    command.arg("replay").arg(file);
    Ok(String::from_utf8(run(command)?.stdout)?)
}

/// Records the session with `flags`.
pub fn record(file: &Path, flags: &[&str]) -> anyhow::Result<()> {
    let session = Session::start()?;
    let ports = session.ports();
    let mut all = vec!["--include-port", &ports];
    all.extend_from_slice(flags);
    let recorder = Recorder::start(file, &all)?;
    session.play()?;
    recorder.stop().map(|_| ())
}
