//! An OCI image layout as one tar archive, which containerd imports and podman and skopeo load.
//!
//! Blobs are named by their digests. For one platform the index names its manifest; for several it
//! names an index of their manifests, so that the image has one name and each node takes its own.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::Write;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::layer::Layer;
use super::name::Name;
use super::platform::Arch;
use super::time::Epoch;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A SHA-256, shown as `sha256:` and hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Digest(String);

impl Digest {
    /// Of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut digits = String::new();
        for byte in Sha256::digest(bytes) {
            let _ = write!(digits, "{byte:02x}");
        }
        Self(digits)
    }

    /// The digits alone.
    pub(crate) fn hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

/// An image for one or several platforms.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// What it is called.
    pub(crate) name: Name,
    /// When it says it was made.
    pub(crate) created: Epoch,
    /// What is told of it.
    pub(crate) labels: BTreeMap<String, String>,
    /// The program that is started.
    pub(crate) entrypoint: String,
    /// Where it listens, in the form of `9464/tcp`.
    pub(crate) port: String,
    /// What is in it, by processor.
    pub(crate) layers: Vec<(Arch, Layer)>,
}

/// What a descriptor needs to say of bytes that are stored elsewhere.
struct Blobs(BTreeMap<String, Vec<u8>>);

impl Blobs {
    fn add(&mut self, kind: &str, bytes: Vec<u8>) -> Value {
        let digest = Digest::of(&bytes);
        let descriptor =
            json!({"mediaType": kind, "digest": digest.to_string(), "size": bytes.len()});
        self.0.insert(format!("blobs/sha256/{}", digest.hex()), bytes);
        descriptor
    }

    fn add_json(&mut self, kind: &str, value: &Value) -> Value {
        self.add(kind, value.to_string().into_bytes())
    }
}

/// Adds a member to an object.
pub(crate) fn add(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

impl Image {
    /// Writes it; the digest that it is known by.
    pub(crate) fn write(&self, out: impl Write) -> Result<String> {
        let mut blobs = Blobs(BTreeMap::new());
        let mut manifests: Vec<Value> = self
            .layers
            .iter()
            .map(|(arch, layer)| self.manifest(*arch, layer, &mut blobs))
            .collect();
        let mut named = if manifests.len() == 1 {
            manifests.remove(0)
        } else {
            let index = json!({
                "schemaVersion": 2,
                "mediaType": INDEX,
                "manifests": manifests,
                "annotations": self.labels,
            });
            blobs.add_json(INDEX, &index)
        };
        // containerd takes the first, podman and skopeo the second.
        let called = json!({
            "io.containerd.image.name": self.name.full(),
            "org.opencontainers.image.ref.name": self.name.given(),
        });
        add(&mut named, "annotations", called);
        let digest = named.get("digest").and_then(Value::as_str).unwrap_or_default().to_owned();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]});
        let mut files = blobs.0;
        files.insert("index.json".into(), index.to_string().into_bytes());
        let version = json!({"imageLayoutVersion": "1.0.0"});
        files.insert("oci-layout".into(), version.to_string().into_bytes());
        self.archive(&files, out)?;
        Ok(digest)
    }

    fn manifest(&self, arch: Arch, layer: &Layer, blobs: &mut Blobs) -> Value {
        let config = json!({
            "created": self.created.text(),
            "architecture": arch.name(),
            "os": "linux",
            "config": {
                "Entrypoint": [self.entrypoint],
                "Env": ["PATH=/usr/bin"],
                "WorkingDir": "/",
                "ExposedPorts": {self.port.as_str(): {}},
                "Labels": self.labels,
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.uncompressed.to_string()]},
            "history": [{"created": self.created.text(), "created_by": "cargo xtask image"}],
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": blobs.add_json(CONFIG, &config),
            "layers": [blobs.add(LAYER, layer.compressed.clone())],
            "annotations": self.labels,
        });
        let mut described = blobs.add_json(MANIFEST, &manifest);
        add(&mut described, "platform", json!({"architecture": arch.name(), "os": "linux"}));
        described
    }

    fn archive(&self, files: &BTreeMap<String, Vec<u8>>, out: impl Write) -> Result<()> {
        let mut archive = Builder::new(out);
        let mut add = |path: &str, kind, mode, bytes: &[u8]| {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(self.created.seconds());
            header.set_size(bytes.len() as u64);
            archive
                .append_data(&mut header, path, bytes)
                .with_context(|| format!("{path} could not be written"))
        };
        for directory in ["blobs", "blobs/sha256"] {
            add(directory, EntryType::Directory, 0o755, &[])?;
        }
        for (path, bytes) in files {
            add(path, EntryType::Regular, 0o644, bytes)?;
        }
        archive.into_inner().and_then(|mut out| out.flush()).context("the image could not be ended")
    }
}
