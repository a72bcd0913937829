//! File systems: space, inodes, their own count of errors, and whether one became read-only.
//!
//! Only what stands on a device of this host is asked, and nothing below a mount that may hang: asking a
//! server that is gone would hold the collector up for good. A file system is told once, wherever else
//! it is mounted too.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::sheet::{self, labels, text};
use super::{Amount, Family, Labels, Owner, Probe, Reason, Sink, Tables};
use crate::host::mounts::{self, Mount};
use crate::host::{Anchor, HostRoot, keyed, text as clean};
use crate::metric::instrument::filesystem as of;
use crate::metric::key;
use crate::metric::snapshot::Value;

/// File systems that are told.
const MOST: usize = 128;

/// How much of a file system is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Space {
    limit: u64,
    used: u64,
    free: u64,
    /// Free, but not for everybody.
    reserved: u64,
    inodes: u64,
    inodes_free: u64,
}

/// Asks the kernel. None if what is found there is another file system: the mounts were read of the
/// host's first process, and the agent may see others.
fn ask(path: &Path, device: (u32, u32)) -> Option<Space> {
    let found = rustix::fs::stat(path).ok()?.st_dev;
    // The subvolumes of some file systems have numbers of their own.
    if device.0 != 0 && (rustix::fs::major(found), rustix::fs::minor(found)) != device {
        return None;
    }
    let told = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(told.f_frsize);
    Some(Space {
        limit: bytes(told.f_blocks),
        used: bytes(told.f_blocks.saturating_sub(told.f_bfree)),
        free: bytes(told.f_bavail),
        reserved: bytes(told.f_bfree.saturating_sub(told.f_bavail)),
        inodes: told.f_files,
        inodes_free: told.f_ffree,
    })
}

/// Who may take forever to answer, or mounts something when asked.
fn may_hang(kind: &str) -> bool {
    const KINDS: [&str; 16] = [
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "afs", "lustre", "gfs2", "ocfs2",
        "autofs", "virtiofs", "coda", "orangefs", "beegfs",
    ];
    KINDS.contains(&kind) || kind.starts_with("fuse")
}

/// Whether its space is something to watch: what stands on a device and can fill, and the few places
/// in memory that programs fill.
fn is_watched(mount: &Mount) -> bool {
    match mount.kind.as_str() {
        // Images are full by nature.
        "squashfs" | "iso9660" | "erofs" | "udf" | "cramfs" | "romfs" => false,
        "btrfs" | "zfs" | "bcachefs" => true,
        "tmpfs" => ["/run", "/tmp", "/var/tmp", "/dev/shm"].contains(&mount.point.as_str()),
        _ => mount.device.0 != 0,
    }
}

