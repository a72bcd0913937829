//! One thing done outside this process: says what and why in a line, runs it, times it.
//!
//! Every verb is a list of steps, so what a person reads while it works and what a failure tells
//! them to do have one form everywhere.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail};

/// Tells the person at the terminal something, on the error stream so that a verb's own output
/// can be piped.
pub(crate) fn say(text: impl AsRef<str>) {
    eprintln!("{}", text.as_ref());
}

/// Announces a step: what is done, and why.
pub(crate) fn announce(what: &str, why: &str) {
    say(format!("==> {what}: {why}"));
}

/// The repository's top level.
pub(crate) fn top() -> &'static Path {
    static TOP: OnceLock<PathBuf> = OnceLock::new();
    TOP.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.parent().unwrap_or(here).to_path_buf()
    })
}

/// The workspace's target directory.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| top().join("target"), |given| top().join(given))
}

/// Where cargo keeps what it fetches.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    set.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}

/// Whether a missing piece is a failure instead of something left out.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// The cargo that runs this program, at the repository's top level.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(top());
    command
}

/// A program at the repository's top level.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(top());
    command
}

/// What is typed to run `command` again by hand.
pub(crate) fn line(command: &Command) -> String {
    let mut line = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

/// Runs `command` with its output where ours goes; `advice` is what to do if it fails.
pub(crate) fn run(command: &mut Command, advice: &str) -> Result<()> {
    let line = line(command);
    let status = command
        .status()
        .with_context(|| format!("`{line}` could not be started. What to do: {advice}"))?;
    if status.success() {
        return Ok(());
    }
    bail!("`{line}` ended with {status}. What to do: {advice}");
}

/// What `command` prints, if it succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Where `name` is found by the shell's rules, with the administrator's directories added, which
/// a plain user's PATH often lacks.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// What tests under cargo's harness did, summed over its lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    /// Passed.
    pub(crate) passed: u64,
    /// Failed.
    pub(crate) failed: u64,
    /// Marked to be ignored.
    pub(crate) ignored: u64,
}

impl Tests {
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.split_once("test result: ") else { return };
        for count in counts.split([';', '.']) {
            let mut words = count.split_whitespace();
            let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
            let number = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// Runs `command` as [`run`] does, and counts the tests whose results pass by.
pub(crate) fn run_tests(command: &mut Command, advice: &str) -> Result<Tests> {
    let line = line(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{line}` could not be started. What to do: {advice}"))?;
    let mut tests = Tests::default();
    let mut ours = std::io::stdout();
    if let Some(theirs) = child.stdout.take() {
        for text in BufReader::new(theirs).split(b'\n') {
            let mut text = text.with_context(|| format!("the output of `{line}` broke off"))?;
            tests.add(&String::from_utf8_lossy(&text));
            text.push(b'\n');
            ours.write_all(&text).context("standard output is gone")?;
        }
    }
    let status = child.wait().with_context(|| format!("`{line}` was lost"))?;
    if status.success() {
        return Ok(tests);
    }
    bail!(
        "`{line}` ended with {status}: {} of {} tests failed. What to do: {advice}",
        tests.failed,
        tests.failed + tests.passed
    );
}

#[cfg(test)]
mod tests {
    use super::Tests;

    #[test]
    fn counts_the_lines_of_the_harness() {
        let check = |lines: &[&str], passed, failed, ignored| {
            let mut tests = Tests::default();
            for line in lines {
                tests.add(line);
            }
            assert_eq!(tests, Tests { passed, failed, ignored }, "{lines:?}");
        };
        check(
            &[
                "running 3 tests",
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
            ],
            3,
            0,
            1,
        );
        check(
            &[
                "test result: FAILED. 1 passed; 2 failed; 0 ignored",
                "test result: ok. 4 passed; 0 failed; 0 ignored",
            ],
            5,
            2,
            0,
        );
        check(&["error: could not compile"], 0, 0, 0);
    }
}
