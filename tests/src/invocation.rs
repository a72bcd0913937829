//! The agent run to its end, as on a command line: what it said and how it ended.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;

/// Seconds after which it is ended, which it should have done by itself.
const PATIENCE: &str = "30";

/// What came of it.
#[derive(Clone, Debug)]
pub struct Said {
    /// Exit code; none if a signal ended it, 124 if it did not end by itself.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs `binary` with these words, by way of the words in `before` if there are any; `OTEL_*` and
/// `STETH_*` of the caller do not count.
pub fn run(
    before: &[&str],
    binary: &Path,
    words: &[impl AsRef<OsStr>],
    environment: &[(&str, &str)],
) -> anyhow::Result<Said> {
    let mut command = Command::new("timeout");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("OTEL_") || text.starts_with("STETH_") {
            command.env_remove(&name);
        }
    }
    command.arg(PATIENCE).args(before).arg(binary).args(words).envs(environment.iter().copied());
    let output = command.stdin(Stdio::null()).output().context("cannot start `timeout`")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
}
