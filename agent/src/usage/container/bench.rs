//! What a round costs on this host. Run it by itself, as root, in the release profile:
//! `cargo test --release -p steth --lib usage::container::bench -- --ignored --nocapture`
#![allow(clippy::print_stdout, reason = "a benchmark is there to print")]

use std::path::PathBuf;
use std::time::Instant;

use super::Container;
use crate::host::{Anchor, HostRoot};
use crate::usage::{NoTables, Probe, Sink};

struct Crowd(Vec<PathBuf>);

impl Drop for Crowd {
    fn drop(&mut self) {
        for group in self.0.iter().rev() {
            let _ = std::fs::remove_dir(group);
        }
    }
}

#[test]
#[ignore = "a benchmark: makes two hundred control groups"]
fn two_hundred_containers_are_read_in_thirty_milliseconds() {
    let host = HostRoot::new("/");
    let mut probe = Container::default();
    let mut round = || {
        let mut sink = Sink::default();
        let begun = Instant::now();
        probe.collect(&host, &mut NoTables, &Anchor::default(), &mut sink).unwrap();
        (begun.elapsed(), sink.samples().len())
    };
    round();
    let mut crowd = Crowd(Vec::new());
    for mount in ["", "cpu", "cpuacct", "memory", "blkio", "pids", "systemd", "unified"] {
        let mount = PathBuf::from("/sys/fs/cgroup").join(mount);
        if mount.join("cgroup.procs").exists() {
            crowd.0.push(mount.join("docker"));
            crowd.0.extend((0..200).map(|i| mount.join(format!("docker/{i:064x}"))));
        }
    }
    for group in &crowd.0 {
        std::fs::create_dir_all(group).unwrap();
    }
    let mut times: Vec<_> = (0..20).map(|_| round()).collect();
    times.sort_unstable();
    println!("a round, least and median, with samples: {:?}, {:?}", times[0], times[10]);
    drop(crowd);
    assert!(times[0].0.as_millis() <= 30, "{times:?}");
}
