//! What USE from kernel events costs, side by side in one run, as ratios.
#![expect(clippy::print_stdout, reason = "a report goes to standard output")]

fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let seconds = numbers.next().transpose()?.unwrap_or(3);
    let rounds = usize::try_from(numbers.next().transpose()?.unwrap_or(5))?;
    println!("{}", steth_tests::bench::events::report(seconds, rounds)?);
    Ok(())
}
