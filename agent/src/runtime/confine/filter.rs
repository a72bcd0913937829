//! The list of calls as a filter that the kernel runs, for this thread and those that it starts.
//!
//! What is not on the list fails with `EPERM`, as it does without a capability: a library that tries something
//! goes on without it, and the agent does not end over it.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

use super::Terminal;
use super::calls::{Call, Is, Only, RUNNING, UNKNOWN, WRITES};

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The list makes no filter.
    #[error("the list of system calls makes no filter: {0}")]
    List(#[from] BackendError),
    /// The kernel refused it.
    #[error("{}", refused(.0))]
    Kernel(#[from] seccompiler::Error),
}

fn refused(error: &seccompiler::Error) -> String {
    match error {
        seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error) => match error.kind()
        {
            std::io::ErrorKind::InvalidInput | std::io::ErrorKind::Unsupported => {
                format!(
                    "this kernel has no filters of system calls (CONFIG_SECCOMP_FILTER): {error}"
                )
            }
            _ => format!("the kernel refused the filter: {error}"),
        },
        other => other.to_string(),
    }
}

/// From here on this thread, and every thread that it starts, makes the calls of a running agent and no others.
pub(crate) fn install(terminal: Terminal) -> Result<(), Error> {
    let (unknown, allowed) = programs(std::process::id(), terminal)?;
    // The stricter answer wins whatever the order is; after the second nothing more can be installed.
    apply_filter(&unknown)?;
    Ok(apply_filter(&allowed)?)
}

/// Both filters, for the process of this id: what is answered as unknown, and what is allowed.
fn programs(pid: u32, terminal: Terminal) -> Result<(BpfProgram, BpfProgram), BackendError> {
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let unknown = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let allowed = RUNNING.iter().copied().flatten().chain(UNKNOWN);
    let rules = |only| rules(only, pid, terminal);
    Ok((
        program(UNKNOWN.iter(), rules, SeccompAction::Allow, unknown)?,
        program(allowed, rules, refuse, SeccompAction::Allow)?,
    ))
}

fn program<'a>(
    calls: impl Iterator<Item = &'a Call>,
    rules: impl Fn(Only) -> Result<Vec<SeccompRule>, BackendError>,
    others: SeccompAction,
    these: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let rules: Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> = calls
        .filter_map(|call| Some((call.number?, rules(call.only))))
        .map(|(number, rules)| Ok((number, rules?)))
        .collect();
    let processor = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules?, others, these, processor)?.try_into()
}

/// One rule for each way in which a call may be made; none for any way.
fn rules(only: Only, pid: u32, terminal: Terminal) -> Result<Vec<SeccompRule>, BackendError> {
    match only {
        Only::Any => Ok(Vec::new()),
        Only::Here => {
            let here = Is { argument: 0, mask: 0xffff_ffff, value: u64::from(pid) };
            Ok(vec![rule(&[here])?])
        }
        Only::Reading(_) if terminal == Terminal::Opened => Ok(Vec::new()),
        Only::Reading(argument) => Ok(vec![rule(&[Is { argument, mask: WRITES, value: 0 }])?]),
        Only::Where(ways) => ways.iter().map(|way| rule(way)).collect(),
    }
}

fn rule(way: &[Is]) -> Result<SeccompRule, BackendError> {
    let conditions = way.iter().map(|Is { argument, mask, value }| {
        let same = SeccompCmpOp::MaskedEq(*mask);
        SeccompCondition::new(*argument, SeccompCmpArgLen::Qword, same, *value)
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}
