//! A container image FROM scratch, made by this program alone: no daemon, no registry, no base.
//!
//! In the order it comes about: a [`platform`] and its way to build, the static [`program`], the [`bom`]
//! and the [`notices`] of what is linked in, all [`content`], one [`layer`] of it, the [`layout`] that
//! runtimes load. Nothing of the machine or the hour gets in but the authorities' certificates.

pub(crate) mod bom;
pub(crate) mod content;
pub(crate) mod layer;
pub(crate) mod layout;
pub(crate) mod name;
pub(crate) mod notices;
pub(crate) mod platform;
pub(crate) mod program;
pub(crate) mod time;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::step::{output, program as command, top};
use content::Content;
use layout::Digest;
use platform::{Arch, Way};
use time::Epoch;

/// Where distributions keep the authorities that are trusted, in one file.
const ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
/// Where the program finds them.
const ROOTS_WITHIN: &str = "etc/ssl/certs/ca-certificates.crt";
/// Where the program stands.
pub(crate) const PROGRAM: &str = "/usr/bin/steth";
/// Where it serves Prometheus text, /healthz and /status.
pub(crate) const PORT: &str = "9464/tcp";
/// Directories that are there to be mounted on or written to.
const DIRECTORIES: [(&str, u32); 7] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("host", 0o755),
    ("proc", 0o755),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
];
/// Small files that a C library looks for.
const FILES: [(&str, &str); 3] = [
    ("etc/passwd", "root:x:0:0:root:/:/sbin/nologin\nsteth:x:65532:65532:steth:/:/sbin/nologin\n"),
    ("etc/group", "root:x:0:\nsteth:x:65532:\n"),
    ("etc/nsswitch.conf", "hosts: files dns\n"),
];
/// What is told of the licences of our own.
const LICENSES: [&str; 3] = ["LICENSE-APACHE", "LICENSE-GPL-2.0", "LICENSE-MIT"];

/// What an image for one processor holds.
#[derive(Clone, Debug)]
pub(crate) struct Filled {
    /// All of it.
    pub(crate) content: Content,
    /// The bill of materials, which is in it too.
    pub(crate) bill: Vec<u8>,
}

/// The agent for `arch`, with all that stands around it.
pub(crate) fn fill(arch: Arch, way: Way, made: Epoch) -> Result<Filled> {
    let agent = program::build(arch, way)?;
    let parts = bom::Parts::of_agent(way.target)?;
    let roots = roots()?;
    let mut others = bom::runtime(way);
    others.push(json!({
        "type": "data",
        "bom-ref": ROOTS_WITHIN,
        "name": "ca-certificates",
        "licenses": [{"expression": "MPL-2.0"}],
        "hashes": [{"alg": "SHA-256", "content": Digest::of(&roots).hex()}],
    }));
    let bill = parts.bill(version(), made, &others);
    let bill = serde_json::to_vec_pretty(&bill).context("the bill of materials")?;
    let mut content = Content::default();
    for (path, mode) in DIRECTORIES {
        content.directory(path, mode);
    }
    for (path, text) in FILES {
        content.file(path, 0o644, text);
    }
    content.file(ROOTS_WITHIN, 0o644, roots);
    content.file(PROGRAM.trim_start_matches('/'), 0o755, agent);
    let mut document = |name: &str, bytes: Vec<u8>| {
        content.file(&format!("usr/share/doc/steth/{name}"), 0o644, bytes);
    };
    for name in LICENSES {
        let text = fs::read(top().join(name)).with_context(|| format!("{name} cannot be read"))?;
        document(name, text);
    }
    document("NOTICES", notices::of(&parts).into_bytes());
    document("sbom.cdx.json", bill.clone());
    Ok(Filled { content, bill })
}

/// What is told of the image, by the names of its specification.
pub(crate) fn labels(made: Epoch) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut tell = |name: &str, value: &str| {
        labels.insert(format!("org.opencontainers.image.{name}"), value.to_owned());
    };
    tell("title", "steth");
    tell(
        "description",
        "Zero-code telemetry for Linux hosts: RED, USE and spans from eBPF, over OTLP",
    );
    tell("version", version());
    tell("licenses", "(MIT OR Apache-2.0) AND GPL-2.0-only");
    tell("created", &made.text());
    if let Some(revision) = revision() {
        tell("revision", &revision);
    }
    labels
}

/// The workspace's.
pub(crate) fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The commit, and whether anything beside it was there.
fn revision() -> Option<String> {
    let commit = output(command("git").args(["rev-parse", "HEAD"]))?;
    let changes = output(command("git").args(["status", "--porcelain", "--untracked-files=no"]))?;
    Some(if changes.is_empty() { commit } else { format!("{commit}-dirty") })
}

fn roots() -> Result<Vec<u8>> {
    let Some(place) = ROOTS.into_iter().find(|place| Path::new(place).is_file()) else {
        bail!(
            "no authorities' certificates here, looked for in {}. What to do: install ca-certificates",
            ROOTS.join(", ")
        );
    };
    fs::read(place).with_context(|| format!("{place} cannot be read"))
}
