//! From what was typed to what each stage is given: one file a stage.

mod cluster;
mod entity;
mod export;
mod http1;
mod kernel;
mod red;
mod trace;
mod usage;

pub use entity::Paths;
