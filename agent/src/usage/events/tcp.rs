//! TCP by process: bytes, retransmits, resets, round trips, accept queues.

use std::collections::{BTreeMap, HashMap};

use agent_common::tcp::{Listener, Row};
use agent_common::usage::OwnerKey;
use zerocopy::FromBytes;

use super::ledger::{Ledger, counts};
use super::{Part, add, add_spread, label, owner};
use crate::metric::instrument::events as instrument;
use crate::metric::key;
use crate::metric::snapshot::Value;
use crate::usage::{Amount, Labels, Owner, Reason, Sink, Table, Tables};

counts!(
    Row { sent, received, retransmits, synack_retransmits, resets_sent, resets_received }
    spreads { round_trip, accept }
);

/// Listening sockets at most, by owner and port; those beyond are not told.
const LISTENERS: usize = 1024;

/// A listening socket as the last round found it.
#[derive(Debug)]
struct Known {
    drops: u32,
    round: u32,
}

/// Reads the tables `TCP` and `TCP_OTHER`, and the listeners of a sweep.
#[derive(Debug)]
pub struct Tcp {
    owners: Ledger<OwnerKey, Row>,
    other: Ledger<u32, Row>,
    listeners: HashMap<u64, Known>,
    round: u32,
    fixed: Fixed,
}

#[derive(Debug)]
struct Fixed {
    none: Labels,
    transmit: Labels,
    receive: Labels,
    data: Labels,
    synack: Labels,
}

impl Default for Tcp {
    fn default() -> Self {
        let one = |key, text| label(key, Value::Static(text));
        Self {
            owners: Ledger::on_demand(Table("TCP")),
            other: Ledger::fixed(Table("TCP_OTHER")),
            listeners: HashMap::new(),
            round: 0,
            fixed: Fixed {
                none: Labels::from([]),
                transmit: one(key::NETWORK_IO_DIRECTION, "transmit"),
                receive: one(key::NETWORK_IO_DIRECTION, "receive"),
                data: one(key::STETH_TCP_SEGMENT, "data"),
                synack: one(key::STETH_TCP_SEGMENT, "synack"),
            },
        }
    }
}

impl Fixed {
    fn put(&self, into: &mut Sink, owner: &Owner, came: &Row) {
        let Self { none, transmit, receive, data, synack } = self;
        if *owner != Owner::Host {
            add(into, owner, &instrument::PROCESS_NETWORK_IO, transmit, came.sent);
            add(into, owner, &instrument::PROCESS_NETWORK_IO, receive, came.received);
        }
        let again = &instrument::STETH_TCP_RETRANSMITS;
        add(into, owner, again, data, came.retransmits);
        add(into, owner, again, synack, came.synack_retransmits);
        add(into, owner, &instrument::STETH_TCP_RESETS, transmit, came.resets_sent);
        add(into, owner, &instrument::STETH_TCP_RESETS, receive, came.resets_received);
        let round_trip = &instrument::STETH_TCP_ROUND_TRIP_DURATION;
        add_spread(into, owner, round_trip, none, &came.round_trip);
        add_spread(into, owner, &instrument::STETH_TCP_ACCEPT_DURATION, none, &came.accept);
    }
}

/// Listeners of one owner on one port, added up.
#[derive(Clone, Copy, Debug, Default)]
struct Queue {
    depth: u64,
    limit: u64,
    drops: u64,
}

