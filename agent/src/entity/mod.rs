//! Who a process is: interned service instances, bound to labels at export.

use crate::event::{Pid, Timestamp};

/// A service instance, interned. Copy it freely; ask the registry what it stands for at export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityId(pub u32);

/// What the pipeline needs to know of a process while it counts.
pub trait Entities {
    /// The service instance that `pid` belonged to at `when`.
    fn of(&mut self, pid: Pid, when: Timestamp) -> EntityId;
}

pub mod name;
