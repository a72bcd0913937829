//! Which control groups are told: containers, units of systemd, what holds a process that is told by
//! itself, and what has a limit of its own. Not every group is one of these, and a host may have
//! thousands.

use std::collections::{BTreeSet, HashSet};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use super::hierarchy::{Controller, Hierarchies, Place};
use crate::host::{HostRoot, cgroup, keyed};
use crate::usage::CgroupId;

/// Directories that are visited in one hierarchy.
const VISITED: usize = 8192;
/// Groups within groups that are followed.
const DEPTH: usize = 24;
/// Groups within one group that are looked at.
const CHILDREN: usize = 4096;

/// Why a group is told; the first that fits, best first when there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A container's own group.
    Container,
    /// It holds a process that is told by itself.
    Observed,
    /// A unit's own group.
    Unit,
    /// It has a limit of processor time or memory.
    Limited,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// The groups that are told, best first.
    pub(super) told: Vec<(Rank, Arc<str>)>,
    /// Every group's id in the unified hierarchy.
    pub(super) ids: Vec<(CgroupId, Arc<str>)>,
    /// Every group's path.
    pub(super) all: BTreeSet<Arc<str>>,
    /// Directories that were visited.
    pub(super) visited: usize,
}

/// What a group's path alone says of it.
pub(super) fn rank(path: &str) -> Option<Rank> {
    let last = path.rsplit('/').next().unwrap_or_default();
    // What is below a container's own group is the container's own affair.
    if let Some(id) = cgroup::container_of(path) {
        return last.contains(&id).then_some(Rank::Container);
    }
    (cgroup::unit_of(path).as_deref() == Some(last)).then_some(Rank::Unit)
}

/// Looks at all groups. A group that goes meanwhile is not found.
pub(super) fn discover(
    host: &HostRoot,
    hierarchies: &Hierarchies,
    observed: &HashSet<String>,
) -> Found {
    let mut found = Found::default();
    for mount in hierarchies.walked() {
        let is_unified = hierarchies.unified.as_deref() == Some(mount);
        walk(host, mount, is_unified, &mut found);
    }
    let limits = [Controller::Cpu, Controller::Memory].map(|c| hierarchies.place(c));
    for path in &found.all {
        let rank = match rank(path) {
            Some(Rank::Container) => Some(Rank::Container),
            _ if observed.contains(path.as_ref()) => Some(Rank::Observed),
            Some(rank) => Some(rank),
            // Nor are the groups that a container makes told for their limits.
            None if cgroup::container_of(path).is_some() => None,
            None => {
                let limited = limits.iter().flatten().any(|place| is_limited(host, *place, path));
                limited.then_some(Rank::Limited)
            }
        };
        if let Some(rank) = rank {
            found.told.push((rank, Arc::clone(path)));
        }
    }
    found.told.sort();
    found
}

fn walk(host: &HostRoot, mount: &str, is_unified: bool, found: &mut Found) {
    let mut left = vec![(String::new(), 0)];
    let mut visited = 0;
    while let Some((path, depth)) = left.pop() {
        visited += 1;
        if visited > VISITED {
            break;
        }
        let inside = format!("{mount}{path}");
        let Ok(meta) = host.path(&inside).metadata() else { continue };
        if !path.is_empty() {
            let path: Arc<str> = path.as_str().into();
            if is_unified {
                found.ids.push((CgroupId(meta.ino()), Arc::clone(&path)));
            }
            found.all.insert(path);
        }
        // A directory has a link from itself, one from above and one from each within it: most groups
        // are known to have none within without listing their files.
        if meta.nlink() == 2 || depth == DEPTH {
            continue;
        }
        for name in host.directories(&inside, CHILDREN).unwrap_or_default() {
            left.push((format!("{path}/{name}"), depth + 1));
        }
    }
    found.visited += visited;
}

/// Whether a quota or a limit of memory is set.
fn is_limited(host: &HostRoot, place: Place<'_>, path: &str) -> bool {
    let read = |name: &str| {
        let content = host.read(place.file(path, name), 128).ok()?;
        keyed::number(content.bytes.split(|b| *b == b' ').next()?)
    };
    match place {
        Place::Two(_) => read("cpu.max").is_some() || read("memory.max").is_some(),
        Place::One(_) => {
            read("cpu.cfs_quota_us").is_some()
                || read("memory.limit_in_bytes").is_some_and(|limit| limit < super::one::NO_LIMIT)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_path_tells_containers_and_units() {
        let check = |path: &str, expect: Option<Rank>| assert_eq!(rank(path), expect, "{path}");
        check(&format!("/docker/{ID}"), Some(Rank::Container));
        check(&format!("/system.slice/docker-{ID}.scope"), Some(Rank::Container));
        check(
            &format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"),
            Some(Rank::Container),
        );
        check(&format!("/docker/{ID}/system.slice/x.service"), None);
        check(&format!("/docker/{ID}/docker/{}", ID.replace('0', "f")), Some(Rank::Container));
        check("/system.slice/nginx.service", Some(Rank::Unit));
        check("/system.slice/nginx.service/worker", None);
        check("/user.slice/user-1.slice/user@1.service/app.slice/a.service", Some(Rank::Unit));
        check("/system.slice", None);
        check("/user.slice/user-1.slice/session-1.scope", None);
    }
}
