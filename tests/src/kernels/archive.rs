//! Brings a suite's kernel from the Debian mirror that this system uses, through an apt root of its own, and keeps it in the
//! user's cache: a second run downloads nothing. The system's own apt state is never touched.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

use super::sources::{self, Mirror, Mirrors};
use super::suite::Suite;

/// A kernel, ready to start.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The compressed kernel.
    pub image: PathBuf,
    /// The package it comes from, with its version.
    pub package: String,
}

/// Where kernels are kept.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store in the user's cache, or in `fallback` for a user who has no home.
    pub fn of_user(fallback: &Path) -> Self {
        let set =
            |key: &str| std::env::var_os(key).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        let root =
            cache.map_or_else(|| fallback.join("cache"), |cache| cache.join("steth/kernels"));
        Self { root }
    }

    /// The kernel of `suite`, if it was brought before.
    pub fn kept(&self, suite: Suite) -> Option<Kernel> {
        let dir = self.root.join(suite.name);
        let package = fs::read_to_string(dir.join("package")).ok()?;
        let image = dir.join("vmlinuz");
        image.is_file().then(|| Kernel { image, package: package.trim().to_owned() })
    }

    /// The newest kernel of `suite` that the mirror has.
    pub fn bring(&self, suite: Suite) -> Result<Kernel> {
        let dir = self.root.join(suite.name);
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        let mirrors = sources::read(Path::new("/etc/apt")).context(
            "apt's sources name no Debian mirror, so there is nowhere to take kernels from",
        )?;
        let apt = Apt::new(dir.join("apt"), suite, &mirrors)?;
        let brought = apt.kernel(&dir);
        apt.remove();
        brought?;
        self.kept(suite).context("the kernel was brought, yet is not there")
    }
}

/// A private apt: its own sources, lists, cache and status, and the system's programs, proxies and keys.
struct Apt {
    root: PathBuf,
    options: Vec<OsString>,
}

const META_PACKAGE: &str = "linux-image-cloud-amd64";

