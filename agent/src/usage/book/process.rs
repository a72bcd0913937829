//! A process in the book.

use std::sync::Arc;

use super::Counters;
use super::series::Account;
use crate::entity::EntityId;
use crate::host::{Anchor, Ticks};
use crate::metric::instrument::{Instrument, process as instrument};
use crate::metric::snapshot::{Number, Resource, WallTime};
use crate::usage::owners::Owners;
use crate::usage::{Amount, ProcKey};

/// How heavy a process was in this round.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    /// Nanoseconds on a processor.
    pub(super) cpu: u64,
    /// Bytes held.
    pub(super) memory: u64,
}

/// One process.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "facts that hold or not, each by itself")]
pub(super) struct Process {
    pub(super) account: Account,
    /// When it was made.
    pub(super) began: WallTime,
    /// It was made after the round before the one that met it.
    pub(super) whole: bool,
    /// The round that read it last.
    pub(super) round: u32,
    /// Its service instance, once known.
    pub(super) entity: Option<EntityId>,
    /// It has series of its own.
    pub(super) own: bool,
    /// The kernel said that it has ended.
    pub(super) exited: bool,
    /// It has ended, and that is told at the next export.
    pub(super) ended: bool,
    pub(super) weight: Weight,
    pub(super) resource: Arc<Resource>,
    /// The instance's resource that its own was made from.
    pub(super) named: Option<Arc<Resource>>,
    /// It has memory, so it is no thread of the kernel's.
    has_memory: bool,
}

impl Process {
    pub(super) fn new(key: ProcKey, last: Option<Anchor>, now: &Anchor) -> Self {
        Self {
            account: Account::default(),
            began: now.wall_of_boot(key.started.since_boot()),
            whole: last.is_some_and(|last| key.started >= Ticks::of_boot(last.boot)),
            round: 0,
            entity: None,
            own: false,
            exited: false,
            ended: false,
            weight: Weight::default(),
            resource: Arc::default(),
            named: None,
            has_memory: false,
        }
    }

    /// What a sample says of the process's weight.
    pub(super) fn account_of(&mut self, instrument: &'static Instrument, amount: &Amount) {
        if let Amount::Now(Number::Int(bytes)) = amount
            && std::ptr::eq(instrument, &raw const instrument::PROCESS_MEMORY_USAGE)
        {
            self.weight.memory = u64::try_from(*bytes).unwrap_or(0);
            self.has_memory |= *bytes > 0;
        }
    }

    /// It runs a program: it is no thread of the kernel's.
    pub(super) fn is_program(&self) -> bool {
        self.has_memory
    }

    /// Asks whose it is. Who is not known yet, or not since it runs another program, is looked up if it
    /// is worth it and there is time.
    pub(super) fn bind(
        &mut self,
        key: ProcKey,
        now: &Anchor,
        lookups: &mut u32,
        owners: &mut dyn Owners,
    ) {
        if let Some(entity) = owners.known(key, now) {
            self.entity = Some(entity);
        } else if self.has_memory && *lookups > 0 {
            *lookups -= 1;
            self.entity = Some(owners.find(key, now));
        }
    }

    /// Gives it series of its own, if there is room.
    pub(super) fn become_own(
        &mut self,
        own: &mut usize,
        limit: usize,
        now: WallTime,
        counters: &mut Counters,
    ) {
        if *own >= limit {
            counters.crowded += 1;
            return;
        }
        *own += 1;
        self.own = true;
        self.account.told_elsewhere(now);
    }
}
