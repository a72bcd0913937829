//! Packets dropped, by the kernel's own reasons.

use std::sync::Arc;

use super::ledger::Ledger;
use super::{Part, add, label};
use crate::metric::instrument::events as instrument;
use crate::metric::key;
use crate::metric::snapshot::Value;
use crate::usage::{Labels, Owner, Reason, Sink, Table, Tables};

/// Reads the table `DROPS`, and once `DROP_REASONS`.
#[derive(Debug)]
pub struct Drops {
    packets: Ledger<u32, u64>,
    reasons: Vec<Labels>,
    other: Labels,
}

impl Default for Drops {
    fn default() -> Self {
        Self {
            packets: Ledger::fixed(Table("DROPS")),
            reasons: Vec::new(),
            other: label(key::STETH_REASON, Value::Static("{other}")),
        }
    }
}

impl Part for Drops {
    const NAME: &'static str = "reasons of dropped packets";

    fn collect(&mut self, tables: &mut dyn Tables, into: &mut Sink) -> Result<(), Reason> {
        let Self { packets, reasons, other } = self;
        if reasons.is_empty() {
            tables.rows(Table("DROP_REASONS"), &mut |_, name| {
                let name = String::from_utf8_lossy(name);
                reasons.push(match &*name {
                    "" => Arc::clone(other),
                    name => label(key::STETH_REASON, Value::Text(Arc::from(name))),
                });
            })?;
        }
        packets.round(tables, |reason, came, _| {
            let labels = reasons.get(*reason as usize).unwrap_or(other);
            let dropped = &instrument::STETH_SYSTEM_NETWORK_PACKET_DROPS;
            add(into, &Owner::Host, dropped, labels, *came);
        })
    }
}
