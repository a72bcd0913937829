//! What is known of a container, as metrics beside what it uses.

use crate::cluster::{Amounts, Container};
use crate::metric::instrument::Instrument;
use crate::metric::instrument::container::{
    K8S_CONTAINER_CPU_LIMIT_CURRENT, K8S_CONTAINER_CPU_LIMIT_DESIRED,
    K8S_CONTAINER_CPU_REQUEST_CURRENT, K8S_CONTAINER_CPU_REQUEST_DESIRED,
    K8S_CONTAINER_MEMORY_LIMIT_CURRENT, K8S_CONTAINER_MEMORY_LIMIT_DESIRED,
    K8S_CONTAINER_MEMORY_REQUEST_CURRENT, K8S_CONTAINER_MEMORY_REQUEST_DESIRED,
    K8S_CONTAINER_RESTART_COUNT,
};
use crate::metric::snapshot::Number;
use crate::usage::Amount;

/// Limit and request of processors, then of memory.
type Of = [&'static Instrument; 4];
static DESIRED: Of = [
    &K8S_CONTAINER_CPU_LIMIT_DESIRED,
    &K8S_CONTAINER_CPU_REQUEST_DESIRED,
    &K8S_CONTAINER_MEMORY_LIMIT_DESIRED,
    &K8S_CONTAINER_MEMORY_REQUEST_DESIRED,
];
static CURRENT: Of = [
    &K8S_CONTAINER_CPU_LIMIT_CURRENT,
    &K8S_CONTAINER_CPU_REQUEST_CURRENT,
    &K8S_CONTAINER_MEMORY_LIMIT_CURRENT,
    &K8S_CONTAINER_MEMORY_REQUEST_CURRENT,
];

/// All of it.
pub(super) fn facts(container: &Container) -> Vec<(&'static Instrument, Amount)> {
    let Container { restarts, desired, current, .. } = container;
    let restarts =
        restarts.map(|count| (&K8S_CONTAINER_RESTART_COUNT, Amount::now(u64::from(count))));
    let amounts = [(&DESIRED, desired), (&CURRENT, current)].into_iter();
    let amounts = amounts.filter_map(|(of, amounts)| Some((of, amounts.as_ref()?)));
    amounts.flat_map(|(of, amounts)| told(of, amounts)).chain(restarts).collect()
}

fn told(of: &Of, amounts: &Amounts) -> impl Iterator<Item = (&'static Instrument, Amount)> {
    let Amounts { cpu_limit, cpu_request, memory_limit, memory_request } = *amounts;
    let cpus = |nanos: u64| Amount::Now(Number::Double(nanos as f64 / 1e9));
    let all = [
        cpu_limit.map(cpus),
        cpu_request.map(cpus),
        memory_limit.map(Amount::now),
        memory_request.map(Amount::now),
    ];
    of.iter().copied().zip(all).filter_map(|(instrument, amount)| Some((instrument, amount?)))
}
