//! Rate, errors and duration: every exchange in one series of its service, each counted once.
//!
//! Labels are enums and interned ids until a snapshot is made. Every open set has a limit: routes
//! (see [`route`]), servers, series. What there is no room for is counted in one overflow series a
//! service and role, so that the sum over all series is the number observed, always.

mod far;
mod hash;
pub(crate) mod label;
mod reach;
mod server;
mod service;
pub(crate) mod why;

pub mod route;

pub use hash::ByNumber;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::{Far, Fars};
use crate::entity::EntityId;
use crate::event::{ConnId, Nanos, Peer, Timestamp};
use crate::host::Anchor;
use crate::metric::exemplar::Exemplar;
use crate::metric::histogram::Histogram;
use crate::metric::snapshot::{Scope, WallTime};
use crate::protocol::{Authority, Exchange, Fault, Method, Role};

use far::FarId;
use label::Labels;
use reach::Reach;
use route::{Change, Minting, Pattern, RouteId, Rules};
use server::ServerId;
use service::{Now, Phase, Service};

/// The name of this family's scope.
pub const SCOPE: &str = "steth/red";

/// Exemplars of all series: beyond them none are taken before others have aged.
const EXEMPLARS: usize = 16_384;
/// Exchanges of a route before it is said what is usual for it.
const ENOUGH: u64 = 100;

/// What may be counted apart, and how it is named.
#[derive(Clone, Debug)]
pub struct Config {
    /// Series a service may have, beside one overflow series for each role.
    pub series_per_service: usize,
    /// Series all services may have, beside their overflow series.
    pub series_total: usize,
    /// Routes a service may have.
    pub routes_per_service: usize,
    /// Routes all services may have.
    pub routes_total: usize,
    /// Servers that the requests of a service may be told apart by.
    pub servers_per_service: usize,
    /// Configured routes; the first that matches wins.
    pub routes: Vec<Pattern>,
    /// Guessed routes are `url.template` and not `http.route`; client requests then have one too.
    pub guessed_as_template: bool,
    /// Server series are told apart by the host and port that was asked for.
    pub server_address: bool,
    /// Where the time of requests went is counted, where that is measured.
    pub why: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            series_per_service: 2000,
            series_total: 20_000,
            routes_per_service: 256,
            routes_total: 8192,
            servers_per_service: 128,
            routes: Vec::new(),
            guessed_as_template: false,
            server_address: false,
            why: false,
        }
    }
}

/// An open connection of a client.
#[derive(Clone, Copy, Debug)]
pub struct Open<'a> {
    /// The client.
    pub entity: EntityId,
    /// The connection.
    pub conn: ConnId,
    /// What its last request was sent to, by its own word.
    pub authority: Option<Authority<'a>>,
    /// The other end.
    pub peer: Peer,
    /// No request is in flight on it.
    pub idle: bool,
}

/// A route, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// How it reads.
    pub text: Arc<str>,
    /// It is told as `url.template`, not as `http.route`.
    pub template: bool,
}

/// Where an exchange was counted.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Its route.
    pub route: RouteId,
    /// Its series; none for one that a budget had no room for.
    labels: Option<Labels>,
    /// Who is at the other end.
    far: FarId,
}

impl Counted {
    /// Nowhere.
    pub const NOWHERE: Self = Self { route: RouteId::NONE, labels: None, far: FarId::NONE };
}

/// A span that may stand for the buckets that its exchange was counted in.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its side.
    pub role: Role,
    /// Where its exchange was counted.
    pub counted: Counted,
    /// How the route read then: its number may be another's by now.
    pub route: Option<Arc<str>>,
    /// The span's trace.
    pub trace: [u8; 16],
    /// Its id.
    pub span: [u8; 8],
    /// When it ended.
    pub ended: Timestamp,
    /// Duration, request and response size.
    pub values: [u64; 3],
}

