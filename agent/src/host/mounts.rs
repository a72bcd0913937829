//! The mounts of a host, as its first process sees them.

use super::keyed;
use super::root::{HostRoot, Unread};

/// A host with many containers has thousands.
const LIMIT: usize = 4 << 20;
/// Mounts that are looked at.
const MOUNTS: usize = 16 * 1024;

/// One mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// The device's number; the major one is zero where there is no block device.
    pub device: (u32, u32),
    /// The directory of the file system that is mounted.
    pub root: String,
    /// Where.
    pub point: String,
    /// The kind of file system.
    pub kind: String,
    /// What was mounted.
    pub source: String,
    /// It cannot be written, by this mount or as a whole.
    pub read_only: bool,
    /// The options of the file system as a whole: the controllers of a control group hierarchy.
    pub options: String,
}

/// All of them.
pub fn mounts(host: &HostRoot) -> Result<Vec<Mount>, Unread> {
    let content = keyed::lines_of(host, "/proc/1/mountinfo", LIMIT)
        .or_else(|_| keyed::lines_of(host, "/proc/self/mountinfo", LIMIT))?;
    Ok(parse(&content).take(MOUNTS).collect())
}

/// The lines of `mountinfo` that make sense.
pub fn parse(content: &[u8]) -> impl Iterator<Item = Mount> {
    keyed::lines(content).filter_map(|line| {
        // What stands between the options and the dash varies in number.
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(2);
        let (major, minor) = before.next()?.split_once(':')?;
        let device = (major.parse().ok()?, minor.parse().ok()?);
        let (root, point) = (unescaped(before.next()?), unescaped(before.next()?));
        let mount = before.next()?;
        let mut after = after.split(' ');
        let (kind, source) = (after.next()?.to_owned(), unescaped(after.next()?));
        let options = after.next().unwrap_or_default();
        let is_read_only = |options: &str| options.split(',').any(|option| option == "ro");
        let read_only = is_read_only(mount) || is_read_only(options);
        let options = options.to_owned();
        // The kernel writes whole paths: what leads upwards is not its.
        let is_whole = point.starts_with('/') && point.split('/').all(|name| name != "..");
        is_whole.then_some(Mount { device, root, point, kind, source, read_only, options })
    })
}

/// Blanks and the like are written as three octal digits behind a backslash.
fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if let [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] = *rest {
            out.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
            rest = rest.get(4..).unwrap_or_default();
            continue;
        }
        out.push(first);
        rest = tail;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_with_whatever_is_in_their_names() {
        let check = |line: &str, expect: Option<(&str, &str, bool)>| {
            let got = parse(line.as_bytes()).next();
            let got = got.as_ref().map(|m| (m.point.as_str(), m.kind.as_str(), m.read_only));
            assert_eq!(got, expect, "{line}");
        };
        check("27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard", Some(("/", "ext4", false)));
        check(
            "27 1 8:1 /a /b\\040c ro shared:1 master:2 - xfs /dev/x rw",
            Some(("/b c", "xfs", true)),
        );
        check("27 1 8:1 / /b rw - xfs /dev/x ro,errors=continue", Some(("/b", "xfs", true)));
        check("27 1 8:1 / /b rw - xfs /dev/x", Some(("/b", "xfs", false)));
        check("27 1 8:1 / \\134\\777 rw - xfs x rw", None);
        check("27 1 8:1 / relative rw - xfs x rw", None);
        check("27 1 8:1 / /a/../../b rw - xfs x rw", None);
        check("27 1 8-1 / /b rw - xfs x rw", None);
        check("27 1 8:1 / /b rw xfs x rw", None);
        check(" - ", None);
        check("", None);
    }
}
