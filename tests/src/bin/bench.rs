//! `cargo xtask bench`: what the agent costs, side by side in one run, as ratios.
#![expect(clippy::print_stdout, reason = "a report goes to standard output")]

fn main() -> anyhow::Result<()> {
    use steth_tests::bench::{Plan, run, run_spans, run_usage};
    let mut arguments = std::env::args().skip(1).peekable();
    let what = arguments.next_if(|first| ["use", "spans"].contains(&first.as_str()));
    let plan = Plan::from_arguments(arguments)?;
    let report = match what.as_deref() {
        Some("use") => run_usage(&plan)?,
        Some(_) => run_spans(&plan)?,
        None => run(&plan)?,
    };
    println!("{report}");
    Ok(())
}
