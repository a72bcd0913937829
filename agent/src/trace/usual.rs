//! How long the exchanges of a route usually take, as it was some seconds ago: to ask costs more than to
//! remember.

use std::collections::HashMap;

use super::Counts;
use crate::entity::EntityId;
use crate::event::{Nanos, Timestamp};
use crate::protocol::Role;
use crate::red::ByNumber;
use crate::red::route::RouteId;

/// For how long a route's usual duration is taken as it is.
const LASTS: Nanos = Nanos(10_000_000_000);
/// Routes whose usual duration is remembered.
const ROUTES: usize = 8192;

/// The usual durations.
#[derive(Debug, Default)]
pub(super) struct Usual {
    known: HashMap<u64, (Timestamp, Option<Nanos>), ByNumber>,
}

impl Usual {
    pub(super) fn of(
        &mut self,
        (entity, role, route): (EntityId, Role, RouteId),
        now: Timestamp,
        counts: &dyn Counts,
    ) -> Option<Nanos> {
        let side = u64::from(role == Role::Client);
        let key = u64::from(entity.0) << 32 | u64::from(route.number()) << 1 | side;
        if let Some((due, usual)) = self.known.get(&key)
            && *due > now
        {
            return *usual;
        }
        if self.known.len() >= ROUTES {
            self.known.clear();
        }
        let usual = counts.usual(entity, role, route);
        self.known.insert(key, (Timestamp(now.0.saturating_add(LASTS.0)), usual));
        usual
    }

    /// Nothing is remembered.
    #[cfg(test)]
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }
}
