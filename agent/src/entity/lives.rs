//! Processes by id and over time: a life is one program in one process.
//!
//! ```text
//! fork  -> a life with the parent's program      exec -> the life ends, another begins
//! exit  -> the life ends                         grace after its end -> it is freed
//! ```
//!
//! An id that is used again is another life, and what is late is still given to the one it belongs to.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::EntityId;
use super::name::Named;
use crate::event::{Nanos, Pid, Timestamp};
use crate::host::{Cgroup, Ticks};

/// Lives of one id that are kept: a chain of programs in one process is short.
const CHAIN: usize = 8;

/// A program as it was started.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// What it is called by itself.
    pub(super) named: Named,
    /// The executable's path.
    pub(super) path: Option<String>,
    /// The command line joined by blanks, if a rule may ask for it.
    pub(super) command: String,
    /// `OTEL_*` variables.
    pub(super) env: Vec<u8>,
    /// It keeps the goroutine that runs in a register.
    pub(super) goroutines: bool,
}

/// One program in one process.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// Unlike that of any other.
    pub(super) serial: u64,
    /// The process.
    pub(super) pid: Pid,
    /// Since when.
    pub(super) from: Timestamp,
    /// Until when, if it has ended.
    pub(super) ended: Option<Timestamp>,
    /// When the process was made, where that is known exactly.
    pub(super) started: Option<Ticks>,
    /// Its parent; 0 if it is not known.
    pub(super) parent: Pid,
    /// What it runs, if that is known.
    pub(super) program: Option<Arc<Program>>,
    /// Its control group, its own or what it had of its parent.
    pub(super) cgroup: Option<Arc<Cgroup>>,
    /// The control group was read of this process itself.
    pub(super) own_cgroup: bool,
    /// Whose it is, once somebody asked.
    pub(super) entity: Option<EntityId>,
    /// The filter leaves it out.
    pub(super) excluded: bool,
    /// It was made sure that a late question does not mean another process of the same id.
    pub(super) checked: bool,
}

/// All lives, bounded.
#[derive(Debug, Default)]
pub(super) struct Lives {
    by_pid: HashMap<Pid, Vec<Life>>,
    count: usize,
    limit: usize,
    serial: u64,
    /// In the order they began.
    begun: VecDeque<(Pid, u64)>,
    /// In the order they ended, with the tick that saw it.
    ended: VecDeque<(Timestamp, Pid, u64)>,
    /// Lives freed before their time, since asked.
    pub(super) evicted: u64,
}

impl Lives {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The life that `pid` led at `when`: the first known if it is earlier than that.
    pub(super) fn at(&mut self, pid: Pid, when: Timestamp) -> Option<&mut Life> {
        let lives = self.by_pid.get_mut(&pid)?;
        let at = lives.iter().rposition(|life| life.from <= when).unwrap_or(0);
        lives.get_mut(at)
    }

    /// The newest life of `pid`.
    pub(super) fn last(&mut self, pid: Pid) -> Option<&mut Life> {
        self.by_pid.get_mut(&pid)?.last_mut()
    }

    /// A life by its serial number.
    pub(super) fn get(&mut self, pid: Pid, serial: u64) -> Option<&mut Life> {
        self.by_pid.get_mut(&pid)?.iter_mut().find(|life| life.serial == serial)
    }

    /// The lives of a service instance.
    pub(super) fn of(&self, entity: EntityId) -> Vec<(Pid, u64)> {
        let all = self.by_pid.values().flatten();
        all.filter(|life| life.entity == Some(entity)).map(|life| (life.pid, life.serial)).collect()
    }

    /// Begins a life; what it displaces is given back. The one before it, if any, ends.
    pub(super) fn begin(&mut self, mut life: Life, now: Timestamp) -> (u64, Vec<Life>) {
        let (pid, from) = (life.pid, life.from);
        self.end(pid, from, now);
        let mut freed = Vec::new();
        while self.count >= self.limit
            && let Some(life) = self.oldest()
        {
            self.evicted += 1;
            freed.push(life);
        }
        self.serial += 1;
        let serial = self.serial;
        life.serial = serial;
        let lives = self.by_pid.entry(pid).or_default();
        if lives.len() >= CHAIN {
            freed.push(lives.remove(0));
            self.count -= 1;
        }
        lives.push(life);
        self.count += 1;
        self.begun.push_back((pid, serial));
        self.compact();
        (serial, freed)
    }

    /// Ends the newest life of `pid`.
    pub(super) fn end(&mut self, pid: Pid, when: Timestamp, now: Timestamp) {
        let Some(life) = self.by_pid.get_mut(&pid).and_then(|lives| lives.last_mut()) else {
            return;
        };
        if life.ended.is_none() {
            life.ended = Some(when);
            self.ended.push_back((now, pid, life.serial));
        }
    }

    /// Frees what ended `grace` ago.
    pub(super) fn expire(&mut self, now: Timestamp, grace: Nanos) -> Vec<Life> {
        let mut freed = Vec::new();
        while let Some(&(seen, pid, serial)) = self.ended.front()
            && now.since(seen) >= grace
        {
            self.ended.pop_front();
            freed.extend(self.take(pid, serial));
        }
        freed
    }

    /// At most `count` lives that go on, each in its turn over time.
    pub(super) fn sample(&mut self, count: usize) -> Vec<(Pid, u64, Option<Ticks>)> {
        let mut sample = Vec::new();
        for _ in 0..count.min(self.begun.len()) {
            let Some((pid, serial)) = self.begun.pop_front() else { break };
            if let Some(life) = self.get(pid, serial) {
                if life.ended.is_none() {
                    sample.push((pid, serial, life.started));
                }
                self.begun.push_back((pid, serial));
            }
        }
        sample
    }

    fn oldest(&mut self) -> Option<Life> {
        while let Some((_, pid, serial)) = self.ended.pop_front() {
            if let Some(life) = self.take(pid, serial) {
                return Some(life);
            }
        }
        while let Some((pid, serial)) = self.begun.pop_front() {
            if let Some(life) = self.take(pid, serial) {
                return Some(life);
            }
        }
        None
    }

    fn take(&mut self, pid: Pid, serial: u64) -> Option<Life> {
        let lives = self.by_pid.get_mut(&pid)?;
        let at = lives.iter().position(|life| life.serial == serial)?;
        let life = lives.remove(at);
        self.count -= 1;
        if lives.is_empty() {
            self.by_pid.remove(&pid);
        }
        Some(life)
    }

    /// The queues hold what is freed already, for a while: never more of it than of the rest.
    fn compact(&mut self) {
        let most = self.count * 2 + 1024;
        let Self { by_pid, begun, ended, .. } = self;
        let lives = |pid: Pid, serial: u64| {
            by_pid.get(&pid).is_some_and(|lives| lives.iter().any(|life| life.serial == serial))
        };
        if begun.len() > most {
            begun.retain(|(pid, serial)| lives(*pid, *serial));
            begun.shrink_to(most);
        }
        if ended.len() > most {
            ended.retain(|(_, pid, serial)| lives(*pid, *serial));
            ended.shrink_to(most);
        }
    }

    /// Places taken in all, for the test that memory stays flat.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.by_pid.len() + self.begun.len() + self.ended.len()
    }
}