/// One line of the live view: everything counted for a route.
#[derive(Clone, Debug)]
pub struct Row {
    /// The service instance.
    pub entity: EntityId,
    /// Its side.
    pub role: Role,
    /// The route; none where it has none, or beyond the budget of series.
    pub route: Option<Arc<str>>,
    /// Exchanges.
    pub count: u64,
    /// Those that failed.
    pub errors: u64,
    /// How long they took: see [`Histogram::since`] and [`Histogram::quantile`].
    pub duration: Histogram,
}

/// What this stage says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Exchanges observed.
    pub observed: u64,
    /// Those of them that are in an overflow series.
    pub overflowed: u64,
    /// Those of them that had a path and are under the route for all others.
    pub other_route: u64,
    /// Far ends that were known and for which their service had no name left.
    pub other_far: u64,
    /// Series there are, without the overflow series.
    pub series: usize,
    /// Routes there are.
    pub routes: usize,
    /// Services there are.
    pub services: usize,
}

/// The stage.
#[derive(Debug)]
pub struct Red {
    config: Config,
    rules: Rules,
    services: HashMap<EntityId, Box<Service>, ByNumber>,
    /// Keyed anew in every process, so that nobody can aim at one place of a memo.
    hash: RandomState,
    now: Now,
    counters: Counters,
    changes: Vec<Change>,
    exemplars: usize,
}

impl Red {
    /// Nothing counted; series that come before the first [`Red::tick`] begin at `now`.
    pub fn new(config: Config, now: WallTime) -> Self {
        let rules = Rules {
            patterns: config.routes.clone().into(),
            per_service: config.routes_per_service,
            total: config.routes_total,
        };
        Self {
            config,
            rules,
            services: HashMap::default(),
            hash: RandomState::new(),
            now: Now { since: now, tick: 0 },
            counters: Counters::default(),
            changes: Vec::new(),
            exemplars: 0,
        }
    }

    /// Counts one exchange. Gives where. `fars` has the names of far ends; none where no address has one.
    pub fn observe(
        &mut self,
        entity: EntityId,
        exchange: &Exchange<'_>,
        fars: Option<&Fars>,
    ) -> Counted {
        let Self { config, rules, services, hash, now, counters, changes, exemplars: _ } = self;
        counters.observed += 1;
        let service = live(services, entity, counters);
        if config.why {
            service.why.record(exchange, now.since);
        }
        let role = exchange.role;
        let status = exchange.status.unwrap_or(0);
        let wanted = role == Role::Server || config.guessed_as_template;
        let route = if !wanted || exchange.path.is_empty() {
            RouteId::NONE
        } else {
            let hashed = hash.hash_one(exchange.path);
            if let Some(route) = service.routes(role).recall(hashed) {
                route
            } else {
                let path = (exchange.path, hashed);
                let routes = service.routes(role);
                let route =
                    routes.resolve(rules, &mut counters.routes, path, minting(exchange), changes);
                if !changes.is_empty() {
                    let fewer = service.apply(role, changes, *now, config.guessed_as_template);
                    counters.series -= fewer;
                    service.routes(role).release(&mut counters.routes, changes);
                    changes.clear();
                }
                route
            }
        };
        counters.other_route += u64::from(route == RouteId::OTHER);
        let server = if role == Role::Client || config.server_address {
            // What a server was reached at says nothing of it where the request does not say it.
            let unnamed = role == Role::Server && exchange.authority.is_none();
            if unnamed {
                ServerId::NONE
            } else {
                let limit = config.servers_per_service;
                service.servers.id(exchange.authority, &exchange.peer, limit, hash)
            }
        } else {
            ServerId::NONE
        };
        let far = if role == Role::Client {
            service.fars.id(exchange.conn, &exchange.peer, fars, &mut counters.other_far)
        } else {
            FarId::NONE
        };
        let labels = Labels {
            role,
            method: exchange.method,
            route,
            status,
            fault: label::beyond_status(role, status, exchange.fault),
            version: exchange.version,
            server,
            far,
        };
        let counted = Counted { route, labels: Some(labels), far };
        if let Some(series) = service.find(labels) {
            series.record(exchange);
            return counted;
        }
        let room = service.series.len() < config.series_per_service
            && counters.series < config.series_total;
        if room && let Some(series) = service.add(labels, *now) {
            counters.series += 1;
            series.record(exchange);
            return counted;
        }
        counters.overflowed += 1;
        service.overflow(labels, *now).record(exchange);
        Counted { route, labels: None, far }
    }

