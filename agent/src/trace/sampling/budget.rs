//! How many spans may be kept in a second, of one service and of all.

use std::collections::HashMap;

use super::Left;
use crate::entity::EntityId;
use crate::event::Timestamp;

const SECOND: u64 = 1_000_000_000;

/// Spans kept in the second that is.
#[derive(Debug)]
pub struct Budget {
    per_service: u32,
    total: u32,
    second: u64,
    spent: u32,
    by_service: HashMap<EntityId, u32>,
}

impl Budget {
    /// So many a second.
    pub fn new(per_service: u32, total: u32) -> Self {
        Self { per_service, total, second: 0, spent: 0, by_service: HashMap::new() }
    }

    /// Takes a place for each of these spans, or for none of them.
    pub fn take(
        &mut self,
        now: Timestamp,
        services: impl Iterator<Item = EntityId> + Clone,
    ) -> Result<(), Left> {
        let second = now.0 / SECOND;
        if second != self.second {
            self.second = second;
            self.spent = 0;
            self.by_service.clear();
        }
        let wanted = u32::try_from(services.clone().count()).unwrap_or(u32::MAX);
        if self.spent.saturating_add(wanted) > self.total {
            return Err(Left::TotalBudget);
        }
        for (taken, service) in services.clone().enumerate() {
            let spent = self.by_service.entry(service).or_default();
            if *spent >= self.per_service {
                for service in services.take(taken) {
                    if let Some(spent) = self.by_service.get_mut(&service) {
                        *spent = spent.saturating_sub(1);
                    }
                }
                return Err(Left::ServiceBudget);
            }
            *spent += 1;
        }
        self.spent += wanted;
        Ok(())
    }
}
