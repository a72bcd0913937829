//! Recordings of real sessions, replayed without privileges: what the agent makes of them is golden
//! text. `cargo xtask bless` accepts changes; `tests/src/session.rs` is the session.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::path::PathBuf;

use steth::config::Config;
use steth::runtime::replay::{Played, play};
use steth::source::What;

fn recordings() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/recordings");
    let mut all: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "steth"))
        .collect();
    all.sort();
    assert!(!all.is_empty());
    all
}

fn played(bytes: &[u8]) -> Played {
    play(&Config::default(), bytes).unwrap()
}

/// The summary, the traces and the page. Buckets are left out: counts and sums stand beside them, and the
/// histograms have tests of their own.
fn golden(played: &Played) -> String {
    let page: Vec<&str> = played
        .page
        .lines()
        .filter(|line| !line.starts_with('#') && !line.contains("_bucket{"))
        .collect();
    format!("{}\n{}\n{}\n", played.summary(), played.trees.join("\n"), page.join("\n"))
}

#[test]
fn recordings_give_what_they_gave() {
    let blesses = std::env::var_os("STETH_BLESS").is_some();
    for path in recordings() {
        let found = golden(&played(&fs::read(&path).unwrap()));
        let golden = path.with_extension("golden");
        if blesses {
            fs::write(&golden, &found).unwrap();
        }
        let expect = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(found, expect, "{}: `cargo xtask bless` accepts it", path.display());
    }
}

#[test]
fn the_same_file_gives_the_same_bytes() {
    for path in recordings() {
        let bytes = fs::read(path).unwrap();
        assert_eq!(played(&bytes).page, played(&bytes).page);
    }
}

#[test]
fn a_recording_is_small_and_tells_nothing_of_where_it_was_made() {
    for path in recordings() {
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() < 100_000, "{}: {} bytes", path.display(), bytes.len());
        let machine = played(&bytes).header.machine;
        assert_eq!((&*machine.name, &*machine.id, &*machine.boot), ("host", "", ""));
        let text = String::from_utf8_lossy(&bytes);
        for leak in ["secret", "/tmp", "/home", "/root", "PATH=", "USER=", ".service", ".slice"] {
            assert!(!text.contains(leak), "{}: {leak}", path.display());
        }
    }
}

#[test]
fn a_file_that_is_cut_gives_what_was_whole_and_says_so() {
    let bytes = fs::read(recordings().remove(0)).unwrap();
    let all = played(&bytes);
    assert!(all.broken.is_none());
    let cut = played(&bytes[..bytes.len() * 2 / 3]);
    assert!(cut.records > 0 && cut.records < all.records);
    assert!(matches!(cut.broken.unwrap().what, What::Cut));
}

#[test]
fn other_files_and_other_versions_are_refused() {
    let bytes = fs::read(recordings().remove(0)).unwrap();
    let check = |change: &dyn Fn(&mut Vec<u8>), expect: &str| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        let error = play(&Config::default(), &*bytes).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    check(&Vec::clear, "not a recording of steth");
    check(&|bytes| bytes[0] = b'x', "not a recording of steth");
    check(&|bytes| bytes[8] = 77, "the recording has format 77, this steth reads format");
    check(&|bytes| bytes[12] = 78, "the recording has records of version 78, this steth reads");
}
