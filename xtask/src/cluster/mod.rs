//! The cluster of the tests: one node of Kubernetes with real pods, in namespaces of its own on this
//! host, with the agent's image loaded. Nothing of it is installed, and nothing of it stays but what is in the target
//! directory.

pub(crate) mod pieces;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::image::content::Content;
use crate::image::layer::Layer;
use crate::image::layout::Image;
use crate::image::name::Name;
use crate::image::platform::Arch;
use crate::image::time::Epoch;
use crate::privilege::raised;
use crate::step::{announce, run, say, target, top};
use pieces::Pieces;

/// What starts and ends it.
const SCRIPT: &str = "tests/cluster/up.sh";
/// How the tests are told where its state is.
pub(crate) const VARIABLE: &str = "STETH_CLUSTER";
/// How the tests are told where its programs are.
pub(crate) const PROGRAMS: &str = "STETH_CLUSTER_PROGRAMS";
/// The agent's image, by a name that no public registry answers for.
pub(crate) const AGENT: &str = "test.invalid/steth:test";
/// What the pods run, and what holds their namespaces.
const SHOP: [[&str; 2]; 2] = [["test.invalid/shop:1", "/shop"], ["test.invalid/pause:1", "/pause"]];
/// From its start until it is ready, on a slow machine.
const PATIENCE: Duration = Duration::from_mins(4);

/// A cluster that is there, or could be.
pub(crate) struct Cluster {
    pieces: Pieces,
    images: Vec<PathBuf>,
    state: PathBuf,
}

/// Builds all of it, to hold the agent whose image is in this archive.
pub(crate) fn build(agent: PathBuf) -> Result<Cluster> {
    let pieces = pieces::build()?;
    let place = place();
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let shop = place.join("shop");
    announce("shop", "the programs of the tests' pods");
    pieces::compile("./shop", &shop)?;
    let mut images = Vec::new();
    for [name, program] in SHOP {
        images.push(pack(&place, name, program, &shop)?);
    }
    images.push(agent);
    Ok(Cluster { pieces, images, state: state() })
}

/// One that may be there, with nothing built for it.
pub(crate) fn found() -> Result<Cluster> {
    Ok(Cluster { pieces: pieces::build()?, images: Vec::new(), state: state() })
}

