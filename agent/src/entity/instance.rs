//! A service instance: what makes it one, and the resource it is exported as.
//!
//! `service.instance.id` is a UUIDv5 over the host and the *place* of the service on it: its container,
//! else its systemd unit, else the host alone, with the service's name. No pid and no start time: an
//! instance stays itself when its process is restarted, and five thousand short-lived processes of one
//! program are one instance with one set of series. The executable's path is not in it either: of a
//! process that has gone before `/proc` was read it is not known, and would make two instances of one.
//! The price: two servers with one name, started by hand side by side, are counted together; they
//! are told apart by `OTEL_RESOURCE_ATTRIBUTES` or a rule.
//!
//! In a pod whose facts are asked for, a container is an instance, whatever runs in it, unless its processes declare
//! otherwise: its name and id are the pod's to give, by the [`Sheet`] that is found out later.

use std::cell::OnceCell;
use std::sync::Arc;

use uuid::Uuid;

use crate::cluster::{Sheet, Whose};
use crate::event::{Pid, Timestamp};
use crate::host::Machine;
use crate::metric::key::{self, Key};
use crate::metric::keys::Keys;
use crate::metric::snapshot::{Attribute, Resource, Value};

/// The namespace that the conventions give for `service.instance.id`.
const NAMESPACE: Uuid = Uuid::from_u128(0x4d63_009a_8d0f_11ee_aad7_4c79_6ed8_e320);
/// Who makes this telemetry.
const AGENT: &str = "steth";
/// The name of a service of which nothing is known, as the conventions ask.
const UNKNOWN: &str = "unknown_service";

/// Where on a host a service is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a container.
    Container(String),
    /// In a pod, whose facts are asked for.
    Pod(Whose),
    /// In a systemd unit.
    Unit(String),
    /// Anywhere.
    #[default]
    Host,
}

/// What makes an instance one: equal identities are one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// `service.name`; none if it is left to the pod.
    pub name: Option<String>,
    /// `service.namespace`, if it was declared.
    pub namespace: Option<String>,
    /// `service.instance.id`, if it was declared.
    pub instance: Option<String>,
    /// Where it is.
    pub place: Place,
    /// Other declared attributes, less the version: that of the newest process counts.
    pub attributes: Vec<(String, String)>,
}

impl Identity {
    /// `service.instance.id`: the same on every start of the agent.
    pub fn id(&self, machine: &Machine) -> String {
        let Self { name, namespace, instance, place, attributes } = self;
        if let Some(said) = instance {
            return said.clone();
        }
        let host = if machine.id.is_empty() { &machine.name } else { &machine.id };
        let (kind, place) = match place {
            Place::Container(id) => ("container", id.as_str()),
            Place::Pod(Whose::Container(id, _)) => ("container", &*id.0),
            Place::Pod(Whose::Pod(uid)) => ("pod", &*uid.0),
            Place::Unit(unit) => ("unit", unit.as_str()),
            Place::Host => ("host", ""),
        };
        let namespace = namespace.as_deref().unwrap_or_default();
        let name = name.as_deref().unwrap_or_default();
        let mut facts = vec![host.as_str(), kind, place, namespace, name];
        facts.extend(attributes.iter().flat_map(|(k, v)| [k.as_str(), v.as_str()]));
        Uuid::new_v5(&NAMESPACE, facts.join("\0").as_bytes()).to_string()
    }
}

/// A fact that all processes of an instance should share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shared {
    /// None has told it yet.
    #[default]
    Unknown,
    /// All that told it told this.
    One(Arc<str>),
    /// They differ: it is not told.
    Many,
}

impl Shared {
    /// Takes in what one process tells; true if that changed anything.
    pub fn learn(&mut self, told: &str) -> bool {
        match self {
            Self::Unknown => *self = Self::One(told.into()),
            Self::One(known) if **known == *told => return false,
            Self::One(_) => *self = Self::Many,
            Self::Many => return false,
        }
        true
    }
}

/// How an instance stands to others whose pods give them the same name and id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Claim {
    /// They are its own.
    #[default]
    Whole,
    /// Another one in its container has them: it has an id of its own.
    Crowded,
    /// Another container has them by now, as one does that was begun anew.
    Superseded,
}

