//! How many spans may be kept in a second, of one service and of all.
//!
//! What is wanted in one second sets the thresholds of the next: where more is wanted than the budget
//! allows, thresholds are raised until what they keep fits in, and every span that is kept stands for
//! more. A burst has no second before it: of it the budget itself leaves what is too much, and only
//! that much is told by counts alone.

use std::collections::HashMap;

use super::{Judged, Left, Threshold, Why};
use crate::entity::EntityId;
use crate::event::Timestamp;

const SECOND: u64 = 1_000_000_000;
/// The share of a budget that raised thresholds aim at: chance is to stay below all of it.
const AIM: f64 = 0.8;
/// The share of a budget that is the rest's, however much is kept for its worth.
const REST: f64 = 0.25;

/// Spans kept in the second that is.
#[derive(Debug)]
pub struct Budget {
    per_service: u32,
    total: u32,
    second: u64,
    all: Account,
    by_service: HashMap<EntityId, Account>,
}

/// What one budget was asked for.
#[derive(Clone, Copy, Debug)]
struct Account {
    spent: u32,
    /// Spans wanted in this second: for their worth, and of the share.
    wanted: [f64; 2],
    /// The same of the seconds before; half of it is forgotten in each.
    before: [f64; 2],
    /// What of them is to be kept.
    kept: [f64; 2],
}

impl Default for Account {
    fn default() -> Self {
        Self { spent: 0, wanted: [0.0; 2], before: [0.0; 2], kept: [1.0; 2] }
    }
}

impl Account {
    /// So many seconds have gone by.
    fn pass(&mut self, seconds: u64, budget: u32) {
        let halves = f64::from(u32::try_from(seconds).unwrap_or(u32::MAX)).min(64.0);
        for (before, wanted) in self.before.iter_mut().zip(&mut self.wanted) {
            let recent = if seconds == 1 { *wanted } else { 0.0 };
            *before = recent.max(*before / halves.exp2());
            *wanted = 0.0;
        }
        self.spent = 0;
        let budget = f64::from(budget) * AIM;
        let [worth, rest] = self.before;
        let for_worth = worth.min(budget - rest.min(budget * REST));
        let for_rest = rest.min(budget - for_worth);
        let share = |kept: f64, of: f64| if kept < of { kept / of } else { 1.0 };
        self.kept = [share(for_worth, worth), share(for_rest, rest)];
    }

    fn is_idle(&self) -> bool {
        self.before.iter().all(|wanted| *wanted < 1.0)
    }

    /// The threshold of what would be kept by `threshold` if there were no budget.
    fn raised(&self, threshold: Threshold, class: usize) -> Threshold {
        match self.kept.get(class) {
            Some(kept) if *kept < 1.0 => Threshold::of_share(threshold.share() * kept),
            _ => threshold,
        }
    }

    fn want(&mut self, class: usize, spans: f64) {
        if let Some(wanted) = self.wanted.get_mut(class) {
            *wanted += spans;
        }
    }
}

impl Budget {
    /// So many a second.
    pub fn new(per_service: u32, total: u32) -> Self {
        let (all, by_service) = (Account::default(), HashMap::new());
        Self { per_service, total, second: 0, all, by_service }
    }

    /// The chance of a tree of one service that would be kept by `base`, or for its worth without one, if it
    /// has a chance at all; without looking at what else belongs to it.
    pub fn chance(
        &mut self,
        now: Timestamp,
        service: EntityId,
        base: Option<Threshold>,
        number: u64,
    ) -> Result<f64, Left> {
        self.pass(now);
        let class = usize::from(base.is_some());
        let base = base.unwrap_or(Threshold::ALL);
        let account = self.by_service.get(&service);
        let of = |account: &Account| account.kept.get(class).copied().unwrap_or(1.0);
        let (own, all) = (account.map_or(1.0, of), of(&self.all));
        let chance = own.min(all);
        if chance >= 1.0 || Threshold::of_share(base.share() * chance).keeps(number) {
            return Ok(chance.min(1.0));
        }
        Err(if all < own { Left::TotalBudget } else { Left::ServiceBudget })
    }

    /// Takes a place for each of a tree's spans, or for none of them. Gives the threshold that they
    /// were kept by in the end. Trees that had no [`Budget::chance`] were wanted as well: this one is
    /// for all of them.
    pub fn take(
        &mut self,
        now: Timestamp,
        judged: &Judged,
        services: impl Iterator<Item = EntityId> + Clone,
        chance: f64,
    ) -> Result<Option<Threshold>, Left> {
        self.pass(now);
        let class = usize::from(judged.why == Why::Ratio);
        let base = judged.threshold.unwrap_or(Threshold::ALL);
        let mut threshold = (base, Left::ServiceBudget);
        let mut spans = 0;
        let weight = 1.0 / chance.max(f64::MIN_POSITIVE);
        for service in services.clone() {
            let account = self.by_service.entry(service).or_default();
            account.want(class, weight);
            threshold.0 = threshold.0.max(account.raised(base, class));
            spans += 1;
        }
        self.all.want(class, f64::from(spans) * weight);
        let raised = self.all.raised(base, class);
        if raised > threshold.0 {
            threshold = (raised, Left::TotalBudget);
        }
        let (threshold, left) = threshold;
        if threshold > base && !threshold.keeps(judged.randomness) {
            return Err(left);
        }
        if self.all.spent.saturating_add(spans) > self.total {
            return Err(Left::TotalBudget);
        }
        for (taken, service) in services.clone().enumerate() {
            let account = self.by_service.entry(service).or_default();
            if account.spent >= self.per_service {
                for service in services.take(taken) {
                    if let Some(account) = self.by_service.get_mut(&service) {
                        account.spent = account.spent.saturating_sub(1);
                    }
                }
                return Err(Left::ServiceBudget);
            }
            account.spent += 1;
        }
        self.all.spent += spans;
        Ok(judged.threshold.map(|_| threshold))
    }

    /// Services that anything is remembered of.
    pub fn services(&self) -> usize {
        self.by_service.len()
    }

    fn pass(&mut self, now: Timestamp) {
        let second = now.0 / SECOND;
        // Time may seem to stand still, and never goes back.
        let seconds = second.saturating_sub(self.second);
        if seconds == 0 {
            return;
        }
        self.second = second;
        self.all.pass(seconds, self.total);
        self.by_service.retain(|_, account| {
            account.pass(seconds, self.per_service);
            !account.is_idle()
        });
    }
}
