//! `cargo xtask new-protocol`: the folder and the line an application protocol begins with.

use std::path::Path;

use anyhow::Result;

use super::scaffold::{name, register, write};
use crate::step::{say, top};

/// Begin an application protocol
///
/// Writes agent/src/protocol/NAME/ with a parser that knows nothing yet and its tests, and adds it to
/// the list in agent/src/protocol/mod.rs. What is left is to say how its bytes are told from others,
/// and how a stream of them becomes exchanges.
#[derive(clap::Args)]
pub(crate) struct NewProtocol {
    /// Its module: lower-case words joined by `_`
    name: String,
}

impl NewProtocol {
    pub(crate) fn run(self) -> Result<()> {
        begin(top(), &self.name)?;
        say(
            "next: its signatures in mod.rs, with cases in its tests; then `cargo xtask test tidy unit`",
        );
        Ok(())
    }
}

fn begin(top: &Path, given: &str) -> Result<()> {
    let name = name(given)?;
    let folder = format!("agent/src/protocol/{name}");
    write(top, &format!("{folder}/mod.rs"), &MODULE.replace("NAME", name))?;
    register(top, "agent/src/protocol/mod.rs", &format!("pub mod {name};"))
}

const MODULE: &str = "\
//! NAME: turns of a connection to exchanges.
//!
//! Sees bytes, direction and limits; never panics on them, and holds no more of them than its
//! limits say.

/// How a connection of this protocol may begin.
const SIGNATURES: &[&[u8]] = &[];

/// Whether the first bytes of a connection are this protocol's.
pub fn begins(head: &[u8]) -> bool {
    SIGNATURES.iter().any(|signature| head.starts_with(signature))
}

#[cfg(test)]
mod tests {
    #[test]
    fn is_told_from_other_bytes() {
        let check = |input: &[u8], expect| assert_eq!(super::begins(input), expect, \"{input:?}\");
        check(b\"\", false);
        check(b\"\\0\\xff\", false);
    }
}
";

#[cfg(test)]
mod tests {
    use std::fs;

    #[test]
    fn writes_a_folder_and_one_line_and_only_once() {
        let top = tempfile::tempdir().unwrap();
        let list = top.path().join("agent/src/protocol/mod.rs");
        fs::create_dir_all(list.parent().unwrap()).unwrap();
        fs::write(&list, "//! x\n\npub mod http1;\n").unwrap();
        super::begin(top.path(), "redis").unwrap();
        assert_eq!(fs::read_to_string(&list).unwrap(), "//! x\n\npub mod http1;\npub mod redis;\n");
        let module = top.path().join("agent/src/protocol/redis/mod.rs");
        assert!(fs::read_to_string(module).unwrap().starts_with("//! redis: "));
        assert!(super::begin(top.path(), "redis").is_err());
        assert!(super::begin(top.path(), "../redis").is_err());
    }
}
