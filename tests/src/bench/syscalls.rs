//! A program that makes system calls and uses no sockets must not feel the agent.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::time::Instant;

use super::{Plan, VARIANTS};
use crate::agent::Agent;

/// Reads of one look.
const CALLS: u32 = 2_000_000;

pub(super) fn report(plan: &Plan) -> anyhow::Result<String> {
    let mut best = vec![f64::INFINITY; VARIANTS.len()];
    for _ in 0..plan.rounds {
        for (variant, best) in VARIANTS.iter().zip(&mut best) {
            let agent = variant.flags.map(Agent::start).transpose()?;
            *best = best.min(look()?);
            drop(agent);
        }
    }
    let base = best.first().copied().unwrap_or(1.0);
    let mut out = String::from(
        "\nNo sockets: one byte at a time from /dev/zero and to /dev/null.\n\
         variant          ns a call  ratio\n",
    );
    for (variant, ns) in VARIANTS.iter().zip(&best) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{:16} {ns:9.1} {:6.3}", variant.name, ns / base);
    }
    Ok(out)
}

fn look() -> anyhow::Result<f64> {
    let (mut zero, mut null) = (File::open("/dev/zero")?, File::create("/dev/null")?);
    let mut byte = [0];
    let start = Instant::now();
    for _ in 0..CALLS / 2 {
        zero.read_exact(&mut byte)?;
        null.write_all(&byte)?;
    }
    Ok(start.elapsed().as_nanos() as f64 / f64::from(CALLS))
}
