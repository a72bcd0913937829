//! What the agent told, by who it was told of.

use std::collections::BTreeMap;

use steth_tests::collector::{Point, Received};

/// Requests that were served.
pub const SERVED: &str = "http.server.request.duration";
/// Requests that were asked.
pub const ASKED: &str = "http.client.request.duration";

/// By which attribute each kind of workload is known.
const KINDS: [(&str, &str); 6] = [
    ("k8s.deployment.name", "Deployment"),
    ("k8s.statefulset.name", "StatefulSet"),
    ("k8s.daemonset.name", "DaemonSet"),
    ("k8s.cronjob.name", "CronJob"),
    ("k8s.job.name", "Job"),
    ("k8s.pod.name", "Pod"),
];

/// Whose a point is: `Deployment web`, whatever else it says.
pub fn workload(point: &Point) -> String {
    let mut kinds = KINDS.iter().filter(|(key, _)| !point.of(key).is_empty());
    kinds.next().map_or_else(String::new, |(key, kind)| format!("{kind} {}", point.of(key)))
}

/// What a metric counts on `route` in the end, by what `whose` says of each series.
pub fn counted<K: Ord>(
    received: &Received,
    metric: &str,
    route: Option<&str>,
    whose: impl Fn(&Point) -> K,
) -> BTreeMap<K, u64> {
    let mut last: BTreeMap<String, (K, u64)> = BTreeMap::new();
    for point in received.0.iter().filter(|point| point.name == metric && !point.ended) {
        let of = point.attributes.get("http.route").and_then(|route| route.as_str());
        if route.is_some() && of != route {
            continue;
        }
        // A new start is another series: the one before is over and stays counted.
        let series = format!("{:?} {:?} {}", point.resource, point.attributes, point.start);
        last.insert(series, (whose(point), point.count));
    }
    let mut counted = BTreeMap::new();
    for (whose, count) in last.into_values() {
        *counted.entry(whose).or_default() += count;
    }
    counted
}
