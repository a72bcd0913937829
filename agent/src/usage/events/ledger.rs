//! Rows of a table as they stood, to tell what came since.

use std::collections::HashMap;
use std::hash::Hash;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::super::{Reason, Table, Tables};

/// Rounds without a change after which a row is given back. What is added to it in the instant between
/// the last look and that is lost.
const STILL: u32 = 12;

/// A row that only grows.
pub(super) trait Counts: FromBytes + Copy + PartialEq {
    /// Takes in what another processor counted.
    fn merge(&mut self, other: &Self);
    /// What came since `before`.
    fn since(&self, before: &Self) -> Self;
}

#[derive(Debug)]
struct Held<R> {
    // Rows are large: a table of them in place doubles by megabytes.
    row: Box<R>,
    round: u32,
    changed: u32,
}

/// The rows of one table.
#[derive(Debug)]
pub(super) struct Ledger<K, R> {
    table: Table,
    held: HashMap<K, Held<R>>,
    round: u32,
    gives_back: bool,
}

impl<K, R> Ledger<K, R>
where
    K: FromBytes + IntoBytes + Immutable + Copy + Eq + Hash,
    R: Counts,
{
    /// Of a table whose rows are made on demand, and given back when nothing comes any more.
    pub(super) fn on_demand(table: Table) -> Self {
        Self { table, held: HashMap::new(), round: 0, gives_back: true }
    }

    /// Of a table whose rows are always there.
    pub(super) fn fixed(table: Table) -> Self {
        Self { gives_back: false, ..Self::on_demand(table) }
    }

    /// Hands over what came since the last round, by row: the key, what came, and the row as it is.
    pub(super) fn round(
        &mut self,
        tables: &mut dyn Tables,
        mut each: impl FnMut(&K, &R, &R),
    ) -> Result<(), Reason> {
        let mut now: HashMap<K, Box<R>> = HashMap::new();
        tables.rows(self.table, &mut |key, value| {
            let (Ok(key), Ok(row)) = (K::read_from_bytes(key), R::read_from_bytes(value)) else {
                return;
            };
            now.entry(key).and_modify(|sum| sum.merge(&row)).or_insert_with(|| Box::new(row));
        })?;
        self.round += 1;
        let Self { held, round, .. } = self;
        for (key, row) in now {
            let before = held.get_mut(&key);
            match before {
                Some(held) if held.row == row => held.round = *round,
                Some(held) => {
                    each(&key, &row.since(&held.row), &row);
                    *held = Held { row, round: *round, changed: *round };
                }
                None => {
                    each(&key, &row, &row);
                    held.insert(key, Held { row, round: *round, changed: *round });
                }
            }
        }
        self.held.retain(|_, held| held.round == self.round);
        if self.gives_back {
            self.give_back(tables);
        }
        Ok(())
    }

    /// Whether a row is held.
    pub(super) fn has(&self, key: &K) -> bool {
        self.held.contains_key(key)
    }

    fn give_back(&mut self, tables: &mut dyn Tables) {
        let Self { table, held, round, .. } = self;
        held.retain(|key, held| {
            held.changed + STILL > *round || tables.remove(*table, key.as_bytes()).is_err()
        });
    }
}

/// `now - before` and `+`, field by field, of rows of counters.
macro_rules! counts {
    ($row:ty { $($number:ident),* } spreads { $($spread:ident),* }) => {
        impl super::ledger::Counts for $row {
            fn merge(&mut self, other: &Self) {
                $(self.$number = self.$number.wrapping_add(other.$number);)*
                $(self.$spread.merge(&other.$spread);)*
            }

            fn since(&self, before: &Self) -> Self {
                let mut since = *self;
                $(since.$number = self.$number.wrapping_sub(before.$number);)*
                $(since.$spread = self.$spread.since(&before.$spread);)*
                since
            }
        }
    };
}

pub(super) use counts;

#[cfg(test)]
mod tests {
    use agent_common::tcp::Row;
    use agent_common::usage::OwnerKey;

    use super::super::fake::Fake;
    use super::*;

    fn round(ledger: &mut Ledger<OwnerKey, Row>, tables: &mut Fake) -> Vec<(u32, u64)> {
        let mut told = Vec::new();
        ledger.round(tables, |key, came, _| told.push((key.tgid, came.sent))).unwrap();
        told.sort_unstable();
        told
    }

    #[test]
    fn tells_what_came_since_the_last_round() {
        let key = |tgid| OwnerKey { tgid, ..OwnerKey::default() };
        let row = |sent| Row { sent, ..Row::default() };
        let mut ledger = Ledger::on_demand(Table("TCP"));
        let mut tables = Fake::default();
        let mut check = |rows: &[(u32, u64)], expect: &[(u32, u64)]| {
            let rows: Vec<_> = rows.iter().map(|(id, sent)| (key(*id), row(*sent))).collect();
            tables.set("TCP", &rows);
            assert_eq!(round(&mut ledger, &mut tables), expect);
        };
        check(&[(1, 5)], &[(1, 5)]);
        check(&[(1, 5), (2, 7)], &[(2, 7)]);
        // One row a processor.
        check(&[(1, 6), (1, 2), (2, 7)], &[(1, 3)]);
        // Begins anew after its row was gone.
        check(&[(2, 7)], &[]);
        check(&[(1, 4), (2, 7)], &[(1, 4)]);
        // Wraps.
        check(&[(1, u64::MAX)], &[(1, u64::MAX - 4)]);
        check(&[(1, 1)], &[(1, 2)]);
    }

    #[test]
    fn gives_back_rows_that_stand_still() {
        let key = OwnerKey { tgid: 1, ..OwnerKey::default() };
        let mut ledger = Ledger::on_demand(Table("TCP"));
        let mut tables = Fake::default();
        tables.set("TCP", &[(key, Row { sent: 1, ..Row::default() })]);
        for _ in 0..STILL {
            round(&mut ledger, &mut tables);
            assert_eq!(tables.removed, []);
        }
        round(&mut ledger, &mut tables);
        assert_eq!(tables.removed, [("TCP", key.as_bytes().to_vec())]);
    }

    #[test]
    fn rows_of_another_size_are_left_out() {
        let mut ledger: Ledger<OwnerKey, Row> = Ledger::on_demand(Table("TCP"));
        let mut tables = Fake::default();
        tables.set("TCP", &[([0u8; 3], [1u8; 9]), ([0u8; 3], [1u8; 9])]);
        assert_eq!(round(&mut ledger, &mut tables), []);
    }
}
