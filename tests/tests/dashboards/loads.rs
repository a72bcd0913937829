//! Small loads that make every signal of the dashboards move, all at once, until they are dropped.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use steth_tests::agent::free_port;
use steth_tests::disk::Loop;
use steth_tests::group::Group;
use steth_tests::program::{Program, Scratch, command, run};
use steth_tests::scripts::python;
use steth_tests::space::Space;
use steth_tests::traffic::Traffic;

/// Whole requests of the HTTP load in a turn.
const TURN: u32 = 40;
/// How long a load may take to be there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that runs; it ends in the order of the fields.
pub struct Loads {
    stop: Arc<AtomicBool>,
    turns: Vec<JoinHandle<()>>,
    _programs: Vec<Program>,
    _scratch: Scratch,
    _groups: [Group; 3],
    _disk: Loop,
    _spaces: Vec<Space>,
}

impl Loads {
    /// Starts all of them.
    pub fn start() -> anyhow::Result<Self> {
        let scratch = Scratch::new("looked-at")?;
        let disk = Loop::new("looked-disk", 64 << 20)?;
        let groups = [Group::new(1)?, Group::new(2)?, Group::new(3)?];
        let spaces = vec![Space::new("look-a")?, Space::new("look-b")?, Space::new("look-full")?];
        let mut programs = path(&spaces, &scratch)?;
        programs.extend(burn(&groups[0])?);
        programs.extend(write(&groups[2], &disk, scratch.path())?);
        programs.extend(fill(&spaces[2])?);
        let stop = Arc::new(AtomicBool::new(false));
        let turns = vec![
            turn(&stop, serve()?),
            turn(&stop, download(&spaces[0])),
            turn(&stop, outgrow(&groups[1])?),
        ];
        Ok(Self {
            stop,
            turns,
            _programs: programs,
            _scratch: scratch,
            _groups: groups,
            _disk: disk,
            _spaces: spaces,
        })
    }
}

impl Drop for Loads {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for turn in self.turns.drain(..) {
            let _ = turn.join();
        }
    }
}

/// Does something again and again.
fn turn(stop: &Arc<AtomicBool>, mut act: impl FnMut() + Send + 'static) -> JoinHandle<()> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            act();
            std::thread::sleep(Duration::from_millis(200));
        }
    })
}

/// A service with requests that are done well, are not found, and fail; and one that refuses.
fn serve() -> anyhow::Result<impl FnMut() + Send> {
    let traffic = Traffic::start("looked")?;
    let nobody = format!("http://127.0.0.1:{}/", free_port()?);
    Ok(move || {
        let at = |path: &str| format!("http://127.0.0.1:{}{path}", traffic.port());
        let body = ["--data", "a=1"];
        // What fails here shows as an empty panel.
        let _ = traffic.ask(TURN);
        let _ = traffic.curl(&[body[0], body[1], &at("/gone/1"), &at("/broken/2")]);
        let _ = traffic.curl(&[&nobody]);
    })
}

/// Two services that want one processor, and one whose quota is spent.
fn burn(group: &Group) -> anyhow::Result<Vec<Program>> {
    group.quota(20_000)?;
    let spin = "while True: pass";
    let burner = |name: &str| {
        let mut burner = command("taskset", name);
        burner.args(["-c", "0", "python3", "-c", spin]);
        burner
    };
    let mut capped = command("python3", "capped");
    capped.args(["-c", spin]);
    Ok(vec![
        Program::start(burner("burner-one"))?,
        Program::start(burner("burner-two"))?,
        Program::start(group.inside(&capped))?,
    ])
}

