//! Totals of threads become what has come since.
#![allow(clippy::indexing_slicing, reason = "numbers of a test are small")]

use agent_common::schedule::{Cause, LockedRow, ThreadRow};
use zerocopy::{FromZeros, IntoBytes};

use super::*;
use crate::event::{Nanos, Pid};
use crate::usage::ProcKey;

fn row(thread: u32, delay: u64, waits: u32) -> ThreadRow {
    let mut row = ThreadRow::new_zeroed();
    row.head.tgid = 7;
    row.head.pid = thread;
    row.head.group = 99;
    row.head.delay = delay;
    row.head.voluntary = u64::from(waits);
    row.stints.thread = thread;
    row.stints.born = 1000 + u64::from(thread);
    row.stints.started = 70_000_000;
    row.stints.waits[3] = waits;
    row
}

fn ended(mut row: ThreadRow) -> ThreadRow {
    row.head.ended = 1;
    row
}

/// Rows by round: the host's delay, switches and waits of each.
fn check(rounds: &[&[ThreadRow]], expect: &[(u64, u64, u64)]) {
    let mut ledger = Ledger::default();
    let host = HostRoot::new("/nonexistent");
    let mut found = Vec::new();
    for rows in rounds {
        ledger.begin();
        rows.iter().for_each(|row| ledger.take(&[0], row.as_bytes()));
        let Sums { host: sum, .. } = ledger.close(&host);
        found.push((sum.delay, sum.voluntary, sum.waits.iter().sum()));
    }
    assert_eq!(found, expect);
}

#[test]
fn totals_become_differences() {
    check(&[&[row(7, 10, 1)], &[row(7, 15, 3)], &[]], &[(10, 1, 1), (5, 2, 2), (0, 0, 0)]);
}

#[test]
fn threads_of_all_kinds_add_up() {
    check(&[&[row(7, 10, 1), row(8, 20, 2)]], &[(30, 3, 3)]);
}

#[test]
fn the_last_word_brings_the_rest_and_nothing_twice() {
    check(&[&[row(7, 10, 1)], &[ended(row(7, 12, 2))]], &[(10, 1, 1), (2, 1, 1)]);
    // One that lived between two rounds is known by its last word alone.
    check(&[&[ended(row(9, 12, 2))]], &[(12, 2, 2)]);
}

#[test]
fn what_was_before_the_watch_does_not_count() {
    let mut old = row(7, 1000, 5);
    old.stints.before = [990, 2, 0, 0];
    check(&[&[old]], &[(10, 3, 5)]);
}

#[test]
fn counts_that_come_around_go_on_and_those_that_fall_back_do_not() {
    let mut before = row(7, 10, 0);
    before.stints.waits[3] = u32::MAX;
    let mut after = row(7, 10, 0);
    after.stints.waits[3] = 1;
    check(&[&[before], &[after]], &[(10, 0, 0), (0, 0, 2)]);
    check(&[&[row(7, 10, 5)], &[row(7, 3, 4)]], &[(10, 5, 5), (0, 0, 0)]);
}

#[test]
fn a_number_that_is_used_again_is_another_thread() {
    let mut second = row(7, 4, 1);
    second.stints.born += 1;
    check(&[&[row(7, 10, 2)], &[second]], &[(10, 2, 2), (4, 1, 1)]);
}

#[test]
fn what_is_no_row_is_left_out() {
    let mut ledger = Ledger::default();
    for len in [0, 1, 8, size_of::<ThreadRow>() - 1, size_of::<ThreadRow>() + 8, 4096] {
        ledger.take(&[0], &vec![0xff; len]);
    }
    assert_eq!(ledger.close(&HostRoot::new("/nonexistent")).host, Sum::default());
}

#[test]
fn a_thread_whose_last_word_was_lost_is_let_go() {
    let mut ledger = Ledger::default();
    let host = HostRoot::new("/nonexistent");
    ledger.begin();
    ledger.take(&[0], row(7, 10, 1).as_bytes());
    ledger.take(&[0], row(8, 10, 1).as_bytes());
    ledger.close(&host);
    ledger.begin();
    ledger.take(&[1], row(8, 10, 1).as_bytes());
    ledger.close(&host);
    // If it were still kept, this would add nothing.
    ledger.begin();
    ledger.take(&[0], row(7, 10, 1).as_bytes());
    ledger.take(&[0], row(8, 10, 1).as_bytes());
    assert_eq!(ledger.close(&host).host.delay, 10);
}

struct Rows(Vec<Vec<u8>>);

impl Tables for Rows {
    fn rows(&mut self, table: Table, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Reason> {
        assert_eq!(table, THREADS);
        self.0.drain(..).for_each(|row| each(&[0], &row));
        Ok(())
    }

    fn put(&mut self, _: Table, _: &[u8], _: &[u8]) -> Result<(), Reason> {
        Ok(())
    }

    fn remove(&mut self, _: Table, _: &[u8]) -> Result<(), Reason> {
        Ok(())
    }
}

#[test]
fn families_tell_their_parts_of_one_reading() {
    let mut locked = LockedRow::new_zeroed();
    locked.row = row(7, 10, 1);
    locked.row.stints.off[Cause::Disk as usize] = 5;
    locked.futexes.waits[2] = 3;
    let mut kernel = row(2, 100, 1);
    kernel.head.kernel = 1;
    let mut tables = Rows(vec![locked.as_bytes().to_vec(), kernel.as_bytes().to_vec()]);
    let shared = Shared::default();
    let host = HostRoot::new("/nonexistent");
    let process = Owner::Process(ProcKey::of_boot(Pid(7), Nanos(70_000_000)));
    let group = Owner::CgroupId(crate::usage::CgroupId(99));
    let mut tell = |family, part: fn(&Sum) -> u64| {
        let mut told = Vec::new();
        let each = |owner: &Owner, sum: &Sum| told.push((owner.clone(), part(sum)));
        shared.tell(family, &host, &mut tables, each).unwrap();
        told
    };
    let of = |host, rest| vec![(Owner::Host, host), (group.clone(), rest), (process.clone(), rest)];
    assert_eq!(tell(Family::Scheduler, |sum| sum.delay), of(110, 10));
    assert_eq!(tell(Family::OffCpu, |sum| sum.off[0]), of(5, 5));
    assert_eq!(tell(Family::Locks, |sum| sum.futexes[2]), of(3, 3));
    // The next round has nothing more.
    assert_eq!(tell(Family::Scheduler, |sum| sum.delay), vec![(Owner::Host, 0)]);
}
