//! What is written is read back: by `tar` and by the digests that the parts call each other by.

use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::Value;
use tar::Archive;

use super::content::Content;
use super::layer::Layer;
use super::layout::{Digest, Image};
use super::name::Name;
use super::platform::Arch;
use super::time::Epoch;

const MADE: u64 = 1_700_000_000;

fn content(text: &str) -> Content {
    let mut content = Content::default();
    content.file("usr/bin/steth", 0o755, text);
    content.directory("tmp", 0o1777);
    content.file("etc/passwd", 0o644, "root\n");
    content.file(&format!("usr/share/{}", "long/".repeat(30) + "name"), 0o644, "far down");
    content
}

fn image(arches: &[Arch]) -> Image {
    let made = Epoch::new(MADE);
    let layer = |arch: &Arch| (*arch, Layer::of(&content(arch.name()), made).unwrap());
    Image {
        name: Name::parse("steth:1").unwrap(),
        created: made,
        labels: BTreeMap::from([("org.opencontainers.image.title".into(), "steth".into())]),
        entrypoint: "/usr/bin/steth".into(),
        port: "9464/tcp".into(),
        layers: arches.iter().map(layer).collect(),
    }
}

fn written(image: &Image) -> Vec<u8> {
    let mut out = Vec::new();
    image.write(&mut out).unwrap();
    out
}

/// All files of an archive, which must be in order, of root and of the given time.
fn files(bytes: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut archive = Archive::new(bytes);
    let mut found = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().trim_end_matches('/').to_owned();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0), "{path}");
        assert_eq!(header.mtime().unwrap(), MADE, "{path}");
        let mode = header.mode().unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        found.push((path, (mode, bytes)));
    }
    assert!(found.is_sorted_by(|(path, _), (next, _)| path < next), "order of the entries");
    found.into_iter().collect()
}

/// What a descriptor names, which must be as long and have the digest it says.
fn blob<'a>(files: &'a BTreeMap<String, (u32, Vec<u8>)>, descriptor: &Value) -> &'a [u8] {
    let digest = descriptor["digest"].as_str().unwrap();
    let (_, bytes) = &files[&format!("blobs/{}", digest.replace(':', "/"))];
    assert_eq!(digest, Digest::of(bytes).to_string());
    assert_eq!(descriptor["size"].as_u64().unwrap(), bytes.len() as u64);
    bytes
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// A manifest's config, and what its layer holds.
fn unpacked(
    files: &BTreeMap<String, (u32, Vec<u8>)>,
    manifest: &Value,
) -> (Value, BTreeMap<String, (u32, Vec<u8>)>) {
    let manifest = json(blob(files, manifest));
    let config = json(blob(files, &manifest["config"]));
    let mut layer = Vec::new();
    let compressed = blob(files, &manifest["layers"][0]);
    assert_eq!(compressed[4..8], [0; 4], "the stream's head names a time");
    GzDecoder::new(compressed).read_to_end(&mut layer).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"][0], Digest::of(&layer).to_string());
    let layer = self::files(&layer);
    (config, layer)
}

#[test]
fn an_image_for_one_platform_is_read_back() {
    let files = files(&written(&image(&[Arch::Amd64])));
    assert_eq!(json(&files["oci-layout"].1)["imageLayoutVersion"], "1.0.0");
    let index = json(&files["index.json"].1);
    let manifests = index["manifests"].as_array().unwrap();
    assert_eq!(manifests.len(), 1);
    let named = &manifests[0];
    assert_eq!(named["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    let name = &named["annotations"]["io.containerd.image.name"];
    assert_eq!(name, "docker.io/library/steth:1");
    assert_eq!(named["annotations"]["org.opencontainers.image.ref.name"], "steth:1");
    let (config, layer) = unpacked(&files, named);
    assert_eq!(config["architecture"], "amd64");
    assert_eq!(config["created"], "2023-11-14T22:13:20Z");
    assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/steth");
    assert_eq!(config["config"]["Labels"]["org.opencontainers.image.title"], "steth");
    assert!(config["config"]["ExposedPorts"]["9464/tcp"].is_object());
    assert_eq!(layer["usr/bin/steth"], (0o755, b"amd64".to_vec()));
    assert_eq!(layer["tmp"], (0o1777, Vec::new()));
    assert_eq!(layer["usr"], (0o755, Vec::new()));
    assert_eq!(layer[&format!("usr/share/{}name", "long/".repeat(30))].1, b"far down");
    assert_eq!(files.len(), 2 + 2 + 3, "directories, index and layout, three blobs");
}

#[test]
fn an_image_for_several_platforms_has_one_name() {
    let files = files(&written(&image(&[Arch::Amd64, Arch::Arm64])));
    let index = json(&files["index.json"].1);
    let named = &index["manifests"][0];
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(named["mediaType"], "application/vnd.oci.image.index.v1+json");
    let inner = json(blob(&files, named));
    for (manifest, arch) in inner["manifests"].as_array().unwrap().iter().zip(["amd64", "arm64"]) {
        assert_eq!(manifest["platform"]["architecture"], arch);
        let (config, layer) = unpacked(&files, manifest);
        assert_eq!(config["architecture"], arch);
        assert_eq!(layer["usr/bin/steth"].1, arch.as_bytes());
    }
}

#[test]
fn the_same_content_is_the_same_bytes() {
    let one = written(&image(&[Arch::Amd64, Arch::Arm64]));
    assert!(one == written(&image(&[Arch::Amd64, Arch::Arm64])));
    let mut turned = Content::default();
    for (path, entry) in content("x").entries().collect::<Vec<_>>().into_iter().rev() {
        match &entry.node {
            super::content::Node::Directory => turned.directory(path, entry.mode),
            super::content::Node::File(bytes) => turned.file(path, entry.mode, bytes.clone()),
        }
    }
    let made = Epoch::new(MADE);
    assert_eq!(Layer::of(&turned, made).unwrap(), Layer::of(&content("x"), made).unwrap());
    assert_ne!(Layer::of(&content("y"), made).unwrap(), Layer::of(&content("x"), made).unwrap());
}

#[test]
fn content_is_unpacked_as_it_is() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    content("x").unpack(directory.path()).unwrap();
    let program = directory.path().join("usr/bin/steth");
    assert_eq!(std::fs::read(&program).unwrap(), b"x");
    assert_eq!(program.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
    let writable = directory.path().join("tmp").metadata().unwrap();
    assert_eq!(writable.permissions().mode() & 0o7777, 0o1777);
}
