//! What stands in an image: paths with their modes and bytes, sorted, all owned by root.
//!
//! Known as a whole before anything is written, so the same content is the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// What stands at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// A directory.
    Directory,
    /// A file and what is in it.
    File(Vec<u8>),
}

/// One path's node and its permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Permission bits.
    pub(crate) mode: u32,
    /// What it is.
    pub(crate) node: Node,
}

impl Entry {
    /// Of what is in it.
    pub(crate) fn size(&self) -> usize {
        match &self.node {
            Node::Directory => 0,
            Node::File(bytes) => bytes.len(),
        }
    }
}

/// Paths without the leading `/`, sorted, so a directory comes before what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content(BTreeMap<String, Entry>);

impl Content {
    /// Adds a directory, and those above it.
    pub(crate) fn directory(&mut self, path: &str, mode: u32) {
        self.above(path);
        self.0.insert(path.to_owned(), Entry { mode, node: Node::Directory });
    }

    /// Adds a file, and the directories above it.
    pub(crate) fn file(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) {
        self.above(path);
        self.0.insert(path.to_owned(), Entry { mode, node: Node::File(bytes.into()) });
    }

    fn above(&mut self, path: &str) {
        for (at, _) in path.match_indices('/') {
            let above = path.get(..at).unwrap_or_default().to_owned();
            self.0.entry(above).or_insert(Entry { mode: 0o755, node: Node::Directory });
        }
    }

    /// All of it, in order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// Writes it below `root`, for those who make an image of a directory.
    pub(crate) fn unpack(&self, root: &Path) -> Result<()> {
        let wrong = |path: &Path| format!("{} cannot be written", path.display());
        fs::create_dir_all(root).with_context(|| wrong(root))?;
        for (path, Entry { mode, node }) in self.entries() {
            let path = root.join(path);
            match node {
                Node::Directory => fs::create_dir_all(&path),
                Node::File(bytes) => fs::write(&path, bytes),
            }
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(*mode)))
            .with_context(|| wrong(&path))?;
        }
        Ok(())
    }
}
