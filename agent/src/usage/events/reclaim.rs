//! Stalls for want of memory, who was killed for it, and faults of the hardware.

use std::sync::Arc;

use agent_common::drops::{FAULTS, MACHINE_CHECK, MEMORY_ERROR};
use agent_common::reclaim::{Row, STALLS, Victim};
use agent_common::usage::OwnerKey;

use super::ledger::{Counts, Ledger, counts};
use super::{Part, add, add_spread, label, owner, text};
use crate::metric::instrument::events as instrument;
use crate::metric::key;
use crate::metric::snapshot::Value;
use crate::usage::{Labels, Owner, Reason, Sink, Table, Tables};

impl Counts for Row {
    fn merge(&mut self, other: &Self) {
        for (held, more) in self.stalls.iter_mut().zip(&other.stalls) {
            held.merge(more);
        }
    }

    fn since(&self, before: &Self) -> Self {
        let mut since = *self;
        for (now, then) in since.stalls.iter_mut().zip(&before.stalls) {
            *now = now.since(then);
        }
        since
    }
}

counts!(Victim { kills } spreads {});

impl Counts for u64 {
    fn merge(&mut self, other: &Self) {
        *self = self.wrapping_add(*other);
    }

    fn since(&self, before: &Self) -> Self {
        self.wrapping_sub(*before)
    }
}

/// Severities as the kernel numbers them.
const SEVERITIES: [&str; (FAULTS - MEMORY_ERROR) as usize] =
    ["corrected", "uncorrected", "deferred", "fatal", "information", "{other}", "{other}"];

/// Reads the tables `RECLAIM`, `VICTIMS`, theirs of others, and `HARDWARE`.
#[derive(Debug)]
pub struct Reclaim {
    stalls: Ledger<OwnerKey, Row>,
    other: Ledger<u32, Row>,
    victims: Ledger<OwnerKey, Victim>,
    other_victims: Ledger<u32, Victim>,
    faults: Ledger<u32, u64>,
    kinds: [Labels; STALLS],
}

impl Default for Reclaim {
    fn default() -> Self {
        Self {
            stalls: Ledger::on_demand(Table("RECLAIM")),
            other: Ledger::fixed(Table("RECLAIM_OTHER")),
            victims: Ledger::on_demand(Table("VICTIMS")),
            other_victims: Ledger::fixed(Table("VICTIMS_OTHER")),
            faults: Ledger::fixed(Table("HARDWARE")),
            kinds: ["direct", "cgroup", "compaction"]
                .map(|kind| label(key::STETH_RECLAIM_KIND, Value::Static(kind))),
        }
    }
}

fn put(into: &mut Sink, owner: &Owner, kinds: &[Labels; STALLS], came: &Row) {
    for (labels, spread) in kinds.iter().zip(&came.stalls) {
        add_spread(into, owner, &instrument::STETH_RECLAIM_STALL_DURATION, labels, spread);
    }
}

/// Who it was and where, as far as the kernel told.
fn victim(row: &Victim) -> Labels {
    let named = |bytes: &[u8]| match text(bytes) {
        name if name.is_empty() => None,
        name => Some(Value::Text(Arc::from(name))),
    };
    let both =
        [(key::STETH_CGROUP_NAME, named(&row.name)), (key::STETH_OOM_VICTIM, named(&row.comm))];
    both.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

fn fault(into: &mut Sink, index: u32, came: u64) {
    if index == MACHINE_CHECK {
        add(into, &Owner::Host, &instrument::STETH_SYSTEM_MACHINE_CHECKS, &Labels::from([]), came);
    } else if let Some(name) = SEVERITIES.get((index - MEMORY_ERROR) as usize) {
        let labels = label(key::STETH_SEVERITY, Value::Static(name));
        add(into, &Owner::Host, &instrument::STETH_SYSTEM_MEMORY_ERRORS, &labels, came);
    }
}

impl Part for Reclaim {
    const NAME: &'static str = "stalls for want of memory";

    fn collect(&mut self, tables: &mut dyn Tables, into: &mut Sink) -> Result<(), Reason> {
        let Self { stalls, other, victims, other_victims, faults, kinds } = self;
        let read = stalls
            .round(tables, |key, came, _| put(into, &owner(key), kinds, came))
            .and_then(|()| other.round(tables, |_, came, _| put(into, &Owner::Host, kinds, came)));
        let killed = &instrument::STETH_OOM_KILLS;
        let named = victims
            .round(tables, |key, came, row| {
                add(into, &owner(key), killed, &victim(row), came.kills);
            })
            .and_then(|()| {
                other_victims.round(tables, |_, came, _| {
                    add(into, &Owner::Host, killed, &Labels::from([]), came.kills);
                })
            });
        if let Err(reason) = named {
            into.lacks("who is killed for want of memory", reason);
        }
        if let Err(reason) = faults.round(tables, |index, came, _| fault(into, *index, *came)) {
            into.lacks("faults of the hardware", reason);
        }
        read
    }
}