/// One service instance.
#[derive(Debug, Default)]
pub(super) struct Instance {
    /// What makes it one.
    pub(super) identity: Identity,
    /// Processes that are counted to it, those in grace included.
    pub(super) members: u32,
    /// Since when it has none.
    pub(super) idle: Option<Timestamp>,
    /// When it was told to have ended; it is kept for as long again.
    pub(super) retired: Option<Timestamp>,
    /// A rule of the configuration fits.
    pub(super) ruled: bool,
    /// What its first program is called by itself: its name where not even the pod gives one.
    pub(super) own_name: Option<String>,
    /// How it stands to others that the cluster calls alike.
    pub(super) claim: Claim,
    /// The executable's name.
    pub(super) executable: Shared,
    /// The executable's path.
    pub(super) path: Shared,
    /// `/proc` was asked for what the record of a start does not tell.
    pub(super) asked: bool,
    /// The runtime's language.
    pub(super) language: Option<&'static str>,
    /// `service.version` as the newest process declared it.
    pub(super) version: Option<String>,
    /// Declared attributes with their keys.
    pub(super) declared: Vec<Attribute>,
    resource: OnceCell<Arc<Resource>>,
}

/// What holds for every resource.
#[derive(Debug, Default)]
pub(super) struct Ground {
    /// The host.
    pub(super) machine: Machine,
    /// The agent's version.
    pub(super) version: &'static str,
    /// Attributes the agent was given for all.
    pub(super) given: Vec<Attribute>,
}

impl Instance {
    pub(super) fn new(identity: Identity, keys: &mut Keys) -> Self {
        let declared = identity
            .attributes
            .iter()
            .filter_map(|(name, value)| Some((keys.of(name)?, Value::Text(value.as_str().into()))))
            .collect();
        Self { identity, declared, ..Self::default() }
    }

    /// Another version runs: the resource is made anew when it is asked for. Nothing else changes one that
    /// was told: its series would be taken for others, and their counts be added up.
    pub(super) fn renewed(&mut self) {
        self.resource.take();
    }

    /// What it is called.
    pub(super) fn name<'a>(&'a self, sheet: Option<&'a Sheet>) -> &'a str {
        let by_pod = || sheet.and_then(|sheet| sheet.name.as_deref());
        let name = self.identity.name.as_deref().or_else(by_pod);
        name.or(self.own_name.as_deref()).unwrap_or(UNKNOWN)
    }

    /// What it is told apart by from others of its name.
    pub(super) fn names(&self, machine: &Machine, sheet: Option<&Sheet>) -> [String; 3] {
        let Identity { namespace, instance, .. } = &self.identity;
        let sheet_namespace = || sheet.and_then(|sheet| sheet.namespace.as_deref());
        let namespace = namespace.as_deref().or_else(sheet_namespace).unwrap_or_default();
        let by_pod = || {
            sheet.filter(|_| self.claim != Claim::Crowded)?.instance.as_deref().map(str::to_owned)
        };
        let id = instance.clone().or_else(by_pod).unwrap_or_else(|| self.identity.id(machine));
        [namespace.to_owned(), self.name(sheet).to_owned(), id]
    }

    /// The instance as it is exported.
    pub(super) fn resource(&self, ground: &Ground, sheet: Option<&Sheet>) -> Arc<Resource> {
        self.resource.get_or_init(|| Arc::new(self.build(ground, sheet, &[]))).clone()
    }

    /// The same while it may not be told yet.
    pub(super) fn for_now(&self, ground: &Ground) -> Arc<Resource> {
        Arc::new(self.build(ground, None, &[]))
    }

    /// One process of it: with its pid, its time of creation, and an instance id of its own.
    pub(super) fn of_process(
        &self,
        ground: &Ground,
        sheet: Option<&Sheet>,
        pid: Pid,
        serial: u64,
        made: &str,
    ) -> Resource {
        let [_, _, id] = self.names(&ground.machine, sheet);
        let id = format!("{id}-{}-{serial}", pid.0);
        self.build(
            ground,
            sheet,
            &[
                (key::SERVICE_INSTANCE_ID, text(&id)),
                (key::PROCESS_PID, Value::Int(i64::from(pid.0))),
                (key::PROCESS_CREATION_TIME, text(made)),
            ],
        )
    }

    fn build(&self, ground: &Ground, sheet: Option<&Sheet>, own: &[Attribute]) -> Resource {
        let Ground { machine, version, given: _ } = ground;
        let [namespace, name, id] = self.names(machine, sheet);
        let container = match &self.identity.place {
            Place::Container(id) => Some(id.as_str()),
            Place::Pod(Whose::Container(id, _)) => Some(&*id.0),
            Place::Pod(Whose::Pod(_)) | Place::Unit(_) | Place::Host => None,
        };
        // What stands later wins.
        let mut all = ground.place();
        let facts: [(Key, Option<&str>); 4] = [
            (key::CONTAINER_ID, container),
            (key::PROCESS_EXECUTABLE_NAME, self.executable.one()),
            (key::PROCESS_EXECUTABLE_PATH, self.path.one()),
            (key::TELEMETRY_SDK_LANGUAGE, self.language),
        ];
        all.extend(facts.into_iter().filter_map(|(key, fact)| Some((key, text(fact?)))));
        all.extend(sheet.into_iter().flat_map(|sheet| sheet.attributes.iter().cloned()));
        all.extend(self.declared.iter().cloned());
        if !namespace.is_empty() {
            all.push((key::SERVICE_NAMESPACE, text(&namespace)));
        }
        let by_pod = || sheet.and_then(|sheet| sheet.version.as_deref());
        if let Some(version) = self.version.as_deref().or_else(by_pod) {
            all.push((key::SERVICE_VERSION, text(version)));
        }
        all.extend([(key::SERVICE_NAME, text(&name)), (key::SERVICE_INSTANCE_ID, text(&id))]);
        all.extend(maker(version));
        all.extend(own.iter().cloned());
        last_of_each(all)
    }
}

