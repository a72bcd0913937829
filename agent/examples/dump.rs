//! Prints what is in a recording, record by record: `cargo run --example dump FILE`.
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::fs::File;
use std::io::BufReader;

use anyhow::Context;
use steth::event::{Event, decode};
use steth::source::{Batch, Reader, Recorded, Replay, Source, Step};

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("which recording?")?;
    let mut replay =
        Replay::new(Reader::open(BufReader::new(File::open(path)?))?, Recorded::default());
    println!("{:?}", replay.header());
    let mut batch = Batch::default();
    loop {
        let step = replay.next(&mut batch)?;
        println!("{step:?}");
        if step == Step::End {
            return Ok(());
        }
        batch.records().for_each(print);
    }
}

fn print(record: &[u8]) {
    let text = String::from_utf8_lossy;
    match decode(record) {
        Ok(Event::Pair(pair)) => {
            println!("  {:?} {:?}", pair.end, pair.header);
            println!("    ask {:?}\n    answer {:?}", text(pair.ask), text(pair.answer));
        }
        Ok(Event::Segment(segment)) => {
            println!("  {:?}\n    {:?}", segment.header, text(segment.data));
        }
        Ok(Event::Exec(exec)) => {
            println!("  {:?}\n    {:?} {:?}", exec.header, text(exec.args), text(exec.env));
        }
        Ok(event) => println!("  {event:?}"),
        Err(reason) => println!("  {reason:?} {record:?}"),
    }
}
