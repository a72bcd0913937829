//! `cargo xtask test`: every check there is, cheapest first, and a summary that hides nothing.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;

use super::{build, cluster, fuzz, kernels, tidy};
use crate::cluster::pieces;
use crate::step::{Tests, announce, cargo, in_ci, output, program, run, run_tests, say, top};
use crate::{collector, kernel_side, package, privilege, tool};

/// Seconds each fuzz target is run for here; `cargo xtask fuzz` runs longer.
const SMOKE: u32 = 10;
/// The programs have a workspace of their own.
const PROGRAMS: &str = "agent-ebpf/Cargo.toml";

/// Run all checks and tests
///
/// In order: formatting, tidy, the kernel programs, clippy, dependencies, unit tests, end-to-end
/// tests against real servers, a short fuzzing, other kernels in QEMU, a Kubernetes of one node. Goes on after a failure and
/// ends with a summary. What cannot run here is left out with its reason and what to install; where
/// the environment variable CI is set, that is a failure. Name steps to run only those:
/// `cargo xtask test tidy unit`.
#[derive(clap::Args)]
pub(crate) struct Test {
    /// Only these steps
    steps: Vec<Step>,
    /// For the test programs of `unit`, `end-to-end` and `cluster`: a filter, or flags of the harness
    #[arg(last = true)]
    harness: Vec<String>,
}

/// One part of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// rustfmt
    Format,
    /// Rules that no compiler keeps
    Tidy,
    /// The kernel programs compile and link
    KernelPrograms,
    /// clippy, warnings denied
    Lint,
    /// cargo-deny: licences, sources, duplicates, advisories where reachable
    Dependencies,
    /// Unit, property and replay tests
    Unit,
    /// Real servers and clients, the real kernel
    EndToEnd,
    /// Parsers and decoders against hostile bytes
    Fuzz,
    /// Other kernels, in QEMU
    Kernels,
    /// The chart on a Kubernetes of one node, with real pods
    Cluster,
}

/// How a step that ran ended.
enum Outcome {
    /// Well; what it did.
    Passed(String),
    /// It could not run here; why, and what would let it.
    LeftOut(String),
}

struct Row {
    step: Step,
    took: Duration,
    outcome: Result<Outcome>,
}

impl Test {
    pub(crate) fn run(self) -> Result<()> {
        let Self { steps, harness } = self;
        let chosen = |step: &Step| steps.is_empty() || steps.contains(step);
        let mut rows = Vec::new();
        for step in Step::value_variants().iter().copied().filter(chosen) {
            let begun = Instant::now();
            let outcome = step.run(&harness);
            if let Err(error) = &outcome {
                say(format!("error: {error:#}"));
            }
            rows.push(Row { step, took: begun.elapsed(), outcome });
        }
        summary(&rows)
    }
}

impl Step {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn run(self, harness: &[String]) -> Result<Outcome> {
        match self {
            Self::Format => format(),
            Self::Tidy => tidy::check().map(|files| Outcome::Passed(format!("{files} files"))),
            Self::KernelPrograms => {
                let ready =
                    package::install(package::BUILD).and_then(|()| kernel_side::set_up_all());
                if let Err(error) = ready {
                    return Ok(Outcome::LeftOut(format!("{error:#}")));
                }
                kernel_side::build().map(|_| Outcome::Passed("target/kernel/steth.o".into()))
            }
            Self::Lint => lint(),
            Self::Dependencies => dependencies(),
            Self::Unit => {
                announce("unit tests", "unit, property and replay tests, no privileges");
                let mut command = cargo();
                // Without it, what the chart renders is not looked at, or fails in CI.
                match pieces::helm() {
                    Ok(helm) => drop(command.env(pieces::HELM, helm)),
                    Err(error) => say(format!("    no helm: {error:#}")),
                }
                command.arg("test").arg("--").args(harness);
                run_tests(&mut command, "the harness says above what was expected; `cargo xtask bless` accepts golden text")
                    .map(counted)
            }
            Self::EndToEnd => end_to_end(harness),
            Self::Fuzz => smoke(),
            Self::Kernels => other_kernels(),
            Self::Cluster => on_a_cluster(harness),
        }
    }
}

fn counted(tests: Tests) -> Outcome {
    let Tests { passed, ignored, .. } = tests;
    let ignored = if ignored == 0 { String::new() } else { format!(", {ignored} ignored") };
    Outcome::Passed(format!("{passed} tests{ignored}"))
}

fn format() -> Result<Outcome> {
    announce("format", "rustfmt, both workspaces");
    run(cargo().args(["fmt", "--all", "--check"]), "`cargo fmt --all`")?;
    if top().join(PROGRAMS).is_file() {
        run(
            cargo().args(["fmt", "--check", "--manifest-path", PROGRAMS]),
            &format!("`cargo fmt --manifest-path {PROGRAMS}`"),
        )?;
    }
    Ok(Outcome::Passed(String::new()))
}

fn lint() -> Result<Outcome> {
    announce("lint", "clippy on everything in userspace, warnings denied");
    run(
        cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        "do what clippy says, or allow it where it is wrong, with the reason",
    )?;
    Ok(Outcome::Passed(String::new()))
}

