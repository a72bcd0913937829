//! Who is at the far end of a call: which pod of this node, or which Service, has an address.
//!
//! An address belongs to who was the last to be given it. Who is gone has it for as long as its last calls may still
//! come, unless somebody else has it by then. Pods in the node's own network have none: many share the node's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::fact::{News, Pod, PodUid, Service, ServiceUid, Source};
use super::name::names;
use super::owner::Above;
use super::store::Store;
use crate::event::{Nanos, Timestamp};

#[cfg(test)]
mod tests;

/// Pods of one node that have addresses.
const PODS: usize = 4096;
/// Services that are known by name.
pub const SERVICES: usize = 8192;
/// How long who is gone is still told of: what was asked of it before may be told late. Not longer, since other nodes
/// may have the address by then.
const GRACE: Nanos = Nanos(60_000_000_000);

/// The far end, by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Far {
    /// `service.name` of who is there, as far as its pod tells; of a Service, its own name.
    pub name: Arc<str>,
    /// `service.namespace`, likewise.
    pub namespace: Option<Arc<str>>,
}

#[derive(Debug)]
struct Holder {
    far: Arc<Far>,
    addresses: Box<[IpAddr]>,
    /// When its addresses were given to it, among all that were.
    order: u64,
    /// Since when it has them no more.
    over: Option<Timestamp>,
}

/// An address with who has it: the last one is believed. Who is over comes before who is not.
type Claim = (IpAddr, bool, u64);

impl Holder {
    fn claims(&self) -> impl Iterator<Item = Claim> {
        self.addresses.iter().map(|address| (*address, self.over.is_none(), self.order))
    }
}

/// Who has which address, of one kind. Bounded.
#[derive(Debug)]
struct Claims<K> {
    holders: HashMap<K, Holder>,
    by_address: BTreeMap<Claim, Arc<Far>>,
    limit: usize,
    /// How often anything was claimed.
    next: u64,
    /// How often anything was changed.
    changes: u64,
    refused: u64,
}

impl<K: Clone + Eq + Hash + Ord> Claims<K> {
    fn new(limit: usize) -> Self {
        let (holders, by_address) = (HashMap::new(), BTreeMap::new());
        Self { holders, by_address, limit, next: 0, changes: 0, refused: 0 }
    }

    /// Who has it, or had it last, and whether it has it still.
    fn at(&self, address: IpAddr) -> Option<(&Arc<Far>, bool)> {
        let claims = self.by_address.range((address, false, 0)..=(address, true, u64::MAX));
        claims.last().map(|((_, is_there, _), far)| (far, *is_there))
    }

    /// These are its addresses, and nobody else's from now on.
    fn put(&mut self, key: &K, addresses: &[IpAddr], far: Far) {
        let known = self.holders.get(key);
        let has = known.filter(|held| held.over.is_none() && *held.addresses == *addresses);
        if has.is_some_and(|held| *held.far == far) {
            return;
        }
        let order = has.map(|held| held.order);
        self.remove(key);
        if addresses.is_empty() {
            return;
        }
        if self.holders.len() >= self.limit && !self.make_room() {
            self.refused += 1;
            return;
        }
        let order = order.unwrap_or_else(|| {
            self.next += 1;
            self.next
        });
        self.insert(
            key,
            Holder { far: Arc::new(far), addresses: addresses.into(), order, over: None },
        );
    }

    fn insert(&mut self, key: &K, held: Holder) {
        self.changes += 1;
        self.by_address.extend(held.claims().map(|claim| (claim, Arc::clone(&held.far))));
        self.holders.insert(key.clone(), held);
    }

    fn remove(&mut self, key: &K) -> Option<Holder> {
        let held = self.holders.remove(key)?;
        self.changes += 1;
        for claim in held.claims() {
            self.by_address.remove(&claim);
        }
        Some(held)
    }

    /// It has them no more.
    fn lose(&mut self, key: &K, now: Timestamp) {
        if self.holders.get(key).is_some_and(|held| held.over.is_none())
            && let Some(held) = self.remove(key)
        {
            self.insert(key, Holder { over: Some(now), ..held });
        }
    }

    /// Nobody else has any.
    fn only(&mut self, keys: &BTreeSet<&K>, now: Timestamp) {
        let others = self.holders.keys().filter(|key| !keys.contains(key));
        let others: Vec<K> = others.cloned().collect();
        for key in &others {
            self.lose(key, now);
        }
    }

    /// Who has had none for longest goes.
    fn make_room(&mut self) -> bool {
        let over = self.holders.iter().filter_map(|(key, held)| Some((held.over?, key)));
        let Some(oldest) = over.min().map(|(_, key)| key.clone()) else { return false };
        self.remove(&oldest).is_some()
    }

    fn expire(&mut self, now: Timestamp) {
        let is_over = |held: &Holder| held.over.is_some_and(|over| now.since(over) >= GRACE);
        let over = self.holders.iter().filter(|(_, held)| is_over(held));
        let over: Vec<K> = over.map(|(key, _)| key.clone()).collect();
        for key in &over {
            self.remove(key);
        }
    }
}

/// Everybody in the cluster whose address is known.
#[derive(Debug)]
pub struct Fars {
    pods: Claims<PodUid>,
    services: Claims<ServiceUid>,
}

