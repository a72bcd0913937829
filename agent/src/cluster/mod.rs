//! What is known of the pods and containers of this node, and what is told of them.
//!
//! Facts come from outside, each source when and if it can ([`News`]); the [`Store`] keeps what each of them said,
//! so that their order makes no difference. The [`Cluster`] gives out badges: what every resource of one container
//! or pod says of it, found out once and never changed, since a series that was told must stay the one it was.

mod badge;
mod fact;
mod far;
mod image;
mod name;
mod owner;
mod place;
mod sheet;
mod store;
#[cfg(test)]
mod tests;

pub use badge::{Cluster, Config, Counts, Whose};
pub(crate) use fact::some;
pub use fact::{
    Amounts, Chosen, Container, ContainerId, News, Pod, PodUid, Service, ServiceUid, Source,
};
pub use far::{Far, Fars, SERVICES};
pub use image::Image;
pub use name::BY;
pub use owner::{Above, Kind, Owner};
pub use place::{Part, Place};
pub use sheet::{Ground, Sheet};
pub use store::{Limits, Store};