/// Advisories come from a git host; where that is out of reach, the rest is checked all the same.
fn dependencies() -> Result<Outcome> {
    if let Err(error) = tool::CARGO_DENY.install() {
        return Ok(Outcome::LeftOut(format!("{error:#}")));
    }
    announce("dependencies", "licences, sources, bans and duplicates of all that is linked in");
    for manifest in ["Cargo.toml", PROGRAMS].into_iter().filter(|path| top().join(path).is_file()) {
        run(
            deny(manifest).args(["licenses", "bans", "sources"]),
            "choose another dependency, or add an exception with its reason to .deny.toml",
        )?;
    }
    if output(program(tool::CARGO_DENY.path()).args(["fetch", "db"])).is_none() {
        say("    advisories: left out, their database cannot be reached from here");
        return Ok(Outcome::Passed("without advisories: their database is out of reach".into()));
    }
    for manifest in ["Cargo.toml", PROGRAMS].into_iter().filter(|path| top().join(path).is_file()) {
        run(
            deny(manifest).arg("advisories"),
            "update what is named, or say in .deny.toml why it does not matter here",
        )?;
    }
    Ok(Outcome::Passed("with advisories".into()))
}

/// cargo-deny on one workspace; an exception that this one does not use is for the other.
fn deny(manifest: &str) -> Command {
    let mut command = program(tool::CARGO_DENY.path());
    command.args(["--log-level", "error", "--manifest-path", manifest]);
    command.args(["--config", ".deny.toml", "check", "--hide-inclusion-graph"]);
    command
}

fn end_to_end(harness: &[String]) -> Result<Outcome> {
    if let Err(error) = package::install(package::SERVERS) {
        return Ok(Outcome::LeftOut(format!("{error:#}")));
    }
    let mut command = cargo();
    if let Err(error) = kernels::run_as_root(&mut command) {
        return Ok(Outcome::LeftOut(format!("{error:#}")));
    }
    build::agent()?;
    // Without it, the tests that need it leave themselves out, or fail in CI.
    match collector::build() {
        Ok(path) => drop(command.env(collector::VARIABLE, path)),
        Err(error) => say(format!("    no Collector: {error:#}")),
    }
    announce("end-to-end", "real servers and clients on this kernel, counts compared with ==");
    command
        .args(["test", "--no-fail-fast", "--package", "steth-tests", "--", "--test-threads=1"])
        .args(harness);
    run_tests(&mut command, "`cargo xtask test end-to-end -- NAME` runs one alone").map(counted)
}

fn smoke() -> Result<Outcome> {
    let targets = fuzz::targets();
    if targets.is_empty() {
        return Ok(Outcome::Passed("no targets".into()));
    }
    if let Err(error) = fuzz::set_up() {
        return Ok(Outcome::LeftOut(format!("{error:#}")));
    }
    targets.iter().try_for_each(|name| fuzz::one(name, SMOKE))?;
    Ok(Outcome::Passed(format!("{} targets, {SMOKE} s each", targets.len())))
}

fn other_kernels() -> Result<Outcome> {
    if let Err(error) = package::install(package::EMULATOR) {
        return Ok(Outcome::LeftOut(format!("{error:#}")));
    }
    build::all()?;
    announce("kernels", "every program loads and counts on each supported kernel");
    run(
        &mut kernels::command(),
        "the kernel's own messages above say which program it refused, and why",
    )?;
    Ok(Outcome::Passed(String::new()))
}

fn on_a_cluster(harness: &[String]) -> Result<Outcome> {
    // What cannot be had is known before anything is built for minutes.
    let node = privilege::prefix().and_then(|_| collector::build()).and_then(|_| cluster::build());
    match node {
        Ok(node) => cluster::test(&node, harness).map(counted),
        Err(error) => Ok(Outcome::LeftOut(format!("{error:#}"))),
    }
}

/// Prints what happened, step by step; fails if any failed, or in CI if any was left out.
fn summary(rows: &[Row]) -> Result<()> {
    let strict = in_ci();
    say("\nsummary");
    let mut failed = Vec::new();
    for Row { step, took, outcome } in rows {
        let (word, detail, good) = match outcome {
            Ok(Outcome::Passed(detail)) => ("passed", detail.clone(), true),
            Ok(Outcome::LeftOut(why)) if strict => ("MISSING", why.clone(), false),
            Ok(Outcome::LeftOut(why)) => ("left out", why.clone(), true),
            Err(error) => ("FAILED", format!("{error:#}"), false),
        };
        let name = step.name();
        say(format!("    {name:<16} {word:<9} {:>7.1} s  {detail}", took.as_secs_f64()));
        if !good {
            failed.push(name);
        }
    }
    let took: Duration = rows.iter().map(|row| row.took).sum();
    say(format!("    {:<16} {:<9} {:>7.1} s", "in all", "", took.as_secs_f64()));
    if failed.is_empty() {
        return Ok(());
    }
    bail!("{} of {} steps failed: {}", failed.len(), rows.len(), failed.join(", "));
}
