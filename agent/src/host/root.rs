//! A directory that is a host's root, with reads that are bounded.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Why something was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unread {
    /// It is not there, or not there any more.
    Vanished,
    /// It is there, but not for us.
    Denied,
    /// It was read and makes no sense.
    Malformed,
    /// Any other error of the file system.
    Failed,
}

impl Unread {
    fn of(error: &std::io::Error) -> Self {
        // A task that is gone while its file is open answers ESRCH.
        match error.kind() {
            ErrorKind::NotFound => Self::Vanished,
            _ if error.raw_os_error() == Some(libc::ESRCH) => Self::Vanished,
            ErrorKind::PermissionDenied => Self::Denied,
            _ => Self::Failed,
        }
    }
}

/// The bytes of a file, as far as the limit allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// At most as many as were allowed.
    pub bytes: Vec<u8>,
    /// There was more.
    pub cut: bool,
}

/// Where the host's files are.
#[derive(Clone, Debug)]
pub struct HostRoot {
    root: PathBuf,
    /// Where its `/proc` is, if not below `root`.
    proc: Option<PathBuf>,
}

impl HostRoot {
    /// The host below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), proc: None }
    }

    /// The same, with the agent's own `/proc` where only a `/sys` is found: in a pod that shares the host's process
    /// ids it shows all of the host's processes, and nothing need be mounted for it.
    pub fn find(root: impl Into<PathBuf>) -> Self {
        Self::found(root, Path::new("/proc"))
    }

    fn found(root: impl Into<PathBuf>, own: &Path) -> Self {
        let host = Self::new(root);
        let is_own = !host.has_processes() && host.root.join("sys/kernel").exists();
        Self { proc: is_own.then(|| own.to_owned()), ..host }
    }

    /// Whether its `/proc` is one: an empty directory is not.
    pub fn has_processes(&self) -> bool {
        self.path("proc/self/status").exists() || self.path("proc/1").exists()
    }

    /// The path of what the host calls `inside` (with or without a leading slash).
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref();
        let inside = inside.strip_prefix("/").unwrap_or(inside);
        match (&self.proc, inside.strip_prefix("proc")) {
            (Some(proc), Ok(rest)) => proc.join(rest),
            _ => self.root.join(inside),
        }
    }

    /// The path of what the host's first process calls `inside`, which needs no mount but `CAP_SYS_PTRACE`, if that
    /// process is not the agent's user's. An absolute link in it leads to the agent's own files.
    pub fn path_of_first(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref();
        self.path("proc/1/root").join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// The first `limit` bytes of a file.
    pub fn read(&self, inside: impl AsRef<Path>, limit: usize) -> Result<Content, Unread> {
        let file = File::open(self.path(inside)).map_err(|e| Unread::of(&e))?;
        // Room for the whole of most files: they are read by one call, and their end by another.
        let mut bytes = Vec::with_capacity(limit.saturating_add(1).min(4096));
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        file.take(most).read_to_end(&mut bytes).map_err(|e| Unread::of(&e))?;
        let cut = bytes.len() > limit;
        bytes.truncate(limit);
        Ok(Content { bytes, cut })
    }

    /// The first bytes of a file, as many as `into` has room for, by one read if the file allows it:
    /// for small files that are read often. Gives how many.
    pub fn peek(&self, inside: impl AsRef<Path>, into: &mut [u8]) -> Result<usize, Unread> {
        let mut file = File::open(self.path(inside)).map_err(|e| Unread::of(&e))?;
        file.read(into).map_err(|e| Unread::of(&e))
    }

    /// The size of a file or directory.
    pub fn size(&self, inside: impl AsRef<Path>) -> Result<u64, Unread> {
        std::fs::metadata(self.path(inside)).map(|meta| meta.len()).map_err(|e| Unread::of(&e))
    }

    /// The target of a symbolic link, as the kernel wrote it.
    pub fn link(&self, inside: impl AsRef<Path>) -> Result<PathBuf, Unread> {
        std::fs::read_link(self.path(inside)).map_err(|e| Unread::of(&e))
    }

    /// Names in a directory, at most `limit` of them.
    pub fn names(&self, inside: impl AsRef<Path>, limit: usize) -> Result<Vec<String>, Unread> {
        let entries = std::fs::read_dir(self.path(inside)).map_err(|e| Unread::of(&e))?;
        Ok(entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .take(limit)
            .collect())
    }

    /// Names of the directories in a directory, at most `limit` of them.
    pub fn directories(
        &self,
        inside: impl AsRef<Path>,
        limit: usize,
    ) -> Result<Vec<String>, Unread> {
        let entries = std::fs::read_dir(self.path(inside)).map_err(|e| Unread::of(&e))?;
        Ok(entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                // The directory itself says so: nothing else is asked.
                entry.file_type().ok()?.is_dir().then(|| entry.file_name().into_string().ok())?
            })
            .take(limit)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_bounded_and_say_why_they_failed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("long"), vec![b'x'; 100]).unwrap();
        let root = HostRoot::new(dir.path());
        assert_eq!(root.read("/long", 10), Ok(Content { bytes: vec![b'x'; 10], cut: true }));
        assert_eq!(root.read("long", 100), Ok(Content { bytes: vec![b'x'; 100], cut: false }));
        assert_eq!(root.read("/none", 10), Err(Unread::Vanished));
        assert_eq!(root.read("/", 10), Err(Unread::Failed));
        assert_eq!(root.link("/long"), Err(Unread::Failed));
    }

    #[test]
    fn the_agents_own_processes_stand_in_where_only_the_rest_of_a_host_is_mounted() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        let put = |path: &str| std::fs::create_dir_all(at(path)).unwrap();
        let check = |expect: &str, first: &str| {
            let host = HostRoot::found(at("host"), &at("own"));
            assert_eq!(host.path("/proc/7/stat"), at(expect).join("7/stat"));
            assert_eq!(host.path("proc"), at(expect).join(""));
            assert_eq!(host.path("/sys/kernel"), at("host/sys/kernel"));
            assert_eq!(host.path("/process"), at("host/process"));
            assert_eq!(host.path_of_first("/etc/x"), at(first));
        };
        // Nothing is there that is a host's: what is missing is to be told by its own name.
        check("host/proc", "host/proc/1/root/etc/x");
        put("host/sys/kernel");
        check("own", "own/1/root/etc/x");
        // A directory that nothing is mounted on.
        put("host/proc");
        check("own", "own/1/root/etc/x");
        put("host/proc/1");
        check("host/proc", "host/proc/1/root/etc/x");
    }
}
