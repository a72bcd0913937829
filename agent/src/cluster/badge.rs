//! Badges: what is told of a container or a pod, found out once.
//!
//! ```text
//! unmet --asked for--> Waiting --all that could be said was said, or the wait is over--> Worn --not asked for--> unmet
//! ```
//!
//! Nothing is told of who waits. A badge that is worn never changes: its series would be taken for others. What is
//! late is late for good, and counted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::fact::{Container, ContainerId, News, PodUid, Source};
use super::far::{By, Fars, Touched};
use super::owner::{Above, owners};
use super::place::{Part, Place};
use super::sheet::{Ground, Sheet};
use super::store::{Limits, Store};
use crate::event::{Nanos, Timestamp};
use crate::host::{Cgroup, cgroup};
use crate::metric::keys::Keys;
use crate::metric::snapshot::Attribute;

/// Badges that are kept at most.
const BADGES: usize = 8192;
/// A badge that nobody has asked for in so long is given back.
const UNASKED: Nanos = Nanos(120_000_000_000);

/// Whose badge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// A container's, with the pod that its control group is in.
    Container(ContainerId, PodUid),
    /// That of a pod as a whole.
    Pod(PodUid),
}

impl Whose {
    /// Whose a control group is; none if it is in no pod.
    pub fn of_cgroup(cgroup: &Cgroup) -> Option<Self> {
        Self::of(cgroup.container.as_deref(), cgroup.pod.as_deref())
    }

    /// The same by the group's path.
    pub fn of_path(path: &str) -> Option<Self> {
        let pod = cgroup::pod_of(path)?;
        Self::of(cgroup::container_of(path).as_deref(), Some(&pod))
    }

    fn of(container: Option<&str>, pod: Option<&str>) -> Option<Self> {
        let pod = PodUid::new(pod?);
        Some(match container {
            Some(id) => Self::Container(ContainerId::new(id), pod),
            None => Self::Pod(pod),
        })
    }

    /// The pod.
    pub fn pod(&self) -> &PodUid {
        match self {
            Self::Container(_, pod) | Self::Pod(pod) => pod,
        }
    }
}

/// What the cluster's part of the agent is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// How long anything waits for its name.
    pub wait: Nanos,
    /// Who is asked.
    pub sources: Vec<Source>,
    /// What is told.
    pub ground: Ground,
}

/// What was given out and what could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Containers and pods that are known of.
    pub known: u64,
    /// Badges held.
    pub badges: u64,
    /// Badges that wait.
    pub waiting: u64,
    /// Those that were told without the name of their pod, since nobody said it in time.
    pub nameless: u64,
    /// Facts and badges that there was no room for.
    pub refused: u64,
}

#[derive(Debug)]
enum State {
    Waiting { since: Timestamp },
    Worn(Arc<Sheet>),
}

#[derive(Debug)]
struct Badge {
    state: State,
    asked: Timestamp,
}

/// What is known, what is told, and who could be asked.
#[derive(Debug)]
pub struct Cluster {
    config: Config,
    store: Store,
    badges: HashMap<Whose, Badge>,
    /// Why a source cannot be asked; of one that has not spoken yet, nothing is known.
    standing: BTreeMap<Source, Result<(), String>>,
    /// The same of what the server is asked beside pods.
    parts: BTreeMap<Part, Result<(), String>>,
    place: Place,
    /// Since when nothing at all may be told, as nobody has said yet where this is.
    placeless: Option<Timestamp>,
    fars: Fars,
    keys: Keys,
    counts: Counts,
    now: Timestamp,
}

impl Cluster {
    /// One of which nothing is known.
    pub fn new(config: Config, now: Timestamp) -> Self {
        let placeless = config.sources.contains(&Source::Server).then_some(now);
        Self {
            config,
            store: Store::new(Limits::default()),
            badges: HashMap::new(),
            standing: BTreeMap::new(),
            parts: BTreeMap::new(),
            place: Place::default(),
            placeless,
            fars: Fars::default(),
            keys: Keys::default(),
            counts: Counts::default(),
            now,
        }
    }

    /// Somebody's series are kept: whose they are is to be found out, and not to be forgotten.
    pub fn meet(&mut self, whose: &Whose) {
        self.counts.refused += u64::from(!self.ask(whose));
    }

    /// Series go on being kept. Who found no room before may find some now.
    pub fn keep(&mut self, whose: &Whose) {
        self.ask(whose);
    }

    /// False if there is no room.
    fn ask(&mut self, whose: &Whose) -> bool {
        let now = self.now;
        if let Some(badge) = self.badges.get_mut(whose) {
            badge.asked = now;
            return true;
        }
        if self.badges.len() >= BADGES {
            return false;
        }
        let state = State::Waiting { since: now };
        self.badges.insert(whose.clone(), Badge { state, asked: now });
        self.settle(whose);
        true
    }

    /// Whether nothing may be told of it yet.
    pub fn waits(&self, whose: &Whose) -> bool {
        self.badges.get(whose).is_some_and(|badge| matches!(badge.state, State::Waiting { .. }))
    }

    /// What is told of it; none as long as it waits, or if there was no room for it.
    pub fn sheet(&self, whose: &Whose) -> Option<&Arc<Sheet>> {
        match &self.badges.get(whose)?.state {
            State::Worn(sheet) => Some(sheet),
            State::Waiting { .. } => None,
        }
    }

