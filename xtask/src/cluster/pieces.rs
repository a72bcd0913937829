//! What a cluster is made of: Kubernetes' own programs, helm and kwok by Go modules, containerd and runc
//! from the distribution's packages. Built and unpacked once, into the user's cache; nothing is installed.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cache;
use crate::go::{ADVICE, go};
use crate::step::{announce, run, say, top};

/// The module that says which versions are built.
const MODULE: &str = "tests/cluster";
/// How the tests of the chart are told where helm is.
pub(crate) const HELM: &str = "STETH_HELM";
/// What says what is built: where one of them changes, all is built anew.
const RECIPE: [&str; 4] = ["go.mod", "go.sum", "node/main.go", "tools/tools.go"];
/// The names that the one program of Kubernetes answers to.
const NAMES: [&str; 7] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
];
/// Programs, the packages that they are built from, and what each is for.
const PROGRAMS: [[&str; 3]; 3] = [
    ["node", "./node", "etcd, kube-apiserver, kubelet and the rest"],
    ["helm", "helm.sh/helm/v3/cmd/helm", "installs the chart"],
    ["kwok", "sigs.k8s.io/kwok/cmd/kwok", "nodes and pods that are there by name alone"],
];
/// Unpacked, not installed: nothing of it is started on this host.
const PACKAGES: [&str; 3] = ["containerd", "runc", "containernetworking-plugins"];

/// Where everything is.
pub(crate) struct Pieces {
    place: PathBuf,
}

impl Pieces {
    /// Programs of Kubernetes, helm and kwok.
    pub(crate) fn programs(&self) -> PathBuf {
        self.place.join("programs")
    }

    /// Where the packages are unpacked.
    pub(crate) fn root(&self) -> PathBuf {
        self.place.join("root")
    }

    /// A program by its name.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs().join(name)
    }
}

/// Builds and unpacks what is not there yet.
pub(crate) fn build() -> Result<Pieces> {
    let pieces = Pieces { place: place()? };
    fs::create_dir_all(pieces.programs())
        .with_context(|| format!("cannot make {}", pieces.programs().display()))?;
    for [name, package, why] in PROGRAMS {
        if pieces.program(name).is_file() {
            continue;
        }
        announce(name, &format!("{why}; built once, into {}", pieces.programs().display()));
        compile(package, &pieces.program(name))?;
    }
    for name in NAMES.map(|name| pieces.program(name)).iter().filter(|path| !path.exists()) {
        symlink("node", name).with_context(|| format!("cannot make {}", name.display()))?;
    }
    unpack(&pieces)?;
    Ok(pieces)
}

/// helm alone, for those who only look at the chart.
pub(crate) fn helm() -> Result<PathBuf> {
    let pieces = Pieces { place: place()? };
    let helm = pieces.program("helm");
    if !helm.is_file() {
        announce("helm", &format!("renders the chart; built once, into {}", helm.display()));
        fs::create_dir_all(pieces.programs()).context("the cache cannot be written")?;
        compile("helm.sh/helm/v3/cmd/helm", &helm)?;
    }
    Ok(helm)
}

/// Builds a program of the tests' own module, from here on quickly.
pub(crate) fn compile(package: &str, program: &Path) -> Result<()> {
    // Under another name until it is whole.
    let part = program.with_extension("part");
    let mut compile = go(&top().join(MODULE));
    let version = version()?;
    let mut flags = "-ldflags=-s -w".to_owned();
    for part in ["component-base/version", "client-go/pkg/version"] {
        // Else it says that it is of no version, and charts refuse it.
        flags += " -X k8s.io/";
        flags += part;
        flags += ".gitVersion=";
        flags += &version;
    }
    compile.env("CGO_ENABLED", "0").args(["build", "-p", "2", "-trimpath", &flags, "-o"]);
    run(compile.arg(&part).arg(package), ADVICE)?;
    fs::rename(&part, program)
        .with_context(|| format!("{} cannot be put in its place", program.display()))
}

fn unpack(pieces: &Pieces) -> Result<()> {
    let root = pieces.root();
    if root.is_dir() {
        return Ok(());
    }
    announce(&PACKAGES.join(", "), &format!("run the pods; unpacked into {}", root.display()));
    let (part, files) = (pieces.place.join("root.part"), pieces.place.join("packages"));
    for directory in [&part, &files] {
        let _ = fs::remove_dir_all(directory);
        fs::create_dir_all(directory).context("the cache cannot be written")?;
    }
    let advice = "`apt-get update` renews the lists of packages; elsewhere than on Debian, the cluster cannot be had";
    let mut download = Command::new("apt-get");
    download.current_dir(&files).args(["download", "-qq", "-o", "APT::Sandbox::User=root"]);
    run(download.args(PACKAGES), advice)?;
    let packages = fs::read_dir(&files).context("the cache cannot be read")?;
    for package in packages {
        let package = package.context("the cache cannot be read")?.path();
        run(Command::new("dpkg-deb").arg("-x").arg(package).arg(&part), advice)?;
    }
    fs::rename(&part, &root).context("the packages cannot be put in their place")?;
    let _ = fs::remove_dir_all(files);
    Ok(())
}

/// Tells what is there, for `setup`.
pub(crate) fn tell() {
    let Ok(place) = place() else { return };
    let tell = |name: &str, there: bool, why: &str| {
        let there = if there { "in the user's cache" } else { "missing" };
        say(format!("    {name:<20} {there:<30} {why}"));
    };
    for [name, _, why] in PROGRAMS {
        tell(name, place.join("programs").join(name).is_file(), why);
    }
    tell("containerd, runc", place.join("root").is_dir(), "run the pods");
}

/// Where they are, by the version of Kubernetes and all else that decides what is built.
fn place() -> Result<PathBuf> {
    let mut recipe = DefaultHasher::new();
    for name in RECIPE {
        let path = top().join(MODULE).join(name);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        text.hash(&mut recipe);
    }
    cache::place(&format!("kubernetes-{}-{:08x}", version()?, recipe.finish() >> 32))
}

fn version() -> Result<String> {
    let path = format!("{MODULE}/go.mod");
    let module = fs::read_to_string(top().join(&path)).with_context(|| path.clone())?;
    version_of(&module).with_context(|| format!("{path} names no k8s.io/kubernetes"))
}

fn version_of(module: &str) -> Option<String> {
    let mut words =
        module.lines().map(|line| line.trim().trim_start_matches("require ").split(' '));
    words.find_map(|mut words| {
        (words.next() == Some("k8s.io/kubernetes")).then(|| words.next())?.map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::{place, version_of};

    #[test]
    fn the_module_names_its_version() {
        let check = |text: &str, expect| assert_eq!(version_of(text).as_deref(), expect, "{text}");
        check(
            "require (\n\tk8s.io/kubectl v0.0.0\n\tk8s.io/kubernetes v1.2.3\n)\n",
            Some("v1.2.3"),
        );
        check("require k8s.io/kubernetes v1.2.3\n", Some("v1.2.3"));
        check("require k8s.io/kubectl v1.2.3\n", None);
        assert!(place().is_ok());
    }
}
