//! `kernels`: the agent on other kernels, in QEMU under software emulation. On the host it brings the kernels, starts the guests and
//! compares; as PID 1 of a guest it is the guest.
//!
//! Exit codes: 0 all exact, 1 something differs, 2 something needed is not here, 64 wrong arguments.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use steth_tests::kernels::archive::{Kernel, Store};
use steth_tests::kernels::machine::{self, Machine};
use steth_tests::kernels::report::Task;
use steth_tests::kernels::suite::{ALL, Asked, Suite, TierChoice};
use steth_tests::kernels::verdict::Demand;
use steth_tests::kernels::{guest, initramfs, limited, load, report, verdict};

/// Loads the agent on Debian's kernels under QEMU and compares its counts of 100 requests with the server's and the client's.
#[derive(Debug, Parser)]
#[command(name = "kernels")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
struct Arguments {
    /// The suites whose kernels to try
    #[arg(long, value_delimiter = ',', default_values = ALL.map(|suite| suite.name))]
    suite: Vec<Suite>,
    /// What the agent is asked for: auto, 1, 2, 3, usual for auto and 3, or all for each that the kernel offers
    #[arg(long, default_value = "usual")]
    tier: TierChoice,
    /// The agent; without it only the harness is tried [default: target/release/steth, if it is there]
    #[arg(long)]
    agent: Option<PathBuf>,
    /// Tries the harness alone even when an agent is there
    #[arg(long, conflicts_with = "agent")]
    no_agent: bool,
    /// Keeps the memory disks
    #[arg(long)]
    keep: bool,
    /// Says which kernels are here, and ends
    #[arg(long)]
    list: bool,
    /// Brings the newest kernels again
    #[arg(long)]
    refresh: bool,
    /// Seconds after which a guest is stopped
    #[arg(long, default_value_t = 180)]
    limit: u64,
    /// More arguments for the agent
    #[arg(last = true)]
    more: Vec<String>,
}

const DIFFERS: u8 = 1;
const NOT_HERE: u8 = 2;
const USAGE: u8 = 64;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        guest::run();
        return ExitCode::FAILURE;
    }
    let outcome = match std::env::args().nth(1).as_deref() {
        Some(guest::ROLE_SERVER) => load::server::run().map(|()| ExitCode::SUCCESS),
        Some(guest::ROLE_CLIENT) => load::client::run().map(|()| ExitCode::SUCCESS),
        Some(limited::ROLE_BURNER) => limited::burn().map(|()| ExitCode::SUCCESS),
        _ => match Arguments::try_parse() {
            Ok(arguments) => on_host(&arguments),
            Err(error) => {
                let _ = error.print();
                return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
            }
        },
    };
    outcome.unwrap_or_else(|error| {
        say(&format!("kernels: {error:#}"));
        ExitCode::from(NOT_HERE)
    })
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn on_host(arguments: &Arguments) -> Result<ExitCode> {
    let dir = target_dir()?.join("kernels");
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let store = Store::of_user(&dir);
    if arguments.list {
        for suite in &arguments.suite {
            let kept = store.kept(*suite).map_or("not here".to_owned(), |kernel| kernel.package);
            say(&format!("{suite:<10} {:<5} {kept}", suite.series));
        }
        return Ok(ExitCode::SUCCESS);
    }
    anyhow::ensure!(
        machine::is_installed(),
        "{} is not here: apt-get install qemu-system-x86",
        machine::PROGRAM
    );
    let agent = agent(arguments)?;
    match &agent {
        Some(path) => say(&format!("agent: {}", path.display())),
        None => say("no agent: only the harness is tried"),
    }
    let mut kernels = Vec::new();
    for suite in &arguments.suite {
        kernels.push((*suite, kernel(&store, *suite, arguments.refresh)?));
    }
    say(verdict::HEADING);
    let mut differs = false;
    for (suite, kernel) in &kernels {
        let asked = if agent.is_some() { arguments.tier.on(*suite) } else { vec![Asked::Auto] };
        if asked.is_empty() {
            say(&format!("{suite:<9} does not offer this tier"));
        }
        for asked in asked {
            let trial = Trial { suite: *suite, kernel, asked, agent: agent.as_deref(), dir: &dir };
            differs |= !trial.run(arguments)?;
        }
    }
    Ok(if differs { ExitCode::from(DIFFERS) } else { ExitCode::SUCCESS })
}