    /// Has a kept span stand for the buckets its exchange was counted in, if they are there still.
    pub fn exemplify(&mut self, entity: EntityId, sample: &Sample, anchor: &Anchor) {
        let Sample { role, counted, route, trace, span, ended, values } = sample;
        let Some(service) = self.services.get_mut(&entity) else { return };
        let series = if let Some(labels) = counted.labels {
            let text = service.route(*role, counted.route).map(|(text, _)| text);
            if text != *route {
                return;
            }
            service.find(labels)
        } else {
            let place = usize::from(*role == Role::Client);
            service.overflow.get_mut(place).and_then(Option::as_deref_mut)
        };
        if let Some(series) = series
            && self.exemplars + values.len() <= EXEMPLARS
        {
            let time = anchor.wall(*ended);
            let exemplar = |value| Exemplar { trace: *trace, span: *span, time, value };
            self.exemplars += series.exemplify(values.map(exemplar));
        }
    }

    /// The route that a path is counted under by now; none for all that has no route.
    pub fn route(&self, entity: EntityId, role: Role, path: &str) -> Option<Route> {
        if role == Role::Client && !self.config.guessed_as_template {
            return None;
        }
        let (text, guessed) = self.services.get(&entity)?.route_of(&self.rules, role, path)?;
        let template = role == Role::Client || (guessed && self.config.guessed_as_template);
        Some(Route { text, template })
    }

    /// What 99 % of a route's exchanges took less than, once there are enough of them to say.
    pub fn usual(&self, entity: EntityId, role: Role, route: RouteId) -> Option<Nanos> {
        let duration = self.services.get(&entity)?.duration(role, route);
        if duration.count < ENOUGH {
            return None;
        }
        let seconds = Duration::try_from_secs_f64(duration.quantile(0.99)?).ok()?;
        u64::try_from(seconds.as_nanos()).ok().map(Nanos)
    }

    /// Counts a connect that came to nothing, to `far` if that is known.
    pub fn connect_failed(
        &mut self,
        entity: EntityId,
        fault: Fault,
        peer: &Peer,
        far: Option<&Arc<Far>>,
    ) {
        let service = live(&mut self.services, entity, &mut self.counters);
        let other = &mut self.counters.other_far;
        let far = far.map_or(FarId::NONE, |far| service.fars.intern(far, other));
        service.connect_failed((fault, peer.port, Reach::of(peer.address), far), self.now);
    }

    /// Who is at the other end of a client's connection: as its exchange was counted, or if it was not yet, as
    /// others of the connection were.
    pub fn far(&self, entity: EntityId, conn: ConnId, counted: &Counted) -> Option<Arc<Far>> {
        let fars = &self.services.get(&entity)?.fars;
        fars.name(counted.far).or_else(|| fars.found(conn)).cloned()
    }

