//! spike
use steth::kernel;
use steth::usage::{Families, Family, Table, Tables};
fn main() {
    let which = std::env::args().nth(1).unwrap_or_default();
    let families: Families = match which.as_str() {
        "none" => Families::NONE,
        "sched" => [Family::Scheduler].into_iter().collect(),
        "locks" => [Family::Scheduler, Family::OffCpu, Family::Locks].into_iter().collect(),
        _ => [Family::Scheduler, Family::OffCpu].into_iter().collect(),
    };
    let mut options = kernel::Options { families, empty: which == "empty", ..Default::default() };
    options.own = std::process::id();
    let mut k = kernel::load(steth::KERNEL_OBJECT, &options).unwrap();
    for r in &k.reports { if ["threads","thread_made","switch"].contains(&r.name) { println!("{r:?}"); } }
    let mut t = match k.take_tables() { Some(t) => t, None => return };
    let secs: u64 = std::env::args().nth(2).and_then(|s| s.parse().ok()).unwrap_or(5);
    if std::env::args().nth(3).is_some() { k.count_cost().unwrap(); }
    let end = std::time::Instant::now() + std::time::Duration::from_secs(secs);
    let mut busy: std::collections::HashMap<u32,(u32,u64)> = Default::default();
    while std::time::Instant::now() < end {
        std::thread::sleep(std::time::Duration::from_secs(1));
        let s = std::time::Instant::now();
        let mut n = 0; let mut ended = 0;
        t.rows(Table("THREADS"), &mut |_, bytes| { let (row, _) = <agent_common::schedule::ThreadRow as zerocopy::FromBytes>::read_from_prefix(bytes).unwrap();
            n += 1; ended += row.head.ended;
            let switches = row.head.voluntary + row.head.involuntary;
            let counted: u32 = row.stints.waits.iter().sum();
            busy.insert(row.head.pid, (counted, switches));
            if std::env::args().nth(4).is_some_and(|p| p == row.head.tgid.to_string() || p == "all") { println!("{row:?}"); }
        }).unwrap();
        println!("{n} rows, {ended} ended, {:?}; lost {:?}", s.elapsed(), &k.counts()[14..]);
    }
    for p in k.programs() { if p.runs > 0 { println!("{} {} runs {:.1} ns", p.name, p.runs, p.time.as_nanos() as f64 / p.runs as f64); } }
}
