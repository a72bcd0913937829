//! `cargo xtask bench`: what the agent costs, side by side in one run, as ratios.
#![expect(clippy::print_stdout, reason = "a report goes to standard output")]

fn main() -> anyhow::Result<()> {
    use steth_tests::bench::{Plan, run, run_usage};
    let mut arguments = std::env::args().skip(1).peekable();
    let of_usage = arguments.next_if(|first| first == "use").is_some();
    let plan = Plan::from_arguments(arguments)?;
    let report = if of_usage { run_usage(&plan)? } else { run(&plan)? };
    println!("{report}");
    Ok(())
}