    /// What is in flight and open at this moment; replaces what was said before.
    pub fn gauges<'a>(
        &mut self,
        active: impl Iterator<Item = (EntityId, Method)>,
        open: impl Iterator<Item = Open<'a>>,
        fars: Option<&Fars>,
    ) {
        let Self { config, services, hash, now, counters, .. } = self;
        for service in services.values_mut() {
            // What has been told once is told as zero from then on.
            service.active.values_mut().for_each(|(number, _)| *number = 0);
            service.open.values_mut().for_each(|(number, _)| *number = 0);
        }
        for (entity, method) in active {
            let service = live(services, entity, counters);
            service.active.entry(method).or_insert((0, now.since)).0 += 1;
        }
        for Open { entity, conn, authority, peer, idle } in open {
            let service = live(services, entity, counters);
            let server = service.servers.id(authority, &peer, config.servers_per_service, hash);
            let far = service.fars.id(conn, &peer, fars, &mut counters.other_far);
            service.open((server, far, idle), now.since);
        }
        for service in services.values_mut() {
            service.fars.sweep();
        }
    }

    /// Whether anything was counted of a service.
    pub fn has(&self, entity: EntityId) -> bool {
        self.services.contains_key(&entity)
    }

    /// Requests in flight at a server, as of the last [`Red::gauges`].
    pub fn in_flight(&self, entity: EntityId) -> i64 {
        let service = self.services.get(&entity);
        service.map_or(0, |service| service.active.values().map(|(number, _)| *number).sum())
    }

    /// A service is gone: its last points stand in one snapshot more, its end in the one after a
    /// [`Red::tick`], and another tick frees what it held.
    pub fn retire(&mut self, entity: EntityId) {
        if let Some(service) = self.services.get_mut(&entity)
            && service.phase == Phase::Live
        {
            service.phase = Phase::Last;
        }
    }

    /// Everything as it stands, by service.
    pub fn snapshot(&self) -> Vec<(EntityId, Scope)> {
        let scope = |service: &Service| service.scope(self.config.guessed_as_template);
        let mut scopes: Vec<_> = self
            .services
            .iter()
            .map(|(entity, service)| (*entity, scope(service)))
            .filter(|(_, scope)| !scope.metrics.is_empty())
            .collect();
        scopes.sort_unstable_by_key(|(entity, _)| *entity);
        scopes
    }

    /// The snapshot of this moment has been taken: what stands in one snapshot only is forgotten, and
    /// series that come begin `now`.
    pub fn tick(&mut self, now: WallTime) {
        self.now = Now { since: now, tick: self.now.tick + 1 };
        let counters = &mut self.counters;
        let mut exemplars = 0;
        self.services.retain(|_, service| {
            service.forget_moved();
            exemplars += service.age();
            match service.phase {
                Phase::Live => {}
                Phase::Last => service.phase = Phase::Ended,
                Phase::Ended => {
                    free(service, counters);
                    return false;
                }
            }
            true
        });
        self.exemplars = exemplars;
    }

    /// What is counted, by service, role and route: for the live view.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = BTreeMap::new();
        for (entity, service) in &self.services {
            if service.phase == Phase::Ended {
                continue;
            }
            // Of what went over the budget only the sum is known, not what failed.
            let overflow = service.overflow.iter().flatten().map(|s| (&**s, RouteId::NONE, false));
            let series = service.series.iter().map(|s| (s, s.labels.route, s.labels.failed()));
            for (series, route, failed) in series.chain(overflow) {
                let role = series.labels.role;
                let [duration, ..] = &series.histograms;
                let row = rows.entry((*entity, role, route)).or_insert_with(|| Row {
                    entity: *entity,
                    role,
                    route: service.route_text(role, route),
                    count: 0,
                    errors: 0,
                    duration: Histogram::new(service::instruments(role)[0]),
                });
                row.count += duration.count;
                if failed {
                    row.errors += duration.count;
                }
                row.duration.merge(duration);
            }
        }
        rows.into_values().collect()
    }

    /// What this stage says of itself.
    pub fn counters(&self) -> Counters {
        Counters { services: self.services.len(), ..self.counters }
    }
}

/// The service, made if need be. One that was on its way out comes back; one whose end has been told
/// begins again.
fn live<'a>(
    services: &'a mut HashMap<EntityId, Box<Service>, ByNumber>,
    entity: EntityId,
    counters: &mut Counters,
) -> &'a mut Service {
    let service = services.entry(entity).or_insert_with(|| Box::new(Service::new()));
    if service.phase != Phase::Live {
        if service.phase == Phase::Ended {
            free(service, counters);
            **service = Service::new();
        }
        service.phase = Phase::Live;
    }
    service
}

fn free(service: &Service, counters: &mut Counters) {
    counters.series -= service.series.len();
    counters.routes -= service.server_routes.len() + service.client_routes.len();
}

/// A request that was refused, or never answered, makes no route.
fn minting(exchange: &Exchange<'_>) -> Minting {
    match exchange.status {
        None | Some(400 | 401 | 403 | 404 | 405 | 410 | 414 | 501) => Minting::Refused,
        Some(_) => Minting::Allowed,
    }
}