/// A container that writes to a disk and waits until it is there, with a network namespace of its own
/// and a limit of processes.
fn write(group: &Group, disk: &Loop, scratch: &Path) -> anyhow::Result<Vec<Program>> {
    group.write("pids", "pids.max", "50")?;
    // Then the kernel notes when the device is given a request.
    let file = format!("/sys/block/{}/queue/wbt_lat_usec", disk.name());
    let _ = std::fs::write(file, "2000");
    let fio = disk.fio(&[
        "--rw=randrw",
        "--size=32M",
        "--rate_iops=300",
        "--fsync=1",
        "--time_based",
        "--runtime=120",
    ]);
    let mut writer = command("unshare", "writer");
    let enter = "ip link add near type veth peer name far; exec \"$@\"";
    writer.args(["--net", "sh", "-c", enter, "sh"]).arg(fio.get_program()).args(fio.get_args());
    let mut writer = group.inside(&writer);
    writer.current_dir(scratch);
    // Threads that wait for one another.
    let mut turns = command("python3", "turns");
    turns.args(["-c", TURNS]);
    Ok(vec![Program::start(writer)?, Program::start(turns)?])
}

const TURNS: &str = "
import queue, threading, time
there, back = queue.Queue(), queue.Queue()
threading.Thread(target=lambda: [back.put(there.get()) for _ in iter(int, 1)]).start()
while True:
    there.put(1); back.get(); time.sleep(0.005)
";

/// A service behind a path that loses and delays.
fn path(spaces: &[Space], scratch: &Scratch) -> anyhow::Result<Vec<Program>> {
    let mut relay = python("relay.py", "relay");
    relay.args([spaces[0].name(), spaces[1].name(), "5", "3"]);
    let relay = Program::start(relay)?;
    for (i, space) in spaces.iter().take(2).enumerate() {
        let deadline = Instant::now() + PATIENCE;
        while space.ip(&["link", "set", "path", "mtu", "60000", "up"]).is_err() {
            anyhow::ensure!(Instant::now() < deadline, "the relay has not made its device");
            std::thread::sleep(Duration::from_millis(20));
        }
        let (own, other) = (format!("10.78.0.{}", i + 1), format!("10.78.0.{}", 2 - i));
        space.ip(&["address", "add", &own, "peer", &other, "dev", "path"])?;
    }
    scratch.file("body", vec![b'x'; 4_000_000])?;
    let mut server = command("python3", "far-away");
    server.args(["-m", "http.server", "--bind", "10.78.0.2", "--directory"]);
    server.arg(scratch.path()).arg("8080");
    Ok(vec![relay, spaces[1].listening(&server, 8080)?])
}

fn download(space: &Space) -> impl FnMut() + Send + use<> {
    let mut client = command("curl", "near-by");
    client.args(["-s", "-o", "/dev/null", "-m", "10", "http://10.78.0.2:8080/body"]);
    let mut client = space.inside(&client);
    move || {
        let _ = client.status();
    }
}

/// A service that accepts no more, and clients that ask it all the same.
fn fill(space: &Space) -> anyhow::Result<Vec<Program>> {
    let port = free_port()?;
    let mut server = python("full.py", "full");
    server.args(["4", &port.to_string()]);
    let server = space.listening(&server, port)?;
    let mut client = command("curl", "full-client");
    client.args(["-s", &format!("http://127.0.0.1:{port}/")]);
    run(space.inside(&client)).context("the listener has to be known by a request")?;
    let mut knock = python("knock.py", "knock");
    knock.args(["12", &port.to_string()]);
    Ok(vec![server, Program::start(space.inside(&knock))?])
}

/// A service that wants more memory than its container may have, again and again: it is killed.
fn outgrow(group: &Group) -> anyhow::Result<impl FnMut() + Send + use<>> {
    group.memory(32 << 20)?;
    let mut hungry = command("python3", "hungry");
    hungry.args([
        "-c",
        "import time; time.sleep(1); held = [bytes(1 << 20) + b'x' for _ in range(99)]",
    ]);
    let mut hungry: Command = group.inside(&hungry);
    hungry.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    Ok(move || {
        let _ = hungry.status();
    })
}
