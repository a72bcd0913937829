//! Runs one guest in QEMU under software emulation, bounded in time, and brings back what it wrote to its two serial ports.
//!
//! The first port is the kernel's console and the agent's log, for people; the second carries only reports, so that
//! a kernel message can never fall into the middle of one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The emulator.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// One guest to be started.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The kernel.
    pub kernel: PathBuf,
    /// Its memory disk.
    pub initramfs: PathBuf,
    /// Where the console's text goes.
    pub console: PathBuf,
    /// Where the reports go.
    pub reports: PathBuf,
    /// It is stopped after this long.
    pub limit: Duration,
}

/// How a run of a guest ended.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// From the start of the emulator to the first report.
    pub booted: Option<Duration>,
    /// From its start to its end.
    pub total: Duration,
    /// Whether it had to be stopped.
    pub timed_out: bool,
}

/// Whether the emulator is here.
pub fn is_installed() -> bool {
    let quiet =
        Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

impl Machine {
    /// Starts it and waits for its end.
    pub fn run(&self) -> Result<Run> {
        fs::write(&self.reports, "")
            .with_context(|| format!("writing {}", self.reports.display()))?;
        let began = Instant::now();
        let mut child = self.command().spawn().with_context(|| format!("starting {PROGRAM}"))?;
        let mut booted = None;
        loop {
            let said_something = fs::metadata(&self.reports).is_ok_and(|meta| meta.len() > 0);
            if booted.is_none() && said_something {
                booted = Some(began.elapsed());
            }
            if child.try_wait().context("waiting for the emulator")?.is_some() {
                return Ok(Run { booted, total: began.elapsed(), timed_out: false });
            }
            if began.elapsed() > self.limit {
                child.kill().context("stopping the emulator")?;
                child.wait().context("waiting for the emulator")?;
                return Ok(Run { booted, total: began.elapsed(), timed_out: true });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn command(&self) -> Command {
        let serial = |path: &Path| format!("file:{}", path.display());
        let mut command = Command::new(PROGRAM);
        command
            // One thread emulates both processors: with two, one may go on with code that the other has just rewritten
            // (a limit on a control group switches a branch in the scheduler), which ends the guest now and then.
            .args([
                "-accel",
                "tcg,thread=single",
                "-machine",
                "pc",
                "-cpu",
                "max",
                "-smp",
                "2",
                "-m",
                "1024M",
            ])
            .args(["-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"])
            .args(["-serial", &serial(&self.console), "-serial", &serial(&self.reports)])
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.initramfs)
            // A panic ends the guest at once; mitigations only cost time where nothing is shared; on a busy host the
            // emulated timer is late for a check that old kernels make of it.
            .args(["-append", "console=ttyS0 panic=-1 quiet mitigations=off no_timer_check"])
            .stdin(Stdio::null());
        command
    }
}
