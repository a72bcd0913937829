//! Makes the recordings under `tests/recordings` again, on this kernel; needs what the agent needs.
//!
//! `cargo run -p steth-tests --bin recordings`, then `cargo xtask bless`.

use std::path::Path;

fn main() -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
    for tier in ["1", "3"] {
        let file = folder.join(format!("session-tier{tier}.steth"));
        steth_tests::session::record(&file, &["--anonymous", "--capture-tier", tier])?;
    }
    Ok(())
}