/// One mount of each file system: the one of its root, the shortest of those.
fn selected(all: Vec<Mount>) -> Vec<Mount> {
    let hanging: Vec<String> =
        all.iter().filter(|m| may_hang(&m.kind)).map(|m| m.point.clone()).collect();
    let below = |point: &str| {
        hanging.iter().any(|above| {
            let rest = point.strip_prefix(above.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let mut watched: Vec<Mount> = all
        .into_iter()
        .filter(|mount| is_watched(mount) && !may_hang(&mount.kind) && !below(&mount.point))
        .collect();
    watched.sort_by(|a, b| {
        let order = |m: &Mount| (m.root != "/", m.point.len());
        order(a).cmp(&order(b)).then_with(|| a.point.cmp(&b.point))
    });
    // A place that is mounted over twice is the last one's; which, the question's answer tells.
    let (mut devices, mut points) = (HashSet::new(), HashSet::new());
    watched.retain(|mount| points.insert(mount.point.clone()) && devices.insert(mount.device));
    watched
}

/// What is known of a file system from one round to the next.
#[derive(Debug)]
struct Known {
    mount: Mount,
    by_state: [Labels; 3],
    whole: Labels,
    identity: Labels,
    remounts: Labels,
    /// Times it became read-only.
    lost: u64,
    seen: u64,
}

impl Known {
    fn of(mount: &Mount) -> Self {
        let short = |what: &str| text(&clean::text(what.as_bytes()));
        let device = (key::SYSTEM_DEVICE, short(&mount.source));
        let mode = if mount.read_only { "ro" } else { "rw" };
        let mode = (key::SYSTEM_FILESYSTEM_MODE, Value::Static(mode));
        let point = (key::SYSTEM_FILESYSTEM_MOUNTPOINT, short(&mount.point));
        let kind = (key::SYSTEM_FILESYSTEM_TYPE, short(&mount.kind));
        let by_state = ["used", "free", "reserved"].map(|state| {
            let state = (key::SYSTEM_FILESYSTEM_STATE, Value::Static(state));
            labels([device.clone(), mode.clone(), point.clone(), state, kind.clone()])
        });
        Self {
            mount: mount.clone(),
            by_state,
            whole: labels([device.clone(), mode, point.clone(), kind.clone()]),
            identity: labels([device.clone(), kind.clone()]),
            remounts: labels([device, point, kind]),
            lost: 0,
            seen: 0,
        }
    }

    fn put(&self, space: &Space, into: &mut Sink) {
        let amounts = [space.used, space.free, space.reserved];
        for (labels, bytes) in self.by_state.iter().zip(amounts) {
            let usage = &of::SYSTEM_FILESYSTEM_USAGE;
            into.put(&Owner::Host, usage, labels, Amount::now(bytes));
            if let Some(share) = sheet::fraction(bytes, space.limit) {
                into.put(&Owner::Host, &of::SYSTEM_FILESYSTEM_UTILIZATION, labels, share);
            }
        }
        let limit = &of::SYSTEM_FILESYSTEM_LIMIT;
        into.put(&Owner::Host, limit, &self.whole, Amount::now(space.limit));
        // Some make inodes as they go and have no count of them.
        if space.inodes > 0 {
            let [used, free, _] = &self.by_state;
            let usage = &of::STETH_SYSTEM_FILESYSTEM_INODE_USAGE;
            let taken = space.inodes.saturating_sub(space.inodes_free);
            into.put(&Owner::Host, usage, used, Amount::now(taken));
            into.put(&Owner::Host, usage, free, Amount::now(space.inodes_free));
            let limit = &of::STETH_SYSTEM_FILESYSTEM_INODE_LIMIT;
            into.put(&Owner::Host, limit, &self.whole, Amount::now(space.inodes));
        }
    }
}

/// Reads file systems.
#[derive(Debug)]
pub struct Filesystem {
    round: u64,
    known: HashMap<(u32, u32), Known>,
    ask: fn(&Path, (u32, u32)) -> Option<Space>,
}

impl Default for Filesystem {
    fn default() -> Self {
        Self { round: 0, known: HashMap::new(), ask }
    }
}

impl Probe for Filesystem {
    fn family(&self) -> Family {
        Family::Filesystem
    }

    fn collect(
        &mut self,
        host: &HostRoot,
        _: &mut dyn Tables,
        _: &Anchor,
        into: &mut Sink,
    ) -> Result<(), Reason> {
        let all = mounts::mounts(host).map_err(|why| sheet::reason("/proc/1/mountinfo", why))?;
        let mounts = selected(all);
        self.round += 1;
        if mounts.len() > MOST {
            let why = format!("{} of them beyond the {MOST} that are told", mounts.len() - MOST);
            into.lacks("file systems", Reason::Failed(why.into()));
        }
        for mount in mounts.iter().take(MOST) {
            // The mounts are those of the first process, and in a pod the agent has none of them.
            let places = [host.path_of_first(&mount.point), host.path(&mount.point)];
            let mut spaces = places.iter().filter_map(|place| (self.ask)(place, mount.device));
            let Some(space) = spaces.next() else { continue };
            let known = self.known.entry(mount.device).or_insert_with(|| Known::of(mount));
            if known.mount != *mount {
                let gave_up =
                    mount.read_only && !known.mount.read_only && known.mount.source == mount.source;
                let lost = if known.mount.source == mount.source { known.lost } else { 0 };
                *known = Known { lost: lost + u64::from(gave_up), ..Known::of(mount) };
            }
            known.seen = self.round;
            if space.limit > 0 {
                known.put(&space, into);
            }
            let instrument = &of::STETH_SYSTEM_FILESYSTEM_READ_ONLY_REMOUNTS;
            into.put(&Owner::Host, instrument, &known.remounts, Amount::total(known.lost));
            if let Some(errors) = errors(host, mount) {
                let instrument = &of::STETH_SYSTEM_FILESYSTEM_ERRORS;
                into.put(&Owner::Host, instrument, &known.identity, Amount::total(errors));
            }
        }
        let round = self.round;
        self.known.retain(|_, known| known.seen == round);
        Ok(())
    }
}

/// Its own count. Of the usual ones only the extended file systems have one.
fn errors(host: &HostRoot, mount: &Mount) -> Option<u64> {
    if !mount.kind.starts_with("ext") {
        return None;
    }
    // The name there is the kernel's, which the source of a mapped device is not.
    let (major, minor) = mount.device;
    let link = host.link(format!("/sys/dev/block/{major}:{minor}")).ok();
    let name = link.as_deref().unwrap_or(Path::new(&mount.source)).file_name()?.to_str()?;
    let content = host.read(format!("/sys/fs/ext4/{name}/errors_count"), 64).ok()?;
    keyed::number(&content.bytes)
}

#[cfg(test)]
mod tests {
    use super::super::sheet::fake::{HOSTILE, Host, has, told};
    use super::*;

    const MOUNTS: &str = "\
1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 8:1 /docker /var/lib/docker rw - ext4 /dev/sda1 rw
3 1 8:2 / /data rw - xfs /dev/sdb rw
4 1 8:2 / /d rw - xfs /dev/sdb rw
5 1 0:40 / /mnt/far rw - nfs4 server:/x rw
6 5 8:3 / /mnt/far/near rw - ext4 /dev/sdc rw
7 1 0:41 / /mnt/farther rw - fuse.sshfs x rw
8 1 8:4 / /mnt/farm rw - ext4 /dev/sdd rw
9 1 0:20 / /proc rw - proc proc rw
10 1 0:21 / /run rw - tmpfs tmpfs rw
11 1 0:22 / /run/user/0 rw - tmpfs tmpfs rw
12 1 0:23 / /var/lib/docker/x/merged rw - overlay overlay rw
13 1 7:0 / /snap/x ro - squashfs /dev/loop0 ro
14 1 8:9 / /win rw - fuseblk /dev/sde rw
";

    fn probe() -> Filesystem {
        let ask = |_: &Path, _| {
            Some(Space { limit: 100, used: 70, free: 20, reserved: 10, inodes: 5, inodes_free: 2 })
        };
        Filesystem { ask, ..Filesystem::default() }
    }

    #[test]
    fn the_first_process_sees_what_the_agent_does_not() {
        let host = Host::new(&[("/proc/1/mountinfo", MOUNTS)]);
        let count = |ask| {
            let mut probe = Filesystem { ask, ..Filesystem::default() };
            let (lines, _, _) = told(&mut probe, &host.root());
            lines.iter().filter(|line| line.contains("filesystem.limit{")).count()
        };
        let first = count(|path, _| {
            let is_first = path.to_string_lossy().contains("/proc/1/root/");
            is_first.then_some(Space { limit: 1, ..Space::default() })
        });
        let own = count(|path, _| {
            let is_first = path.to_string_lossy().contains("/proc/1/root/");
            (!is_first).then_some(Space { limit: 1, ..Space::default() })
        });
        assert_eq!((first, own, count(|_, _| None)), (4, 4, 0));
    }

    #[test]
    fn each_is_told_once_and_what_may_hang_is_not_asked() {
        let points: Vec<String> = selected(mounts::parse(MOUNTS.as_bytes()).collect())
            .into_iter()
            .map(|m| m.point)
            .collect();
        assert_eq!(points, ["/", "/d", "/run", "/mnt/farm"]);
    }

    #[test]
    fn space_inodes_and_errors_are_told() {
        let host =
            Host::new(&[("/proc/1/mountinfo", MOUNTS), ("/sys/fs/ext4/sda1/errors_count", "3\n")]);
        let mut probe = probe();
        let (lines, outcome, _) = told(&mut probe, &host.root());
        assert_eq!(outcome, Ok(()));
        has(
            &lines,
            &[
                "system.filesystem.usage{/dev/sda1,rw,/,used,ext4} =70",
                "system.filesystem.usage{/dev/sda1,rw,/,reserved,ext4} =10",
                "system.filesystem.utilization{/dev/sda1,rw,/,used,ext4} =0.7",
                "system.filesystem.limit{/dev/sda1,rw,/,ext4} =100",
                "steth.system.filesystem.inode.usage{/dev/sda1,rw,/,used,ext4} =3",
                "steth.system.filesystem.inode.limit{/dev/sda1,rw,/,ext4} =5",
                "steth.system.filesystem.errors{/dev/sda1,ext4} 3",
                "steth.system.filesystem.read_only.remounts{/dev/sda1,/,ext4} 0",
            ],
        );
        // It gives up, is mended, gives up again, and another takes its place.
        let mut remounts = |mounts: &str| {
            host.write("/proc/1/mountinfo", mounts);
            let lines = told(&mut probe, &host.root()).0;
            lines.into_iter().find(|line| line.contains("remounts{")).unwrap()
        };
        let line = |device: &str, mode: &str| format!("1 0 8:1 / / {mode} - ext4 {device} rw\n");
        let count = "steth.system.filesystem.read_only.remounts";
        assert_eq!(remounts(&line("/dev/sda1", "ro")), format!("{count}{{/dev/sda1,/,ext4}} 1"));
        assert_eq!(remounts(&line("/dev/sda1", "ro")), format!("{count}{{/dev/sda1,/,ext4}} 1"));
        assert_eq!(remounts(&line("/dev/sda1", "rw")), format!("{count}{{/dev/sda1,/,ext4}} 1"));
        assert_eq!(remounts(&line("/dev/sda1", "ro")), format!("{count}{{/dev/sda1,/,ext4}} 2"));
        assert_eq!(remounts(&line("/dev/sdz1", "ro")), format!("{count}{{/dev/sdz1,/,ext4}} 0"));
    }

    #[test]
    fn the_kernel_is_asked() {
        let found = rustix::fs::stat("/").unwrap().st_dev;
        let device = (rustix::fs::major(found), rustix::fs::minor(found));
        let space = ask(Path::new("/"), device).unwrap();
        assert_eq!(space.used + space.free + space.reserved, space.limit);
        assert_eq!(ask(Path::new("/"), (device.0 + 1, 0)), None);
        assert_eq!(ask(Path::new("/nowhere"), device), None);
    }

    #[test]
    fn hostile_text_is_nothing() {
        for text in HOSTILE {
            let host = Host::new(&[("/proc/1/mountinfo", text)]);
            assert_eq!(told(&mut probe(), &host.root()).1, Ok(()));
        }
        let (_, outcome, _) = told(&mut Filesystem::default(), &Host::new(&[]).root());
        assert_eq!(outcome, Err(Reason::Disabled("/proc/1/mountinfo is not there".into())));
    }
}
