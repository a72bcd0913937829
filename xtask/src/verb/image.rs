//! `cargo xtask image`: the agent as a container image, without a daemon.

use std::collections::BTreeSet;
use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::image::layer::Layer;
use crate::image::layout::Image as Layout;
use crate::image::name::Name;
use crate::image::platform::Arch;
use crate::image::time::Epoch;
use crate::image::{self, Filled, PORT, PROGRAM};
use crate::step::{announce, say, target};
use crate::{kernel_side, package};

/// The largest image for one processor, as it is stored and sent.
const LARGEST: usize = 25_000_000;

/// Build the container image
///
/// Writes target/image/steth-VERSION.tar, an OCI layout: the agent as a static program, FROM scratch,
/// with the authorities' certificates, the licences and a bill of materials (CycloneDX), which is
/// written beside it too. No daemon and no registry is asked. Load it with `podman load --input FILE`,
/// `skopeo copy oci-archive:FILE ...` or `ctr --namespace k8s.io images import FILE`.
///
/// The program is linked with musl where its standard library (`rustup target add`) and `musl-gcc` are
/// installed, else with GNU's C library, whole in either case; it says which. Each processor that
/// `--platform` names needs a standard library and a C compiler: what is missing is installed or told.
///
/// The same program packed again gives the same digest; one built in another directory differs, as its kernel
/// programs do. Files bear the commit's time, or what `SOURCE_DATE_EPOCH` says.
#[derive(clap::Args)]
pub(crate) struct Image {
    /// For which processors, in one image: linux/amd64, linux/arm64; this one's if left out
    #[arg(long, value_delimiter = ',')]
    platform: Vec<String>,
    /// What the image is called; steth:VERSION if left out
    #[arg(long)]
    name: Option<String>,
    /// Where to write the archive
    #[arg(long)]
    output: Option<PathBuf>,
    /// Write the content into this directory and no archive; for Containerfile
    #[arg(long, conflicts_with_all = ["name", "output"])]
    root: Option<PathBuf>,
}

impl Image {
    pub(crate) fn run(self) -> Result<()> {
        let Self { platform, name, output, root } = self;
        let version = image::version();
        let name = Name::parse(&name.unwrap_or_else(|| format!("steth:{version}")))?;
        let platforms: BTreeSet<Arch> = if platform.is_empty() {
            BTreeSet::from([Arch::here()?])
        } else {
            platform.iter().map(|text| Arch::parse(text)).collect::<Result<_>>()?
        };
        let made = Epoch::of_source()?;
        package::install(package::BUILD)?;
        package::install(package::IMAGE)?;
        // Before the long work.
        let ways =
            platforms.iter().map(|arch| Ok((*arch, arch.way()?))).collect::<Result<Vec<_>>>()?;
        kernel_side::build()?;
        if let Some(root) = root {
            let [(arch, way)] = ways.as_slice() else { bail!("--root is for one --platform") };
            image::fill(*arch, *way, made)?.content.unpack(&root)?;
            say(format!("wrote {}", root.display()));
            return Ok(());
        }
        let directory = target().join("image");
        let archive = output.unwrap_or_else(|| directory.join(format!("steth-{version}.tar")));
        let mut layers = Vec::new();
        for (arch, way) in ways {
            let Filled { content, bill } = image::fill(arch, way, made)?;
            announce(&format!("layer for {arch}"), "packs all that is in the image");
            let layer = Layer::of(&content, made)?;
            tell_sizes(&content, &layer)?;
            let beside = format!("steth-{version}-{}.cdx.json", arch.name());
            write(&archive.with_file_name(beside), &bill)?;
            layers.push((arch, layer));
        }
        let image = Layout {
            name,
            created: made,
            labels: image::labels(made),
            entrypoint: PROGRAM.to_owned(),
            port: PORT.to_owned(),
            layers,
        };
        let digest = store(&image, &archive)?;
        say(format!("built {} as {}: {digest}", archive.display(), image.name.full()));
        Ok(())
    }
}

/// Builds it for this machine, under this name and into this archive.
pub(crate) fn build(name: &str, archive: &Path) -> Result<()> {
    let (name, output) = (Some(name.to_owned()), Some(archive.to_path_buf()));
    Image { platform: Vec::new(), name, output, root: None }.run()
}

fn tell_sizes(content: &image::content::Content, layer: &Layer) -> Result<()> {
    let whole: usize = content.entries().map(|(_, entry)| entry.size()).sum();
    let stored = layer.compressed.len();
    let megabytes = |bytes: usize| format!("{:.1} MB", bytes as f64 / 1e6);
    let program = content.entries().find(|(path, _)| PROGRAM.ends_with(path));
    let program = program.map_or(0, |(_, entry)| entry.size());
    say(format!(
        "    {} stored, {} unpacked, of which the program is {}",
        megabytes(stored),
        megabytes(whole),
        megabytes(program)
    ));
    if stored > LARGEST {
        bail!(
            "the image takes {}, more than {}. What to do: see what the program grew by",
            megabytes(stored),
            megabytes(LARGEST)
        );
    }
    Ok(())
}

/// Under another name until it is whole.
fn store(image: &Layout, archive: &Path) -> Result<String> {
    let wrong = || format!("{} cannot be written", archive.display());
    let part = archive.with_extension("part");
    let file = fs::File::create(&part).with_context(wrong)?;
    let digest = image.write(BufWriter::new(file))?;
    fs::rename(&part, archive).with_context(wrong)?;
    Ok(digest)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)
            .with_context(|| format!("{} cannot be made", directory.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("{} cannot be written", path.display()))
}