impl Ground {
    /// The host with these attributes beside, and no service.
    pub(super) fn resource(&self, own: &[Attribute]) -> Resource {
        let mut all = self.place();
        all.extend(maker(self.version));
        all.extend(own.iter().cloned());
        last_of_each(all)
    }

    fn place(&self) -> Vec<Attribute> {
        let Self { machine, version: _, given } = self;
        let mut all: Vec<Attribute> = vec![(key::OS_TYPE, Value::Static("linux"))];
        for (key, fact) in [
            (key::HOST_ID, &machine.id),
            (key::HOST_NAME, &machine.name),
            (key::HOST_ARCH, &machine.arch),
        ] {
            if !fact.is_empty() {
                all.push((key, text(fact)));
            }
        }
        all.extend(given.iter().cloned());
        all
    }
}

/// Who makes this telemetry.
fn maker(version: &'static str) -> [Attribute; 4] {
    [
        (key::TELEMETRY_SDK_NAME, Value::Static(AGENT)),
        (key::TELEMETRY_SDK_VERSION, Value::Static(version)),
        (key::TELEMETRY_DISTRO_NAME, Value::Static(AGENT)),
        (key::TELEMETRY_DISTRO_VERSION, Value::Static(version)),
    ]
}

/// In the order of their keys; of each key what stands last.
fn last_of_each(mut all: Vec<Attribute>) -> Resource {
    all.reverse();
    all.sort_by_key(|(key, _)| *key);
    all.dedup_by_key(|(key, _)| *key);
    Resource { attributes: all }
}

impl Shared {
    fn one(&self) -> Option<&str> {
        if let Self::One(known) = self { Some(known) } else { None }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine { id: "3d1219c7c4c5404aaa1f6d2a48adfda4".to_owned(), ..Machine::default() }
    }

    #[test]
    fn ids_are_stable_and_told_apart_by_name_and_place() {
        let id = |name: &str, place: Place| {
            Identity { name: Some(name.to_owned()), place, ..Identity::default() }.id(&machine())
        };
        let ids = [
            id("shop", Place::Host),
            id("billing", Place::Host),
            id("shop", Place::Unit("shop.service".to_owned())),
            id("shop", Place::Container("shop.service".to_owned())),
            id("shop", Place::Unit("shop@2.service".to_owned())),
        ];
        for (i, a) in ids.iter().enumerate() {
            assert_eq!(ids.iter().position(|b| a == b), Some(i));
        }
        // Over host id, place, namespace and name, joined by NUL: a restarted agent gives the same.
        assert_eq!(id("shop", Place::Host), id("shop", Place::Host));
        assert!(Uuid::parse_str(&ids[0]).is_ok_and(|u| u.get_version_num() == 5));
        let said = Identity { instance: Some("i-1".to_owned()), ..Identity::default() };
        assert_eq!(said.id(&machine()), "i-1");
    }

    #[test]
    fn a_resource_that_was_told_changes_with_the_version_only() {
        let (ground, mut instance) = (Ground::default(), Instance::default());
        let has = |instance: &Instance, key| {
            instance.resource(&ground, None).attributes.iter().any(|(known, _)| *known == key)
        };
        assert!(!has(&instance, key::PROCESS_EXECUTABLE_PATH));
        instance.path.learn("/bin/a");
        assert!(!has(&instance, key::PROCESS_EXECUTABLE_PATH));
        instance.version = Some("2".to_owned());
        instance.renewed();
        assert!(
            has(&instance, key::SERVICE_VERSION) && has(&instance, key::PROCESS_EXECUTABLE_PATH)
        );
    }

    #[test]
    fn facts_that_processes_differ_in_are_not_told() {
        let mut shared = Shared::default();
        let told: Vec<bool> = ["a", "a", "b", "a"].iter().map(|t| shared.learn(t)).collect();
        assert_eq!(told, [true, false, true, false]);
        assert_eq!(shared, Shared::Many);
    }
}
