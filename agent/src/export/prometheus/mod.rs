//! Snapshots as Prometheus text 0.0.4, or as OpenMetrics 1.0 for those who ask.
//!
//! A pure function: families by name, series by labels, so that equal snapshots give equal texts.
//! Histograms have the explicit bounds; series that have ended are not there any more.

mod family;
mod format;
mod name;
#[cfg(test)]
mod tests;

pub use format::Format;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write;

use crate::metric::exposition::{self, INSTANCE, JOB, TARGET, TARGET_HELP, TARGET_INFO};
use crate::metric::key::{
    CONTAINER_ID, K8S_CONTAINER_NAME, K8S_NAMESPACE_NAME, K8S_POD_NAME, Key, SERVICE_INSTANCE_ID,
    SERVICE_NAME, SERVICE_NAMESPACE, STETH_CGROUP_PATH,
};
use crate::metric::snapshot::{Attribute, Resource, Snapshot, Value};
use family::Family;
use name::{LabelSet, label_value};

/// A text and what is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The body of the answer.
    pub text: String,
    /// Series left out because another one has the same name and labels.
    pub clashes: u64,
    /// Series left out because their data does not fit their instrument.
    pub malformed: u64,
}

/// All series of a snapshot as text.
pub fn render(snapshot: &Snapshot, format: Format) -> String {
    render_counted(snapshot, format).text
}

/// The same, with what was left out.
pub fn render_counted(snapshot: &Snapshot, format: Format) -> Rendered {
    let mut targets: BTreeMap<Identity, String> = BTreeMap::new();
    let mut families: BTreeMap<String, Family<'_>> = BTreeMap::new();
    for entry in &snapshot.resources {
        let identity = Identity::of(&entry.resource);
        let common = identity.labels();
        if identity.is_target()
            && let Entry::Vacant(target) = targets.entry(identity)
        {
            let mut labels = common.clone();
            labels.extend(entry.resource.attributes.iter().filter(|(key, _)| !is_identity(*key)));
            target.insert(labels.text());
        }
        for metric in entry.scopes.iter().flat_map(|scope| &scope.metrics) {
            let name = exposition::name(metric.instrument);
            let family =
                families.entry(name).or_insert_with(|| Family::new(metric.instrument, format));
            for point in &metric.points {
                let mut labels = common.clone();
                labels.extend(point.attributes.iter());
                family.add(metric.instrument, &labels, point);
            }
        }
    }
    let mut rendered = Rendered { text: String::new(), clashes: 0, malformed: 0 };
    write_targets(&mut rendered.text, &targets, format);
    for (name, family) in families {
        family.write(&name, &mut rendered);
    }
    if format == Format::OpenMetrics {
        rendered.text.push_str("# EOF\n");
    }
    rendered
}

const POD: [Key; 3] = [K8S_NAMESPACE_NAME, K8S_POD_NAME, K8S_CONTAINER_NAME];

/// What Prometheus tells targets apart by. What is no service has neither job nor instance, so that
/// the scrape's own are its: the host is the target that was scraped. Its containers and other control
/// groups are told apart by labels of their own.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    job: String,
    instance: String,
    container: String,
    cgroup: String,
    /// Namespace and name of the pod, and name of the container in it: ids say little to people.
    pod: [String; 3],
}

impl Identity {
    fn of(resource: &Resource) -> Self {
        let text = |wanted| {
            let found = resource.attributes.iter().find(|(key, _)| *key == wanted);
            found.map(|(_, value)| label_value(value)).unwrap_or_default()
        };
        let (namespace, name) = (text(SERVICE_NAMESPACE), text(SERVICE_NAME));
        let job = if namespace.is_empty() { name } else { format!("{namespace}/{name}") };
        let instance = text(SERVICE_INSTANCE_ID);
        let place = |wanted| if job.is_empty() { text(wanted) } else { String::new() };
        let (container, cgroup) = (place(CONTAINER_ID), place(STETH_CGROUP_PATH));
        let pod = POD.map(place);
        Self { job, instance, container, cgroup, pod }
    }

    /// Whether it has job and instance for itself. A control group has those of the host that it is
    /// on: told as a target as well, it would make every join with `target_info` ambiguous.
    fn is_target(&self) -> bool {
        self.container.is_empty() && self.cgroup.is_empty()
    }

    fn labels(&self) -> LabelSet {
        let mut labels = LabelSet::default();
        let Self { job, instance, container, cgroup, pod } = self;
        let (of_container, of_cgroup) =
            (name::label(CONTAINER_ID.0), name::label(STETH_CGROUP_PATH.0));
        for (name, value) in [
            (INSTANCE, instance),
            (JOB, job),
            (of_container.as_str(), container),
            (of_cgroup.as_str(), cgroup),
        ] {
            if !value.is_empty() {
                labels.add(name, value);
            }
        }
        for (key, value) in POD.iter().zip(pod).filter(|(_, value)| !value.is_empty()) {
            labels.add(&name::label(key.0), value);
        }
        labels
    }
}

fn is_identity(key: Key) -> bool {
    [SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE_ID].contains(&key)
}

fn write_targets(text: &mut String, targets: &BTreeMap<Identity, String>, format: Format) {
    if targets.is_empty() {
        return;
    }
    let (family, kind) = match format {
        Format::Text => (TARGET_INFO, "gauge"),
        Format::OpenMetrics => (TARGET, "info"),
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {family} {TARGET_HELP}\n# TYPE {family} {kind}");
    for labels in targets.values() {
        let _ = writeln!(text, "{TARGET_INFO}{labels} 1");
    }
}

/// Attributes as they are lent.
impl<'a> Extend<&'a Attribute> for LabelSet {
    fn extend<I: IntoIterator<Item = &'a (Key, Value)>>(&mut self, from: I) {
        for (key, value) in from {
            self.add(&name::label(key.0), &label_value(value));
        }
    }
}
