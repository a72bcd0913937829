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
}

impl HostRoot {
    /// The host below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The path of what the host calls `inside` (with or without a leading slash).
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref();
        self.root.join(inside.strip_prefix("/").unwrap_or(inside))
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
}
