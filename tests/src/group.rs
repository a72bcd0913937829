//! Control groups of the tests' own, named as a container engine names them: of version 1 where the
//! controllers are there, else of version 2.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

const MOUNT: &str = "/sys/fs/cgroup";
const ONE: &[&str] = &["cpu", "cpuacct", "memory", "pids", "blkio", "systemd", "unified"];

/// A control group in every hierarchy, removed when dropped with all that runs in it.
pub struct Group {
    path: String,
    places: Vec<(String, PathBuf)>,
}

impl Group {
    /// A fresh container's.
    pub fn new(number: u8) -> anyhow::Result<Self> {
        let id = format!("{:08x}{number:056x}", std::process::id());
        let path = format!("/docker/{id}");
        let mut places = Vec::new();
        if Path::new(MOUNT).join("cgroup.controllers").exists() {
            let above = Path::new(MOUNT).join("docker");
            std::fs::create_dir_all(&above)?;
            for place in [Path::new(MOUNT), &above] {
                std::fs::write(place.join("cgroup.subtree_control"), "+cpu +memory +io +pids")?;
            }
            places.push((String::new(), above.join(&id)));
        } else {
            let controllers = ONE.iter().filter(|name| Path::new(MOUNT).join(name).is_dir());
            places.extend(controllers.map(|name| {
                ((*name).to_owned(), Path::new(MOUNT).join(name).join("docker").join(&id))
            }));
        }
        for (_, place) in &places {
            std::fs::create_dir_all(place).context("control groups cannot be made here")?;
        }
        Ok(Self { path, places })
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its container.
    pub fn id(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether it is of version 2.
    pub fn is_two(&self) -> bool {
        self.places.iter().any(|(name, _)| name.is_empty())
    }

    fn file(&self, controller: &str, name: &str) -> anyhow::Result<PathBuf> {
        let place = self.places.iter().find(|(of, _)| of.is_empty() || of == controller);
        Ok(place.with_context(|| format!("no controller {controller}"))?.1.join(name))
    }

    /// What a file of it says.
    pub fn read(&self, controller: &str, name: &str) -> anyhow::Result<String> {
        let file = self.file(controller, name)?;
        std::fs::read_to_string(&file).with_context(|| file.display().to_string())
    }

    /// The number behind a key in a file of it.
    pub fn number(&self, controller: &str, name: &str, key: &str) -> anyhow::Result<u64> {
        let text = self.read(controller, name)?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("no {key} in {name}"))?.trim().parse()?)
    }

    /// Writes a file of it.
    pub fn write(&self, controller: &str, name: &str, text: &str) -> anyhow::Result<()> {
        let file = self.file(controller, name)?;
        std::fs::write(&file, text).with_context(|| file.display().to_string())
    }

    /// Allows so many microseconds of a tenth of a second.
    pub fn quota(&self, micros: u32) -> anyhow::Result<()> {
        if self.is_two() {
            return self.write("cpu", "cpu.max", &format!("{micros} 100000"));
        }
        self.write("cpu", "cpu.cfs_period_us", "100000")?;
        self.write("cpu", "cpu.cfs_quota_us", &micros.to_string())
    }

    /// Allows so many bytes of memory.
    pub fn memory(&self, bytes: u64) -> anyhow::Result<()> {
        let file = if self.is_two() { "memory.max" } else { "memory.limit_in_bytes" };
        self.write("memory", file, &bytes.to_string())
    }

    /// The same command, to be run inside.
    pub fn inside(&self, command: &Command) -> Command {
        use std::os::unix::process::CommandExt;
        let enter: String = self
            .places
            .iter()
            .map(|(_, place)| format!("echo $$ > {}/cgroup.procs; ", place.display()))
            .collect();
        let mut inside = Command::new("sh");
        inside.arg("-c").arg(format!("{enter}exec \"$@\"")).arg("sh");
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside.stdin(std::process::Stdio::null()).process_group(0);
        inside
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        for (_, place) in &self.places {
            while std::fs::remove_dir(place).is_err() && Instant::now() < deadline {
                let inside = std::fs::read_to_string(place.join("cgroup.procs"));
                for pid in inside.unwrap_or_default().lines() {
                    let _ = Command::new("kill").args(["-9", pid]).status();
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            // The last one takes what is above with it.
            let _ = place.parent().map(std::fs::remove_dir);
        }
    }
}

/// Waits until `done` says so, for what other programs still have to do.
pub fn wait(what: &str, mut done: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done()? {
        if Instant::now() > deadline {
            bail!("{what}: not within half a minute");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