impl Default for Fars {
    fn default() -> Self {
        Self { pods: Claims::new(PODS), services: Claims::new(SERVICES) }
    }
}

impl Fars {
    /// Who has this address; IPv4 as v4-mapped.
    pub fn at(&self, address: [u8; 16]) -> Option<&Arc<Far>> {
        self.holder(address).map(|(far, _)| far)
    }

    /// The same, and whether it has it still.
    pub fn holder(&self, address: [u8; 16]) -> Option<(&Arc<Far>, bool)> {
        let address = Ipv6Addr::from(address).to_canonical();
        self.pods.at(address).or_else(|| self.services.at(address))
    }

    /// Whether nobody's is known.
    pub fn is_empty(&self) -> bool {
        self.pods.holders.is_empty() && self.services.holders.is_empty()
    }

    /// A number that is another as soon as anything is known that was not before.
    pub fn generation(&self) -> u64 {
        self.pods.changes + self.services.changes
    }

    /// Those that there was no room for.
    pub(super) fn refused(&self) -> u64 {
        self.pods.refused + self.services.refused
    }

    /// Takes in what is said of Services.
    pub(super) fn learn(&mut self, news: &News, now: Timestamp) {
        match news {
            News::Services(all, beyond) => {
                self.services.only(&all.iter().map(|service| &service.uid).collect(), now);
                for service in all {
                    self.put_service(service, now);
                }
                self.services.refused += beyond;
            }
            News::Service(service) => self.put_service(service, now),
            News::NoService(uid) => self.services.lose(uid, now),
            _ => {}
        }
    }

    fn put_service(&mut self, service: &Service, now: Timestamp) {
        let Service { uid, name, namespace, addresses } = service;
        if addresses.is_empty() {
            return self.services.lose(uid, now);
        }
        let far = Far { name: Arc::clone(name), namespace: Some(Arc::clone(namespace)) };
        self.services.put(uid, &told(addresses), far);
    }

    /// The same of pods; `store` has taken it in already. Who owns a pod may be asked for: until that is known, or
    /// nobody can be asked, it has no name.
    pub(super) fn follow(&mut self, touched: &Touched, store: &Store, by: By, now: Timestamp) {
        let uids = match touched {
            Touched::Nobody => return,
            Touched::Gone(uid) => return self.pods.lose(uid, now),
            Touched::One(uid) => vec![uid.clone()],
            Touched::Only(uids) => {
                self.pods.only(&uids.iter().collect(), now);
                uids.clone()
            }
            Touched::Owned(owner) => store.owned(owner),
            Touched::All => store.pods(),
        };
        for uid in uids {
            let Some(pod) = store.pod(&uid) else { continue };
            if pod.is_over || pod.addresses.is_empty() {
                self.pods.lose(&uid, now);
                continue;
            }
            let above = pod.owner.as_ref().map(|owner| &owner.above);
            // Of one that is gone only its owner is heard of.
            if !store.is_told_now(&uid, Source::Server)
                || (above == Some(&Above::Asked) && !by.is_away)
            {
                continue;
            }
            if let Some(far) = far(&pod, by.labels_are_names) {
                self.pods.put(&uid, &told(&pod.addresses), far);
            }
        }
    }

    /// Time has come to `now`.
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.pods.expire(now);
        self.services.expire(now);
    }
}

/// How pods get their names.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    pub(super) labels_are_names: bool,
    /// The server cannot be asked who owns a pod.
    pub(super) is_away: bool,
}

/// The pods that news is of.
#[derive(Clone, Debug)]
pub(super) enum Touched {
    Nobody,
    One(PodUid),
    Gone(PodUid),
    /// These, and there are no others.
    Only(Vec<PodUid>),
    /// Those with an owner of this uid.
    Owned(Arc<str>),
    All,
}

impl Touched {
    /// Only the server knows addresses.
    pub(super) fn by(news: &News) -> Self {
        match news {
            News::All(Source::Server, pods, _) => {
                Self::Only(pods.iter().map(|pod| pod.uid.clone()).collect())
            }
            News::Pod(Source::Server, pod, _) => Self::One(pod.uid.clone()),
            News::Gone(Source::Server, uid) => Self::Gone(uid.clone()),
            News::Above(owner, _) => Self::Owned(Arc::clone(owner)),
            News::Away(Source::Server, _) => Self::All,
            _ => Self::Nobody,
        }
    }
}

/// What a pod is called by those who ask it: as its own series are, if its processes do not say otherwise.
fn far(pod: &Pod, labels_are_names: bool) -> Option<Far> {
    let names = names(Some(pod), None, labels_are_names);
    Some(Far { name: names.name?, namespace: names.namespace })
}

/// Addresses that one pod or Service alone can have, whatever is said of it.
fn told(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let own = |address: &IpAddr| match address {
        IpAddr::V4(four) => !four.is_link_local() && !four.is_broadcast(),
        IpAddr::V6(six) => !six.is_unicast_link_local(),
    };
    let any = addresses.iter().map(IpAddr::to_canonical);
    any.filter(|address| {
        own(address)
            && !(address.is_loopback() || address.is_unspecified() || address.is_multicast())
    })
    .collect()
}
