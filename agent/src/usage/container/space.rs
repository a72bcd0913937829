//! The network namespaces of containers: their interfaces and their protocols' counters.
//!
//! A namespace is told once, with the container that has had it longest: those of a pod share one, which
//! the pod's first container holds open. The host's own is told with the host.

use std::collections::HashMap;
use std::sync::Arc;

use crate::host::{HostRoot, keyed, netlink};
use crate::metric::instrument::container as of;
use crate::metric::key;
use crate::usage::network::{directions, interfaces};
use crate::usage::tcp::counts::{Before, Counts};
use crate::usage::{Amount, Labels, Owner, Sink};

const LIMIT: usize = 64 * 1024;
/// Interfaces of a container.
const INTERFACES: usize = 16;

/// What is remembered of one container's.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    before: Before,
    interfaces: HashMap<Box<str>, [Labels; 2]>,
}

/// Reads namespaces.
#[derive(Debug)]
pub(super) struct Spaces {
    counts: Counts,
}

impl Default for Spaces {
    fn default() -> Self {
        Self { counts: Counts::of_group() }
    }
}

impl Spaces {
    /// Of groups with a process each, those that a namespace is told with, and by which process.
    pub(super) fn owners(host: &HostRoot, members: Vec<(Arc<str>, u32)>) -> Vec<(Arc<str>, u32)> {
        let Some(own) = netlink::space(host, 1) else { return Vec::new() };
        let mut by_space: HashMap<u64, (u64, Arc<str>, u32)> = HashMap::new();
        for (path, pid) in members {
            let space = netlink::space(host, pid).filter(|space| *space != own);
            let Some(space) = space else { continue };
            let Some(started) = started(host, pid) else { continue };
            let this = (started, path, pid);
            match by_space.get_mut(&space) {
                Some(other) if *other <= this => {}
                Some(other) => *other = this,
                None => {
                    by_space.insert(space, this);
                }
            }
        }
        by_space.into_values().map(|(_, path, pid)| (path, pid)).collect()
    }

    /// Puts what a process sees of its namespace.
    pub(super) fn put(
        &self,
        host: &HostRoot,
        pid: u32,
        owner: &Owner,
        traffic: &mut Traffic,
        into: &mut Sink,
    ) {
        let read = |name: &str| keyed::lines_of(host, &format!("/proc/{pid}/net/{name}"), LIMIT);
        let (Ok(snmp), Ok(netstat)) = (read("snmp"), read("netstat")) else { return };
        let snmp6 = read("snmp6").unwrap_or_default();
        self.counts.put(owner, [&snmp, &netstat, &snmp6], &mut traffic.before, into);
        let dev = read("dev").unwrap_or_default();
        let seen = interfaces(&dev).filter(|(name, _)| *name != "lo").take(INTERFACES);
        let mut still = HashMap::new();
        for (name, counts) in seen {
            let labels = traffic
                .interfaces
                .remove(name)
                .unwrap_or_else(|| directions(key::NETWORK_INTERFACE_NAME, name));
            for (labels, counts) in labels.iter().zip(counts) {
                let mut put = |instrument, count| {
                    into.put(owner, instrument, labels, Amount::total(count));
                };
                put(&of::CONTAINER_NETWORK_IO, counts.bytes);
                put(&of::STETH_CONTAINER_NETWORK_PACKETS, counts.packets);
                put(&of::STETH_CONTAINER_NETWORK_DROPS, counts.dropped);
                put(&of::STETH_CONTAINER_NETWORK_ERRORS, counts.errors);
            }
            still.insert(name.into(), labels);
        }
        traffic.interfaces = still;
    }
}

/// When a process began, in ticks: the twenty-second field, behind a name that may be anything.
fn started(host: &HostRoot, pid: u32) -> Option<u64> {
    let content = host.read(format!("/proc/{pid}/stat"), 4096).ok()?;
    let close = content.bytes.iter().rposition(|b| *b == b')')?;
    let rest = std::str::from_utf8(content.bytes.get(close + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}
