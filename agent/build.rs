//! Embeds the kernel programs in the library, if they have been built.
//!
//! It never builds them: a machine without a bpf toolchain can build and test everything in
//! userspace, and is told what was left out. `STETH_KERNEL_OBJECT` names another object.

#![allow(clippy::print_stdout, reason = "standard output is how a build script talks to cargo")]

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=STETH_KERNEL_OBJECT");
    let out = env::var_os("OUT_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    let named = env::var_os("STETH_KERNEL_OBJECT").filter(|named| !named.is_empty());
    let object = named.map_or_else(|| default_object(&out), PathBuf::from);
    let object = fs::canonicalize(&object).unwrap_or(object);
    // A watched file that is missing would have cargo compile the crate each time; its folder shows
    // as well that it has come.
    let folder = object.parent().unwrap_or(&object);
    let watched =
        if object.is_file() || fs::create_dir_all(folder).is_err() { &object } else { folder };
    println!("cargo::rerun-if-changed={}", watched.display());
    let code = if object.is_file() {
        embedded(&object)
    } else {
        println!(
            "cargo::warning=built without the kernel programs, so it can replay and test but not observe: {} is missing; `cargo xtask build` makes it",
            object.display()
        );
        "/// The kernel programs: left out of this build.\npub static KERNEL_OBJECT: Option<&[u8]> = None;\n".to_owned()
    };
    fs::write(out.join("kernel_object.rs"), code)
}

/// `kernel/steth.o` in the target directory in use: the ancestor of `OUT_DIR` that holds it, else the
/// one where it will be, four levels up.
fn default_object(out: &Path) -> PathBuf {
    let object = Path::new("kernel").join("steth.o");
    out.ancestors()
        .map(|ancestor| ancestor.join(&object))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| out.ancestors().nth(4).unwrap_or(out).join(&object))
}

/// ELF headers are read in place as 64-bit words, which `include_bytes!` alone does not align.
fn embedded(object: &Path) -> String {
    let object = object.display().to_string();
    format!(
        "#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);
static ALIGNED: &Aligned<[u8]> = &Aligned(*include_bytes!({object:?}));
/// The kernel programs, as an ELF object aligned to 8 bytes.
pub static KERNEL_OBJECT: Option<&[u8]> = Some(&ALIGNED.0);
"
    )
}