impl Apt {
    fn new(root: PathBuf, suite: Suite, mirrors: &Mirrors) -> Result<Self> {
        let _ = fs::remove_dir_all(&root);
        for dir in ["lists/partial", "archives/partial", "parts", "deb", "tree"] {
            fs::create_dir_all(root.join(dir))
                .with_context(|| format!("making {}", root.display()))?;
        }
        fs::write(root.join("status"), "")?;
        let with_security = [Some(&mirrors.archive), mirrors.security.as_ref()];
        let options = [
            ("Dir::Etc::sourcelist", "sources.list"),
            ("Dir::Etc::sourceparts", "parts"),
            ("Dir::Etc::preferencesparts", "parts"),
            ("Dir::State", ""),
            ("Dir::State::lists", "lists"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", ""),
            ("Dir::Cache::archives", "archives"),
        ]
        .into_iter()
        .map(|(key, path)| setting(key, &root.join(path)))
        .chain([
            setting("APT::Architecture", Path::new("amd64")),
            // The directories belong to whoever runs this; apt's own user could not enter them.
            setting("APT::Sandbox::User", Path::new("root")),
            // An archived suite stays good after its date.
            setting("Acquire::Check-Valid-Until", Path::new("false")),
            setting("Acquire::Languages", Path::new("none")),
        ])
        .collect();
        let apt = Self { root, options };
        // A suite that never had security updates, or whose were archived, is taken without.
        apt.write_sources(suite, &with_security)?;
        if apt.run("apt-get", &["-qq", "update"]).is_err() {
            apt.write_sources(suite, &with_security[..1])?;
            apt.run("apt-get", &["-qq", "update"])
                .with_context(|| format!("the mirror does not carry {suite}"))?;
        }
        Ok(apt)
    }

    fn write_sources(&self, suite: Suite, mirrors: &[Option<&Mirror>]) -> Result<()> {
        let name = suite.name;
        let mut text = String::new();
        for (mirror, suite) in mirrors.iter().zip([name.to_owned(), format!("{name}-security")]) {
            let Some(mirror) = mirror else { continue };
            if suite == "sid-security" {
                continue;
            }
            let keys = mirror
                .signed_by
                .as_ref()
                .map(|path| format!(" signed-by={path}"))
                .unwrap_or_default();
            // Only the package lists: a desktop's configuration asks for screenshots and icons too.
            let _ = writeln!(text, "deb [target=Packages{keys}] {} {suite} main", mirror.uri);
        }
        fs::write(self.root.join("sources.list"), text).context("writing the private sources.list")
    }

    /// Puts `vmlinuz` and `package` into `dir`.
    fn kernel(&self, dir: &Path) -> Result<()> {
        let meta = self.show(META_PACKAGE)?;
        let image = dependency(&meta, "linux-image-")
            .context("the kernel's package depends on no image")?;
        let about = self.show(&image)?;
        // Since 7.x an image is a shell around a package with the kernel and one with the modules.
        let package = dependency(&about, "linux-binary-").unwrap_or(image);
        let version = field(&about, "Version").unwrap_or_default();
        let download: [&str; 3] = ["-qq", "download", &package];
        self.run("apt-get", &download)?;
        let tree = self.root.join("tree");
        for entry in fs::read_dir(self.root.join("deb"))? {
            let output = Command::new("dpkg-deb")
                .arg("-x")
                .arg(entry?.path())
                .arg(&tree)
                .output()
                .context("running dpkg-deb")?;
            succeeded("dpkg-deb", &output)?;
        }
        let found = find_image(&tree).with_context(|| format!("{package} holds no vmlinuz"))?;
        fs::rename(found, dir.join("vmlinuz")).context("keeping the kernel")?;
        fs::write(dir.join("package"), format!("{package} {version}\n"))
            .context("keeping the kernel's name")
    }

    fn show(&self, package: &str) -> Result<String> {
        self.run("apt-cache", &["show", "--no-all-versions", package])
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = Command::new(program)
            .args(&self.options)
            .args(arguments)
            .current_dir(self.root.join("deb"))
            .output()
            .with_context(|| format!("running {program}"))?;
        succeeded(program, &output)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Package lists are 50 MB a suite: not worth keeping.
    fn remove(self) {
        let _ = fs::remove_dir_all(self.root);
    }
}

fn setting(key: &str, value: &Path) -> OsString {
    let mut setting = OsString::from(format!("-o{key}="));
    setting.push(value);
    setting
}

fn succeeded(program: &str, output: &Output) -> Result<()> {
    if !output.status.success() {
        bail!("{program}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// The value of a field of a package's description.
fn field(description: &str, key: &str) -> Option<String> {
    description.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name == key).then(|| value.trim().to_owned())
    })
}

/// The first package of `Depends` that begins with `prefix`, without its version.
fn dependency(description: &str, prefix: &str) -> Option<String> {
    let depends = field(description, "Depends")?;
    let names = depends.split([',', '|']).filter_map(|one| one.split_whitespace().next());
    names.filter(|name| name.starts_with(prefix)).map(str::to_owned).next()
}

/// `boot/vmlinuz-*` of older packages, `usr/lib/modules/*/vmlinuz` of newer ones.
fn find_image(dir: &Path) -> Option<PathBuf> {
    let mut inner = Vec::new();
    for entry in fs::read_dir(dir).ok()? {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_str()?;
        if path.is_dir() {
            inner.push(path);
        } else if name.starts_with("vmlinuz") {
            return Some(path);
        }
    }
    inner.iter().find_map(|dir| find_image(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_meta_package_to_the_one_that_holds_the_kernel() {
        let check = |depends: &str, prefix: &str, expect: Option<&str>| {
            let description =
                format!("Package: p\nVersion: 7.2.13-1\nDepends: {depends}\nDescription: x\n");
            assert_eq!(dependency(&description, prefix).as_deref(), expect, "{depends}");
        };
        check(
            "linux-image-5.10.0-46-cloud-amd64",
            "linux-image-",
            Some("linux-image-5.10.0-46-cloud-amd64"),
        );
        check(
            "linux-base-cloud-amd64, linux-image-7.2-cloud-amd64",
            "linux-image-",
            Some("linux-image-7.2-cloud-amd64"),
        );
        check(
            "kmod | dracut (>= 1), linux-binary-7.2 (= 7.2.13-1), linux-modules-7.2",
            "linux-binary-",
            Some("linux-binary-7.2"),
        );
        check("kmod, linux-base (>= 4.3)", "linux-binary-", None);
    }
}
