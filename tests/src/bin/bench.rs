//! `cargo xtask bench`: what the agent costs, side by side in one run, as ratios.
#![expect(clippy::print_stdout, reason = "a report goes to standard output")]

fn main() -> anyhow::Result<()> {
    let plan = steth_tests::bench::Plan::from_arguments(std::env::args().skip(1))?;
    println!("{}", steth_tests::bench::run(&plan)?);
    Ok(())
}
