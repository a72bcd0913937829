//! The kernel side's report for people: in the log, at `/status`, and as `steth check`.

use crate::health::probe::{Probe, Report, State};
use crate::kernel::{self, Kernel, probe};

use super::privilege::Privileges;

/// The probes as the health pages tell them.
pub fn of(kernel: &Kernel) -> Vec<Probe> {
    kernel.reports.iter().map(told).collect()
}

fn told(report: &probe::Report) -> Probe {
    let (state, lost) = match &report.state {
        probe::State::Active => (State::Active, Some(report.loss)),
        // What another tier does is not lost.
        probe::State::Disabled { why } => (State::Disabled { why: why.clone() }, None),
        probe::State::Failed { why } => (State::Failed { why: why.clone() }, Some(report.loss)),
    };
    Probe {
        name: report.name,
        state,
        lost,
        grant: None,
        sees_requests: report.name.starts_with("sock_")
            || report.name.starts_with("tcp_")
            || report.name == "sys_exit",
    }
}

/// One line each for what works and what does not.
pub fn log(kernel: &Kernel) {
    tracing::info!(tier = kernel.tier.number(), "watching");
    for report in &kernel.reports {
        if let probe::State::Failed { why } = &report.state {
            tracing::warn!(probe = report.name, hook = report.hook, why, "lost: {}", report.loss);
        }
    }
}

/// Why nothing can be watched, and what to do.
pub fn explain(error: kernel::Error) -> anyhow::Error {
    let advice = Privileges::of_this_process().map(|own| own.advice()).unwrap_or_default();
    if advice.is_empty() {
        anyhow::Error::new(error).context("nothing can be watched")
    } else {
        anyhow::anyhow!("nothing can be watched: {error}\n{}", advice.trim_end())
    }
}

/// What `steth check` says.
pub fn check(options: &kernel::Options) -> Report {
    let privileges = Privileges::of_this_process();
    let advice = privileges.map(|own| own.advice()).unwrap_or_default();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = format!("{} {}", release.trim(), std::env::consts::ARCH);
    match kernel::load(crate::KERNEL_OBJECT, options) {
        Ok(loaded) => Report {
            kernel,
            tier: match loaded.tier {
                kernel::Tier::Sockets => "1: socket tracepoints".to_owned(),
                kernel::Tier::Protocols => "2: exits of the protocols' functions".to_owned(),
                kernel::Tier::Calls => "3: exits of system calls".to_owned(),
            },
            privileges: advice,
            probes: of(&loaded),
        },
        Err(error) => {
            Report { kernel, tier: format!("none: {error}"), privileges: advice, probes: Vec::new() }
        }
    }
}
