//! Loop devices of the tests' own.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::program::{Scratch, run};

/// A loop device on a file, gone when dropped.
pub struct Loop {
    device: String,
    mounted: Option<String>,
    scratch: Scratch,
}

impl Loop {
    /// A fresh one of so many bytes.
    pub fn new(name: &str, bytes: u64) -> anyhow::Result<Self> {
        let scratch = Scratch::new(name)?;
        let file = scratch.file("disk", "")?;
        std::fs::File::options().write(true).open(&file)?.set_len(bytes)?;
        let mut losetup = Command::new("losetup");
        losetup.args(["--find", "--show"]).arg(&file);
        let device = String::from_utf8(run(losetup)?.stdout)?.trim().to_owned();
        Ok(Self { device, mounted: None, scratch })
    }

    /// Its path.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Its name in the kernel.
    pub fn name(&self) -> &str {
        self.device.rsplit('/').next().unwrap_or_default()
    }

    /// Its number, as `7:0`.
    pub fn number(&self) -> anyhow::Result<String> {
        let file = Path::new("/sys/class/block").join(self.name()).join("dev");
        Ok(std::fs::read_to_string(file)?.trim().to_owned())
    }

    /// Its line of `/proc/diskstats`, behind the name.
    pub fn stats(&self) -> anyhow::Result<Vec<u64>> {
        let text = std::fs::read_to_string("/proc/diskstats")?;
        let mut lines = text.lines().map(|line| line.split_ascii_whitespace().skip(2));
        let line = lines
            .find_map(|mut words| (words.next() == Some(self.name())).then_some(words))
            .context("the device has no counts")?;
        Ok(line.map(str::parse).collect::<Result<_, _>>()?)
    }

    /// fio on it, an operation at a time past all caches; what it did as JSON.
    pub fn fio(&self, arguments: &[&str]) -> Command {
        let mut fio = Command::new("fio");
        fio.args(["--name=load", "--direct=1", "--bs=4k", "--ioengine=psync"]);
        fio.args(["--output-format=json", &format!("--filename={}", self.device)]).args(arguments);
        fio
    }

    /// Makes an ext4 on it and mounts it; where.
    pub fn mount(&mut self) -> anyhow::Result<String> {
        let mut make = Command::new("mkfs.ext4");
        make.args(["-q", &self.device]);
        run(make)?;
        let point = self.scratch.path().join("mounted");
        std::fs::create_dir_all(&point)?;
        let point = point.to_string_lossy().into_owned();
        let mut mount = Command::new("mount");
        mount.args([&self.device, &point]);
        run(mount)?;
        self.mounted = Some(point.clone());
        Ok(point)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // What is left is seen with `losetup`; the test has its verdict already.
        if let Some(point) = &self.mounted {
            let _ = Command::new("umount").arg(point).status();
        }
        let _ = Command::new("losetup").args(["--detach", &self.device]).status();
    }
}
