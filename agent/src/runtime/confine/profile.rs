//! The list of calls in the form that container runtimes read (the runtime specification's, which Kubernetes hands
//! on as a `Localhost` profile): `deploy/seccomp/steth.json`.
//!
//! A runtime installs it before the agent runs, so it holds what starting needs as well, and what the runtime itself
//! still does. It is the wider of two: the agent's own filter stands inside it once it has started.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::calls::{Call, Is, Only, RUNNING, RUNTIMES, STARTING, UNKNOWN};

/// The profile.
pub fn profile() -> String {
    let mut ways: BTreeMap<&str, Option<Vec<&[Is]>>> = BTreeMap::new();
    for call in [RUNNING, STARTING, RUNTIMES].into_iter().flatten().copied().flatten() {
        let more = match call.only {
            Only::Where(ways) => Some(ways.to_vec()),
            // The id of the process is not known yet, and a runtime opens what it writes to.
            Only::Any | Only::Here | Only::Reading(_) => None,
        };
        let known = ways.entry(call.plain()).or_insert_with(|| Some(Vec::new()));
        *known = known.take().zip(more).map(|(known, more)| [known, more].concat());
    }
    let whole: Vec<&str> =
        ways.iter().filter(|(_, ways)| ways.is_none()).map(|(name, _)| *name).collect();
    let mut syscalls = vec![json!({ "names": whole, "action": "SCMP_ACT_ALLOW" })];
    for (name, ways) in ways.iter().filter_map(|(name, ways)| Some((name, ways.as_ref()?))) {
        for way in ways {
            let args: Vec<Value> = way.iter().map(argument).collect();
            syscalls.push(json!({ "names": [name], "action": "SCMP_ACT_ALLOW", "args": args }));
        }
    }
    let unknown: Vec<&str> = UNKNOWN.iter().map(Call::plain).collect();
    syscalls.push(json!({
        "names": unknown, "action": "SCMP_ACT_ERRNO", "errnoRet": libc::ENOSYS,
    }));
    let profile = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": libc::EPERM,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "syscalls": syscalls,
    });
    let mut text = serde_json::to_string_pretty(&profile).unwrap_or_default();
    text.push('\n');
    text
}

fn argument(Is { argument, mask, value }: &Is) -> Value {
    json!({ "index": argument, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ" })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::profile;
    use crate::config::reference::BLESS;

    #[test]
    fn the_checked_in_profile_is_that_of_the_list() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/seccomp/steth.json");
        if std::env::var_os(BLESS).is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, profile()).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(checked_in == profile(), "deploy/seccomp/steth.json is stale: run with {BLESS}=1");
    }
}