impl Tcp {
    /// Sweeps all sockets, which also brings the tables up to date.
    fn sweep(&mut self, tables: &mut dyn Tables, into: &mut Sink) -> Result<(), Reason> {
        let Self { listeners, round, .. } = self;
        *round += 1;
        let mut queues: BTreeMap<(u32, u64, u32), (OwnerKey, Queue)> = BTreeMap::new();
        tables.rows(Table("TCP_LISTENERS"), &mut |_, row| {
            let Ok(row) = Listener::read_from_bytes(row) else { return };
            let place = (row.owner.tgid, row.owner.started, row.port);
            if !queues.contains_key(&place) && queues.len() >= LISTENERS {
                return;
            }
            // Of a socket older than the agent only what comes from now on counts.
            let before =
                listeners.get(&row.sock).map_or(if *round == 1 { row.drops } else { 0 }, |known| {
                    if known.drops <= row.drops { known.drops } else { 0 }
                });
            listeners.insert(row.sock, Known { drops: row.drops, round: *round });
            let (_, queue) = queues.entry(place).or_insert((row.owner, Queue::default()));
            queue.depth += u64::from(row.depth);
            queue.limit += u64::from(row.limit);
            queue.drops += u64::from(row.drops - before);
        })?;
        listeners.retain(|_, known| known.round == *round);
        for ((.., port), (key, queue)) in queues {
            let owner = owner(&key);
            let labels = label(key::SERVER_PORT, Value::Int(i64::from(port)));
            let usage = &instrument::STETH_TCP_ACCEPT_QUEUE_USAGE;
            into.put(&owner, usage, &labels, Amount::now(queue.depth));
            let limit = &instrument::STETH_TCP_ACCEPT_QUEUE_LIMIT;
            into.put(&owner, limit, &labels, Amount::now(queue.limit));
            let drops = &instrument::STETH_TCP_ACCEPT_QUEUE_DROPS;
            into.put(&owner, drops, &labels, Amount::add(queue.drops));
        }
        Ok(())
    }
}

impl Part for Tcp {
    const NAME: &'static str = "TCP by process";

    fn collect(&mut self, tables: &mut dyn Tables, into: &mut Sink) -> Result<(), Reason> {
        if let Err(reason) = self.sweep(tables, into) {
            into.lacks("accept queues", reason);
        }
        let Self { owners, other, fixed, .. } = self;
        owners.round(tables, |key, came, _| fixed.put(into, &owner(key), came))?;
        other.round(tables, |_, came, _| fixed.put(into, &Owner::Host, came))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;
    use crate::metric::snapshot::Number;

    fn listener(tgid: u32, sock: u64, port: u32, depth: u32, drops: u32) -> Listener {
        let owner = OwnerKey { tgid, reserved: 0, started: 7 };
        Listener { owner, sock, depth, limit: 4, drops, port }
    }

    /// Drops by owner and port of a round.
    fn drops(tcp: &mut Tcp, tables: &mut Fake, rows: &[Listener]) -> Vec<(u64, i64)> {
        tables.set("TCP_LISTENERS", &rows.iter().map(|row| (0u8, *row)).collect::<Vec<_>>());
        let mut sink = Sink::default();
        tcp.collect(tables, &mut sink).unwrap();
        let of = |name: &'static str| {
            let found = sink.samples().iter().filter(move |s| s.instrument.name == name);
            found.map(|s| match s.amount {
                Amount::Now(Number::Int(n)) | Amount::Add(Number::Int(n)) => n,
                _ => panic!("{s:?}"),
            })
        };
        let depth = of("steth.tcp.accept_queue.usage").map(i64::cast_unsigned);
        depth.zip(of("steth.tcp.accept_queue.drops")).collect()
    }

    #[test]
    fn listeners_of_one_owner_and_port_are_one_queue() {
        let (mut tcp, mut tables) = (Tcp::default(), Fake::default());
        // Drops before the first round are not ours.
        let first = [listener(1, 10, 80, 2, 5), listener(1, 11, 80, 1, 0)];
        assert_eq!(drops(&mut tcp, &mut tables, &first), [(3, 0)]);
        let second =
            [listener(1, 10, 80, 0, 8), listener(1, 11, 80, 0, 1), listener(2, 12, 80, 5, 2)];
        assert_eq!(drops(&mut tcp, &mut tables, &second), [(0, 4), (5, 2)]);
        // An address that is used again begins anew.
        let third = [listener(1, 10, 80, 0, 1)];
        assert_eq!(drops(&mut tcp, &mut tables, &third), [(0, 1)]);
    }
}
