//! What a round costs on this host. Run it by itself, in the release profile:
//! `cargo test --release -p steth --lib usage::process::bench -- --ignored --nocapture`
#![allow(clippy::print_stdout, reason = "a benchmark is there to print")]

use std::process::{Child, Command};
use std::time::Instant;

use super::Processes;
use crate::event::{Nanos, Timestamp};
use crate::host::{Anchor, HostRoot};
use crate::metric::snapshot::WallTime;
use crate::usage::{NoTables, Probe, Sink};

struct Crowd(Vec<Child>);

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
#[ignore = "a benchmark: makes a thousand processes"]
fn a_thousand_processes_are_read_in_thirty_milliseconds() {
    let wanted_of_all = 256;
    let crowd =
        Crowd((0..1000).map(|_| Command::new("sleep").arg("600").spawn().unwrap()).collect());
    let host = HostRoot::new("/");
    let now = Anchor { monotonic: Timestamp(1), boot: Nanos(u64::MAX / 2), wall: WallTime(1) };
    let mut probe = Processes::default();
    let mut round = |probe: &mut Processes| {
        let mut sink = Sink::default();
        let begun = Instant::now();
        probe.collect(&host, &mut NoTables, &now, &mut sink).unwrap();
        (begun.elapsed(), sink)
    };
    let best =
        |probe: &mut Processes,
         round: &mut dyn FnMut(&mut Processes) -> (std::time::Duration, Sink)| {
            let mut times: Vec<_> = (0..20).map(|_| round(probe).0).collect();
            times.sort_unstable();
            (times[0], times[times.len() / 2])
        };
    let living = round(&mut probe).1.living.unwrap();
    let plain = best(&mut probe, &mut round);
    probe.want(&living[living.len() - wanted_of_all..]);
    let wanted = best(&mut probe, &mut round);
    println!("processes: {}", living.len());
    println!("a round, least and median: {plain:?}");
    println!("with {wanted_of_all} of them in detail: {wanted:?}");
    drop(crowd);
    assert!(wanted.0.as_millis() <= 30, "{wanted:?}");
}
