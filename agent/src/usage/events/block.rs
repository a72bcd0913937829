//! Requests to block devices: latency by device and operation, and what failed.

use std::collections::HashMap;
use std::sync::Arc;

use agent_common::block::{Key, Operation, Row};

use super::ledger::{Counts, Ledger};
use super::{Part, add, add_spread, text};
use crate::metric::instrument::events as instrument;
use crate::metric::key;
use crate::metric::snapshot::Value;
use crate::usage::{Labels, Owner, Reason, Sink, Table, Tables};

impl Counts for Row {
    fn merge(&mut self, other: &Self) {
        // Only the processor that made a row wrote the name into its own.
        if text(&self.name).is_empty() {
            self.name = other.name;
        }
        self.operations = self.operations.wrapping_add(other.operations);
        self.bytes = self.bytes.wrapping_add(other.bytes);
        self.failed = self.failed.wrapping_add(other.failed);
        self.untimed = self.untimed.wrapping_add(other.untimed);
        self.queue.merge(&other.queue);
        self.device.merge(&other.device);
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            operations: self.operations.wrapping_sub(before.operations),
            bytes: self.bytes.wrapping_sub(before.bytes),
            failed: self.failed.wrapping_sub(before.failed),
            untimed: self.untimed.wrapping_sub(before.untimed),
            name: self.name,
            queue: self.queue.since(&before.queue),
            device: self.device.since(&before.device),
        }
    }
}

/// Reads the tables `BLOCK` and `BLOCK_OTHER`.
#[derive(Debug)]
pub struct Block {
    devices: Ledger<Key, Row>,
    other: Ledger<u32, Row>,
    labels: HashMap<Key, Labels>,
}

impl Default for Block {
    fn default() -> Self {
        Self {
            devices: Ledger::on_demand(Table("BLOCK")),
            other: Ledger::fixed(Table("BLOCK_OTHER")),
            labels: HashMap::new(),
        }
    }
}

fn name(operation: u32) -> &'static str {
    match Operation::ALL.get(operation as usize) {
        Some(Operation::Read) => "read",
        Some(Operation::Write) => "write",
        Some(Operation::Flush) => "flush",
        Some(Operation::Discard) => "discard",
        None => "{other}",
    }
}

fn labels(operation: u32, device: Value) -> Labels {
    Labels::from([
        (key::STETH_DISK_OPERATION, Value::Static(name(operation))),
        (key::SYSTEM_DEVICE, device),
    ])
}

fn put(into: &mut Sink, labels: &Labels, came: &Row) {
    let host = &Owner::Host;
    add(into, host, &instrument::STETH_SYSTEM_DISK_REQUESTS, labels, came.operations);
    add(into, host, &instrument::STETH_SYSTEM_DISK_REQUEST_IO, labels, came.bytes);
    add(into, host, &instrument::STETH_SYSTEM_DISK_REQUEST_FAILURES, labels, came.failed);
    add(into, host, &instrument::STETH_SYSTEM_DISK_REQUEST_UNTIMED, labels, came.untimed);
    let queue = &instrument::STETH_SYSTEM_DISK_REQUEST_QUEUE_DURATION;
    add_spread(into, host, queue, labels, &came.queue);
    let device = &instrument::STETH_SYSTEM_DISK_REQUEST_DEVICE_DURATION;
    add_spread(into, host, device, labels, &came.device);
}

impl Part for Block {
    const NAME: &'static str = "latency of requests";

    fn collect(&mut self, tables: &mut dyn Tables, into: &mut Sink) -> Result<(), Reason> {
        let Self { devices, other, labels } = self;
        devices.round(tables, |key, came, row| {
            let labels = labels.entry(*key).or_insert_with(|| {
                let name = text(&row.name);
                let name =
                    if name.is_empty() { format!("{}:{}", key.major, key.minor) } else { name };
                self::labels(key.operation, Value::Text(Arc::from(name)))
            });
            put(into, labels, came);
        })?;
        labels.retain(|key, _| devices.has(key));
        other.round(tables, |operation, came, _| {
            put(into, &self::labels(*operation, Value::Static("{other}")), came);
        })
    }
}
