//! An image's one layer: its content as a compressed tar archive, the same bytes for the same content.
//!
//! Owners are root, times are the one that is given, order is the paths', and the head of the
//! compressed stream names neither a time nor a system.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use super::content::{Content, Entry, Node};
use super::layout::Digest;
use super::time::Epoch;

/// A layer, compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    /// What is stored.
    pub(crate) compressed: Vec<u8>,
    /// Of the archive before it was compressed, by which a runtime knows it once unpacked.
    pub(crate) uncompressed: Digest,
}

impl Layer {
    /// `content`, with `time` on all of it.
    pub(crate) fn of(content: &Content, time: Epoch) -> Result<Self> {
        let mut archive = Builder::new(Vec::new());
        for (path, Entry { mode, node }) in content.entries() {
            let mut header = Header::new_gnu();
            header.set_mode(*mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(time.seconds());
            let bytes: &[u8] = match node {
                Node::Directory => {
                    header.set_entry_type(EntryType::Directory);
                    &[]
                }
                Node::File(bytes) => {
                    header.set_entry_type(EntryType::Regular);
                    bytes
                }
            };
            header.set_size(bytes.len() as u64);
            archive
                .append_data(&mut header, path, bytes)
                .with_context(|| format!("{path} does not fit into a layer"))?;
        }
        let archive = archive.into_inner().context("a layer could not be ended")?;
        let mut stream =
            GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
        stream.write_all(&archive).context("a layer could not be compressed")?;
        let compressed = stream.finish().context("a layer could not be compressed")?;
        Ok(Self { compressed, uncompressed: Digest::of(&archive) })
    }
}