    /// What is known of a container by now.
    pub fn container(&self, whose: &Whose) -> Option<Container> {
        match whose {
            Whose::Container(id, _) => self.store.container(id),
            Whose::Pod(_) => None,
        }
    }

    /// Takes in what a source says.
    pub fn learn(&mut self, news: News) {
        match &news {
            News::All(source, ..) | News::Pod(source, ..) | News::Gone(source, _) => {
                self.standing.insert(*source, Ok(()));
            }
            News::Away(source, why) => {
                self.standing.insert(*source, Err(why.clone()));
            }
            News::Place(place) => self.place.clone_from(place),
            News::Part(part, standing) => {
                self.parts.insert(*part, standing.clone());
            }
            News::Services(..) | News::Service(_) | News::NoService(_) => {
                return self.fars.learn(&news, self.now);
            }
            News::Above(..) => {}
        }
        let touched = Touched::by(&news);
        self.store.learn(news, self.now);
        let by = By {
            labels_are_names: self.config.ground.labels_are_names,
            is_away: matches!(self.standing.get(&Source::Server), Some(Err(_))),
        };
        self.fars.follow(&touched, &self.store, by, self.now);
        self.settle_all();
    }

    /// Who is at which address.
    pub fn fars(&self) -> &Fars {
        &self.fars
    }

    /// Time has come to `now`.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.store.expire(self.now);
        self.fars.expire(self.now);
        let now = self.now;
        self.badges.retain(|_, badge| now.since(badge.asked) < UNASKED);
        self.settle_all();
    }

    /// Nobody will say any more: who waits is told by what is known.
    pub fn settle_now(&mut self) {
        self.config.wait = Nanos(0);
        self.settle_all();
    }

    /// Whether nothing at all may be told yet, in pods or beside them, since the server may still say where this is.
    pub fn is_placeless(&self) -> bool {
        self.placeless.is_some()
    }

    /// Where this is, as far as it is known.
    pub fn place(&self) -> Vec<Attribute> {
        self.place.attributes()
    }

    /// Whether anybody waits for what a source could say.
    pub fn is_asked(&self) -> bool {
        self.badges.values().any(|badge| matches!(badge.state, State::Waiting { .. }))
    }

    /// The sources that are asked, with why they cannot be; none of one that has not spoken yet.
    pub fn standing(&self) -> impl Iterator<Item = (Source, Option<&Result<(), String>>)> {
        self.config.sources.iter().map(|source| (*source, self.standing.get(source)))
    }

    /// What the server was asked beside pods, with why it does not answer.
    pub fn parts(&self) -> impl Iterator<Item = (Part, &Result<(), String>)> {
        self.parts.iter().map(|(part, standing)| (*part, standing))
    }

    /// What was given out and what could not be.
    pub fn counts(&self) -> Counts {
        let waiting = self.badges.values().filter(|b| matches!(b.state, State::Waiting { .. }));
        Counts {
            known: self.store.held().iter().sum::<usize>() as u64,
            badges: self.badges.len() as u64,
            waiting: waiting.count() as u64,
            refused: self.counts.refused + self.store.refused() + self.fars.refused(),
            ..self.counts
        }
    }

    fn settle_all(&mut self) {
        let is_over = |since| self.now.since(since) >= self.config.wait;
        // The server says where this is before it says anything else.
        let has_spoken = self.standing.contains_key(&Source::Server);
        self.placeless = self.placeless.filter(|since| !has_spoken && !is_over(*since));
        let waiting = self.badges.iter().filter(|(_, b)| matches!(b.state, State::Waiting { .. }));
        let waiting: Vec<Whose> = waiting.map(|(whose, _)| whose.clone()).collect();
        for whose in waiting {
            self.settle(&whose);
        }
    }

    /// Gives the badge out if no more is to be waited for.
    fn settle(&mut self, whose: &Whose) {
        let Self { config, store, badges, standing, place, keys, counts, now, .. } = self;
        let Some(badge) = badges.get_mut(whose) else { return };
        let State::Waiting { since } = badge.state else { return };
        let container = match whose {
            Whose::Container(id, _) => store.container(id),
            Whose::Pod(_) => None,
        };
        let pod = store.pod(whose.pod());
        let is_met = container.is_some() || matches!(whose, Whose::Pod(_));
        // Who is away is not waited for; who has not spoken yet may.
        let is_away = |source: Source| matches!(standing.get(&source), Some(Err(_)));
        let may_add = |source: Source| {
            config.sources.contains(&source)
                && !is_away(source)
                && !store.is_told_by(whose.pod(), source)
        };
        let is_owned = pod.as_ref().is_some_and(|pod| owners(pod).next().is_some());
        // The server has what nobody else can say: uids, when the pod began, and whose its owner is.
        let is_partial = pod.as_ref().is_some_and(|pod| {
            let above = pod.owner.as_ref().map(|owner| &owner.above);
            pod.started.is_none() || above == Some(&Above::Asked)
        });
        let is_awaited = may_add(Source::Server)
            || (is_partial && config.sources.contains(&Source::Server) && !is_away(Source::Server))
            || (!is_owned && may_add(Source::Runtime));
        let is_whole = pod.is_some() && !is_awaited;
        if !(is_met && is_whole) && now.since(since) < config.wait {
            return;
        }
        counts.nameless += u64::from(pod.is_none());
        let sheet =
            Sheet::new(&config.ground, place, whose, pod.as_ref(), container.as_ref(), keys);
        badge.state = State::Worn(Arc::new(sheet));
    }
}
