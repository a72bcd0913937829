//! What is in `deploy/` is well formed, and its ways of running the agent ask for the same.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's own functions; what is not there fails the test"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

/// The values of a key of the unit.
fn unit(key: &str) -> Vec<String> {
    let prefix = format!("{key}=");
    let unit = text("steth.service");
    let values = unit.lines().filter_map(|line| line.strip_prefix(&prefix));
    values.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

fn daemonset() -> Value {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text("kubernetes/steth.yaml")).unwrap();
    let mut sets = documents.into_iter().filter(|document| document["kind"] == "DaemonSet");
    let set = sets.next().unwrap();
    assert!(sets.next().is_none(), "one DaemonSet");
    set
}

fn words(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_unit_is_well_formed() {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("steth.service");
    // The agent need not be installed where this runs; the rest is judged as it is.
    std::fs::write(&copy, text("steth.service").replace("/usr/bin/steth", "/bin/true")).unwrap();
    let verified =
        Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&copy).output();
    let Ok(verified) = verified else {
        eprintln!("left out: systemd-analyze is not installed (package systemd)");
        return;
    };
    let told = String::from_utf8_lossy(&verified.stderr);
    let ours: Vec<&str> = told.lines().filter(|line| line.contains("steth.service")).collect();
    assert!(ours.is_empty(), "{}", ours.join("\n"));
}

#[test]
fn unit_and_daemonset_ask_for_the_same_capabilities() {
    let ambient: BTreeSet<String> = unit("AmbientCapabilities").into_iter().collect();
    assert_eq!(ambient, unit("CapabilityBoundingSet").into_iter().collect());
    let set = daemonset();
    let context = &set["spec"]["template"]["spec"]["containers"][0]["securityContext"];
    let added = words(&context["capabilities"]["add"]);
    assert_eq!(ambient, added.iter().map(|name| format!("CAP_{name}")).collect());
    assert_eq!(words(&context["capabilities"]["drop"]), BTreeSet::from(["ALL".to_owned()]));
}

#[test]
fn the_daemonset_sees_the_host_and_writes_nothing() {
    let set = daemonset();
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!(pod["hostPID"], true);
    assert_eq!(pod["hostNetwork"], Value::Null);
    let container = &pod["containers"][0];
    assert_eq!(container["securityContext"]["privileged"], false);
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    let mounts = container["volumeMounts"].as_array().unwrap();
    assert!(mounts.iter().all(|mount| mount["readOnly"] == true));
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let mounted: BTreeSet<String> = mounts.iter().map(name).collect();
    let volumes: BTreeSet<String> = pod["volumes"].as_array().unwrap().iter().map(name).collect();
    assert_eq!(mounted, volumes);
    // Two things of the host and no more; its processes are seen by `hostPID`.
    let volumes = pod["volumes"].as_array().unwrap().iter();
    let paths: Vec<_> = volumes.map(|volume| volume["hostPath"]["path"].as_str()).collect();
    assert_eq!(paths, [Some("/sys"), Some("/run/containerd")]);
    let update = &set["spec"]["updateStrategy"]["rollingUpdate"];
    assert_eq!(update["maxSurge"], 0, "two agents on a node count twice");
    let selected = set["spec"]["selector"]["matchLabels"].as_object().unwrap();
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    assert!(selected.iter().all(|(name, value)| labels[name] == *value));
    assert_eq!(container["ports"][0]["containerPort"], 9464);
}

#[test]
fn the_image_holds_what_the_build_makes() {
    let containerfile = text("Containerfile");
    assert!(
        containerfile.contains("cargo xtask image --platform linux/${TARGETARCH} --root /image")
    );
    assert!(containerfile.contains("\nFROM scratch\nCOPY --from=build /image/ /\n"));
    assert!(containerfile.contains("ENTRYPOINT [\"/usr/bin/steth\"]"));
    let version = format!("image.version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(containerfile.contains(&version), "Containerfile lacks {version}");
    assert!(unit("ExecStart") == ["/usr/bin/steth"]);
    for line in containerfile.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let sources: Vec<&str> = line.split_whitespace().collect();
        if sources[0].starts_with("--from") {
            continue;
        }
        for source in &sources[..sources.len() - 1] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(source);
            assert!(path.exists(), "Containerfile copies {source}, which is not there");
        }
    }
}
