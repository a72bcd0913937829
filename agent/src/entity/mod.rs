//! Who a process is: interned service instances, bound to labels at export.
//!
//! Kernel records and facts of the host go in, an [`EntityId`] comes out. What it stands for is
//! asked for at export, so that what is learned late still counts.

pub mod attributes;
pub mod filter;
pub mod glob;
pub mod instance;
pub mod name;
pub mod registry;
pub mod rule;

mod lives;

use std::sync::Arc;

pub use filter::Filter;
pub use registry::{Change, Config, Counts, Registry};
pub use rule::Rule;

use crate::event::{Exec, Pid, Timestamp};
use crate::metric::snapshot::Resource;
use agent_common::record;

/// A service instance, interned; never used again. Copy it freely; ask the registry what it stands
/// for at export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityId(pub u32);

/// What the pipeline needs to know of a process while it counts.
pub trait Entities {
    /// A program began.
    fn exec(&mut self, exec: &Exec<'_>);

    /// A process was made.
    fn fork(&mut self, fork: &record::Fork);

    /// A process ended.
    fn exit(&mut self, exit: &record::Exit);

    /// The service instance that `pid` belonged to at `when`.
    fn of(&mut self, pid: Pid, when: Timestamp) -> EntityId;

    /// Whether the filter lets `pid`, as it was at `when`, be observed.
    fn watched(&mut self, pid: Pid, when: Timestamp) -> bool;

    /// What an instance stands for, as far as is known by now.
    fn resource(&self, entity: EntityId) -> Arc<Resource>;
}