/// One start of one machine.
struct Trial<'a> {
    suite: Suite,
    kernel: &'a Kernel,
    asked: Asked,
    agent: Option<&'a Path>,
    dir: &'a Path,
}

impl Trial<'_> {
    fn demand(&self) -> Demand {
        match self.asked.expected_on(self.suite) {
            Some(tier) if self.agent.is_some() => Demand::Agent(tier),
            _ => Demand::Load,
        }
    }

    /// Whether everything is exact.
    fn run(&self, arguments: &Arguments) -> Result<bool> {
        let name = match self.asked {
            Asked::Auto => self.suite.name.to_owned(),
            Asked::Only(_) => format!("{}-{}", self.suite.name, self.asked.as_str()),
        };
        let file = |extension: &str| self.dir.join(format!("{name}.{extension}"));
        let command = self.agent.map(|_| {
            let tier = self.asked.as_str();
            // Counted when the interval ends: the default of ten seconds would be most of a run.
            let flags = [initramfs::AGENT, "--capture-tier", tier, "--interval", "1s"];
            let flags = flags.map(str::to_owned);
            flags.into_iter().chain(arguments.more.iter().cloned()).collect()
        });
        let machine = Machine {
            kernel: self.kernel.image.clone(),
            initramfs: file("cpio"),
            console: file("log"),
            reports: file("reports"),
            limit: Duration::from_secs(arguments.limit),
        };
        fs::write(&machine.initramfs, initramfs::pack(&Task { agent: command }, self.agent)?)
            .context("writing the memory disk")?;
        let run = machine.run()?;
        if !arguments.keep {
            let _ = fs::remove_file(&machine.initramfs);
        }
        let reports = report::parse(&read_lossy(&machine.reports));
        let mut problems = verdict::problems(&reports, self.demand());
        if run.timed_out {
            problems.insert(0, format!("stopped after {} s", arguments.limit));
        }
        let times = (run.booted.unwrap_or_default().as_secs_f64(), run.total.as_secs_f64());
        say(&verdict::row(
            self.suite.name,
            self.asked.as_str(),
            times,
            &reports,
            problems.is_empty(),
        ));
        if !problems.is_empty() {
            for problem in &problems {
                say(&format!("    {problem}"));
            }
            say(&format!("    console: {}, its end:", machine.console.display()));
            tail(&read_lossy(&machine.console), 30).for_each(|line| say(&format!("    | {line}")));
        }
        Ok(problems.is_empty())
    }
}

fn kernel(store: &Store, suite: Suite, refresh: bool) -> Result<Kernel> {
    if let Some(kernel) = store.kept(suite).filter(|_| !refresh) {
        return Ok(kernel);
    }
    let kernel = store.bring(suite).with_context(|| format!("bringing the kernel of {suite}"))?;
    say(&format!("brought {} for {suite}", kernel.package));
    Ok(kernel)
}

/// The agent asked for, which has to be there, else the one built, if it was.
fn agent(arguments: &Arguments) -> Result<Option<PathBuf>> {
    if arguments.no_agent {
        return Ok(None);
    }
    let built = target_dir()?.join("release/steth");
    match &arguments.agent {
        Some(path) if path.is_file() => Ok(Some(path.clone())),
        Some(path) => {
            anyhow::bail!("{} is not here: cargo build --release -p steth", path.display())
        }
        None => Ok(built.is_file().then_some(built)),
    }
}

/// The directory cargo built this program into: it runs from `target/<profile>/kernels`.
fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe().context("finding this program")?;
    let target = program.ancestors().nth(2).context("this program is not in a target directory")?;
    Ok(target.to_owned())
}

fn read_lossy(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn tail(text: &str, count: usize) -> impl Iterator<Item = &str> {
    let lines = text.lines().count();
    text.lines().skip(lines.saturating_sub(count)).map(str::trim_end)
}