/// Ends the one that is there, and waits until nothing of it is left. Whoever began it gives its process, which stays
/// until it is waited for.
pub(crate) fn down(mut child: Option<Child>) -> Result<()> {
    let Some(id) = holder() else { return Ok(()) };
    run(raised("kill")?.arg(&id), "end it by hand")?;
    let begun = Instant::now();
    while holder().is_some() {
        if let Some(child) = &mut child {
            child.try_wait().context("the cluster was lost")?;
        }
        if begun.elapsed() > PATIENCE {
            bail!("the cluster does not end. What to do: see process {id}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// The process that holds its namespaces, if it is there. An id alone may be another's by now.
fn holder() -> Option<String> {
    let said = fs::read_to_string(state().join("namespace.pid")).ok()?;
    let (id, begun) = said.trim().split_once(' ')?;
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, behind_the_name) = stat.rsplit_once(')')?;
    (behind_the_name.split_whitespace().nth(19) == Some(begun)).then(|| id.to_owned())
}

/// Where it keeps all that it writes.
fn state() -> PathBuf {
    place().join("state")
}

/// Where it stands, whether or not it is there.
pub(crate) fn place() -> PathBuf {
    target().join("cluster")
}

/// An image of one program.
fn pack(place: &Path, name: &str, program: &str, file: &Path) -> Result<PathBuf> {
    let mut content = Content::default();
    let bytes = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    content.file(program.trim_start_matches('/'), 0o755, bytes);
    content.directory("tmp", 0o1777);
    let created = Epoch::of_source()?;
    let layer = Layer::of(&content, created)?;
    let image = Image {
        name: Name::parse(name)?,
        created,
        labels: [].into(),
        entrypoint: program.to_owned(),
        port: "8080/tcp".to_owned(),
        layers: [(Arch::here()?, layer)].into(),
    };
    let tarball = place.join(program.trim_start_matches('/')).with_extension("tar");
    let file = File::create(&tarball)
        .with_context(|| format!("{} cannot be written", tarball.display()))?;
    image.write(std::io::BufWriter::new(file))?;
    Ok(tarball)
}

impl Cluster {
    /// Begins it, unless it is there, and waits until its node is ready; none if it was there. One that is `attended`
    /// ends with this process, however that ends.
    pub(crate) fn up(&self, attended: bool) -> Result<Option<Child>> {
        if holder().is_some() {
            self.load()?;
            return Ok(None);
        }
        announce(
            "cluster",
            &format!("one node of Kubernetes; its logs are in {}", self.state.display()),
        );
        fs::create_dir_all(&self.state).context("the cluster's state cannot be kept")?;
        let _ = fs::remove_file(self.state.join("ready"));
        let images: Vec<String> =
            self.images.iter().map(|path| path.display().to_string()).collect();
        let log = File::create(self.state.join("up.log")).context("no log of the cluster")?;
        let mut command = raised("env")?;
        command.arg(format!("STATE={}", self.state.display()));
        command.arg(format!("PROGRAMS={}", self.pieces.programs().display()));
        command.arg(format!("ROOT={}", self.pieces.root().display()));
        command.arg(format!("IMAGES={}", images.join(" ")));
        if attended {
            command.arg("ATTENDED=yes").stdin(Stdio::piped());
        } else {
            command.stdin(Stdio::null());
        }
        command.args(["setsid", "unshare", "--net", "--mount", "--propagation", "private", "bash"]);
        command.arg(top().join(SCRIPT));
        command.stdout(log.try_clone().context("no log of the cluster")?).stderr(log);
        let mut child = command.spawn().context("`unshare` could not be started")?;
        let begun = Instant::now();
        while !self.state.join("ready").exists() {
            let ended = child.try_wait().context("the cluster was lost")?;
            if ended.is_some() || begun.elapsed() > PATIENCE {
                let _ = down(Some(child));
                let said = fs::read_to_string(self.state.join("up.log")).unwrap_or_default();
                bail!(
                    "the cluster did not come up. What to do: see {}\n{said}",
                    self.state.display()
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        say(format!("    ready after {:.1} s", begun.elapsed().as_secs_f64()));
        Ok(Some(child))
    }

    /// Brings the images, which may have been built anew, into one that is there.
    fn load(&self) -> Result<()> {
        let ctr = self.pieces.root().join("usr/bin/ctr").display().to_string();
        for image in &self.images {
            let mut import = self.within(&ctr, &[])?;
            import.args(["--address", "/run/containerd/containerd.sock", "--namespace", "k8s.io"]);
            import.args(["images", "import"]).arg(image).stdout(Stdio::null());
            run(&mut import, "`cargo xtask cluster down` ends the one that is there")?;
        }
        Ok(())
    }

    /// A program within its namespaces, told where everything is, with these variables beside.
    pub(crate) fn within(&self, name: &str, more: &[(&str, &Path)]) -> Result<Command> {
        let id = holder().context("no cluster. What to do: `cargo xtask cluster up`")?;
        let mut command = raised("nsenter")?;
        command.args(["--target", &id, "--net", "--mount", "env"]);
        // Who enters stands at the top of the file system.
        command.arg(format!("--chdir={}", top().display()));
        for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
            command.arg(format!("--unset={proxy}"));
        }
        command.arg(format!("{VARIABLE}={}", self.state.display()));
        command.arg(format!("{PROGRAMS}={}", self.pieces.programs().display()));
        command.arg(format!("KUBECONFIG={}", self.state.join("kubeconfig").display()));
        command.arg(format!("KUBECACHEDIR={}", self.state.join("cache").display()));
        for (variable, value) in more {
            command.arg(format!("{variable}={}", value.display()));
        }
        command.arg(name);
        Ok(command)
    }

    /// One of its own programs: kubectl, helm.
    pub(crate) fn program(&self, name: &str) -> Result<Command> {
        self.within(&self.pieces.program(name).display().to_string(), &[])
    }
}
