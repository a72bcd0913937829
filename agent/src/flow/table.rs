//! The state of many connections within a budget: in number, and in bytes.
//!
//! When either is exceeded the connection that has been idle longest goes first, and whoever asked
//! for room is given its state to count what is lost with it.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use crate::event::{ConnId, Timestamp};

/// Mixes the numbers the kernel side gives its connections. They are counted up by the kernel, not
/// chosen by a peer, so nobody can aim for collisions.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnHasher(u64);

impl Hasher for ConnHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// A map by connection.
pub type ConnMap<V> = HashMap<ConnId, V, BuildHasherDefault<ConnHasher>>;

/// What a [`Table`] may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at most.
    pub connections: usize,
    /// Bytes at most, in all of them together.
    pub bytes: usize,
}

#[derive(Debug)]
struct Entry<S> {
    state: S,
    weight: usize,
    touched: Timestamp,
}

/// The state of many connections within a budget.
#[derive(Debug)]
pub struct Table<S> {
    entries: ConnMap<Entry<S>>,
    /// Candidates for eviction with the time they were put here; whoever moved since goes to the
    /// back instead. Ended connections leave a stale line that is dropped when its turn comes.
    order: VecDeque<(Timestamp, ConnId)>,
    bytes: usize,
    bounds: Bounds,
}

impl<S> Table<S> {
    /// An empty table.
    pub fn new(bounds: Bounds) -> Self {
        Self { entries: ConnMap::default(), order: VecDeque::new(), bytes: 0, bounds }
    }

    /// How many connections are held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes held, as far as they were told by [`Table::settle`].
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the connection is held.
    pub fn contains(&self, conn: ConnId) -> bool {
        !self.entries.is_empty() && self.entries.contains_key(&conn)
    }

    /// The connection's state.
    pub fn get_mut(&mut self, conn: ConnId) -> Option<&mut S> {
        if self.entries.is_empty() {
            return None;
        }
        self.entries.get_mut(&conn).map(|entry| &mut entry.state)
    }

    /// The connection's state, made if there is none.
    pub fn entry(&mut self, conn: ConnId, now: Timestamp, make: impl FnOnce() -> S) -> &mut S {
        let Self { entries, order, .. } = self;
        let entry = entries.entry(conn).or_insert_with(|| {
            order.push_back((now, conn));
            Entry { state: make(), weight: 0, touched: now }
        });
        &mut entry.state
    }

    /// Says that the connection moved and how many bytes it holds.
    pub fn settle(&mut self, conn: ConnId, now: Timestamp, weight: usize) {
        if let Some(entry) = self.entries.get_mut(&conn) {
            self.bytes = self.bytes - entry.weight + weight;
            entry.weight = weight;
            entry.touched = entry.touched.max(now);
        }
    }

    /// Ends a connection.
    pub fn remove(&mut self, conn: ConnId) -> Option<S> {
        let entry = self.entries.remove(&conn)?;
        self.bytes -= entry.weight;
        if self.order.len() > 64 + 2 * self.entries.len() {
            let entries = &self.entries;
            let mut seen = ConnMap::default();
            self.order
                .retain(|(_, conn)| entries.contains_key(conn) && seen.insert(*conn, ()).is_none());
        }
        Some(entry.state)
    }

    /// The connection idle longest, taken out, while the budget is exceeded.
    pub fn evict(&mut self) -> Option<(ConnId, S)> {
        if self.entries.len() <= self.bounds.connections && self.bytes <= self.bounds.bytes {
            return None;
        }
        while let Some((since, conn)) = self.order.pop_front() {
            let Some(entry) = self.entries.get(&conn) else { continue };
            if entry.touched > since {
                let touched = entry.touched;
                self.order.push_back((touched, conn));
            } else {
                return self.remove(conn).map(|state| (conn, state));
            }
        }
        None
    }

    /// All connections, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (ConnId, &S)> {
        self.entries.iter().map(|(conn, entry)| (*conn, &entry.state))
    }

    /// All connections that `pick` chooses, taken out.
    pub fn extract(&mut self, mut pick: impl FnMut(ConnId, &mut S) -> bool) -> Vec<(ConnId, S)> {
        let picked: Vec<ConnId> = self
            .entries
            .iter_mut()
            .filter_map(|(conn, entry)| pick(*conn, &mut entry.state).then_some(*conn))
            .collect();
        picked.into_iter().filter_map(|conn| Some((conn, self.remove(conn)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_idle_longest_goes_first() {
        let mut table = Table::new(Bounds { connections: 2, bytes: 100 });
        for (conn, time) in [(1, 10), (2, 20)] {
            table.entry(ConnId(conn), Timestamp(time), || conn);
            assert_eq!(table.evict(), None);
        }
        table.settle(ConnId(1), Timestamp(30), 10);
        table.entry(ConnId(3), Timestamp(40), || 3);
        assert_eq!(table.evict(), Some((ConnId(2), 2)));
        assert_eq!(table.evict(), None);
        table.settle(ConnId(3), Timestamp(50), 91);
        assert_eq!(table.evict(), Some((ConnId(1), 1)));
        assert_eq!((table.evict(), table.len(), table.bytes()), (None, 1, 91));
    }

    #[test]
    fn churn_leaves_nothing_behind() {
        let mut table = Table::new(Bounds { connections: 10, bytes: 1000 });
        for n in 0..10_000 {
            table.entry(ConnId(n), Timestamp(n), || ());
            table.settle(ConnId(n), Timestamp(n), 5);
            table.remove(ConnId(n));
        }
        assert_eq!((table.len(), table.bytes()), (0, 0));
        assert!(table.order.len() <= 66);
    }

    #[test]
    fn extracts_only_what_is_picked() {
        let mut table = Table::new(Bounds { connections: 10, bytes: 1000 });
        for n in 0..6 {
            table.entry(ConnId(n), Timestamp(n), || n);
        }
        let mut odd = table.extract(|conn, _| conn.0 % 2 == 1);
        odd.sort();
        assert_eq!(odd, [(ConnId(1), 1), (ConnId(3), 3), (ConnId(5), 5)]);
        assert_eq!(table.len(), 3);
    }
}
