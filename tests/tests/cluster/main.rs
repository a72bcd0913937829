//! The agent on a real node of Kubernetes, installed by its chart, beside real pods whose own counts are the
//! truth. `cargo xtask cluster test` begins the node and runs these within its namespaces.

mod pods;
mod tally;

mod comings;
mod containers;
mod crowd;
mod far;
mod least;
mod outages;
mod upgrade;
mod workloads;
