//! What the agent gives up once it has started: capabilities, the way to new ones, and system calls.
//!
//! | Order | What | Why then |
//! | --- | --- | --- |
//! | 1 | programs are loaded and attached, the port is taken | that is what the privileges were for |
//! | 2 | `no_new_privs` | a filter asks for it, and what is given up stays given up |
//! | 3 | capabilities | of the main thread, while it is the only one: threads inherit them |
//! | 4 | the filter of system calls | last, since the others need calls that it refuses |
//!
//! Kept: `CAP_SYS_PTRACE` and `CAP_DAC_READ_SEARCH`, since processes come at any time and are named by their
//! executable, root directory and environment. `CAP_BPF` is tried without: kernels before 5.19 ask for it with every
//! look into a map where `kernel.unprivileged_bpf_disabled` is set, and there it stays. Given up though something may
//! want it: `CAP_SYS_NICE` (the pipeline's thread is made urgent before, see [`super::urgent`]), `CAP_NET_ADMIN` (the
//! program of `traces.hosts` is attached at start and never again; tracked connections are read from a file, and
//! questions about sockets and queues are open to all), `CAP_NET_BIND_SERVICE` (the port is taken before).
//!
//! Nothing is attached later. What would have to be (a library that appears, a module that is loaded) needs either
//! `CAP_BPF` and `CAP_PERFMON` for good or a helper process that keeps them; until something does, there is none, and
//! a module's hooks are found when the agent is started again.

mod calls;
mod capabilities;
mod filter;
pub mod profile;
#[cfg(test)]
mod tests;

use std::io;

use super::privilege::Privileges;
use crate::config::keys::Confine;
use crate::health::probe::{Probe as Row, State};
use crate::kernel::Kernel;

/// How the terminal is come by, if one is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// It is standard input, or there is none.
    Inherited,
    /// Standard input is something else, so it is opened when it is drawn on, and for writing.
    Opened,
}

/// Gives up what is not needed any more, and says row by row what was and what was not.
pub fn confine(wanted: &Confine, terminal: Terminal, kernel: &mut Kernel) -> Vec<Row> {
    give_up(wanted, terminal, &mut || kernel.answers())
}

fn give_up(
    wanted: &Confine,
    terminal: Terminal,
    works: &mut dyn FnMut() -> io::Result<()>,
) -> Vec<Row> {
    let had = Privileges::of_this_thread().unwrap_or_default();
    let Confine { capabilities, seccomp } = *wanted;
    let mut rows = Vec::new();
    if capabilities || seccomp {
        let closed = rustix::thread::set_no_new_privs(true);
        let lost = "nothing can give this process new privileges";
        rows.push(row("no_new_privs", "prctl", closed.map_err(io::Error::from), lost));
    }
    if capabilities {
        let given_up = capabilities::give_up(works);
        let whole = given_up.as_ref().ok().copied();
        let lost = "what is not needed any more is given up";
        rows.push(row("capabilities", "capset", given_up.map(drop), lost));
        if whole == Some(false) {
            rows.push(bounding_set());
        }
    } else {
        rows.push(off("capabilities", "capset", "`confine.capabilities` is off"));
    }
    rows.extend(had.rows(Privileges::of_this_thread().unwrap_or(had)));
    if seccomp {
        let lost = "system calls that it does not need are refused";
        rows.push(row("seccomp", "seccomp", filter::install(terminal), lost));
    } else {
        rows.push(off("seccomp", "seccomp", "`confine.seccomp` is off"));
    }
    rows
}

fn row<E: std::fmt::Display>(
    name: &'static str,
    hook: &'static str,
    outcome: Result<(), E>,
    lost: &'static str,
) -> Row {
    match outcome {
        Ok(()) => Row { name, hook, state: State::Active, lost: None, grant: None },
        Err(error) => {
            let state = State::Failed { why: error.to_string() };
            Row { name, hook, state, lost: Some(lost), grant: None }
        }
    }
}

fn off(name: &'static str, hook: &'static str, why: &str) -> Row {
    let state = State::Disabled { why: why.to_owned() };
    Row { name, hook, state, lost: None, grant: None }
}

fn bounding_set() -> Row {
    let why =
        "without CAP_SETPCAP it stays as it was; nothing is executed any more that could use it";
    off("bounding_set", "prctl", why)
}
