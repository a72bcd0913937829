//! The series of one service instance.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::metric::exemplar::Exemplar;
use crate::metric::histogram::Histogram;
use crate::metric::instrument::{Instrument, http as metric};
use crate::metric::key;
use crate::metric::snapshot::{Attribute, Data, Metric, Number, Point, Scope, Value, WallTime};
use crate::protocol::{Exchange, Fault, Method, Role};

use super::far::{FarEnds, FarId};
use super::hash::ByNumber;
use super::label::{self, Labels};
use super::reach::Reach;
use super::route::{Change, OTHER, RouteId, Routes, Rules};
use super::server::{ServerId, Servers};
use super::why::Whys;

/// Why a connect failed, to which port, how far away, and to whom.
type Failure = (Fault, u16, Reach, FarId);
/// Kinds of failed connects that one service may have.
const FAILURES: usize = 64;
/// Where open connections go to, who is there, and whether they are idle.
type Opened = (ServerId, FarId, bool);
/// Kinds of open connections that are told apart by who is there.
const OPENED: usize = 512;

/// How far a service is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is there.
    Live,
    /// It is gone; its last points are still to be told.
    Last,
    /// Its end is to be told.
    Ended,
}

/// The instruments that an exchange is recorded with.
pub(super) fn instruments(role: Role) -> [&'static Instrument; 3] {
    match role {
        Role::Server => [
            &metric::HTTP_SERVER_REQUEST_DURATION,
            &metric::HTTP_SERVER_REQUEST_BODY_SIZE,
            &metric::HTTP_SERVER_RESPONSE_BODY_SIZE,
        ],
        Role::Client => [
            &metric::HTTP_CLIENT_REQUEST_DURATION,
            &metric::HTTP_CLIENT_REQUEST_BODY_SIZE,
            &metric::HTTP_CLIENT_RESPONSE_BODY_SIZE,
        ],
    }
}

/// Duration, request and response size of the exchanges with the same labels.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) labels: Labels,
    /// When its counting began.
    start: WallTime,
    /// The tick in which it got its labels: within it they have been told to nobody.
    born: u64,
    pub(super) histograms: [Histogram; 3],
}

impl Series {
    fn new(labels: Labels, now: Now) -> Self {
        let histograms = instruments(labels.role).map(Histogram::new);
        Self { labels, start: now.since, born: now.tick, histograms }
    }

    #[inline]
    pub(super) fn record(&mut self, exchange: &Exchange<'_>) {
        let [duration, request, response] = &mut self.histograms;
        let [of_duration, of_request, of_response] = instruments(exchange.role);
        duration.record(of_duration, exchange.ended.since(exchange.begun).0);
        request.record(of_request, exchange.request_body);
        response.record(of_response, exchange.response_body);
    }

    /// Has a span stand for its buckets; gives how many exemplars more there are.
    pub(super) fn exemplify(&mut self, exemplars: [Exemplar; 3]) -> usize {
        let before = self.exemplars();
        let instruments = instruments(self.labels.role);
        for ((histogram, instrument), exemplar) in
            self.histograms.iter_mut().zip(instruments).zip(exemplars)
        {
            histogram.exemplify(instrument, exemplar);
        }
        self.exemplars() - before
    }

    /// An interval has ended; gives how many exemplars there still are.
    fn age(&mut self) -> usize {
        self.histograms.iter_mut().for_each(|histogram| histogram.exemplars.age());
        self.exemplars()
    }

    fn exemplars(&self) -> usize {
        self.histograms.iter().map(|histogram| histogram.exemplars.len()).sum()
    }

    fn merge(&mut self, other: &Self) {
        self.start = self.start.min(other.start);
        for (held, more) in self.histograms.iter_mut().zip(&other.histograms) {
            held.merge(more);
        }
    }
}

/// The moment that series begin in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Not after anything that is observed.
    pub(super) since: WallTime,
    /// How many ticks there were.
    pub(super) tick: u64,
}

/// A series that goes on inside another.
#[derive(Debug)]
struct Moved {
    role: Role,
    attributes: Arc<[Attribute]>,
    start: WallTime,
    /// The other's labels, packed.
    to: u64,
}

/// One service instance.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) phase: Phase,
    pub(super) server_routes: Routes,
    pub(super) client_routes: Routes,
    pub(super) servers: Servers,
    pub(super) fars: FarEnds,
    places: HashMap<u64, u32, ByNumber>,
    pub(super) series: Vec<Series>,
    /// Where the time went.
    pub(super) why: Whys,
    /// For all that there is no room for, by role.
    pub(super) overflow: [Option<Box<Series>>; 2],
    moved: Vec<Moved>,
    failures: BTreeMap<Option<Failure>, (u64, WallTime)>,
    pub(super) active: BTreeMap<Method, (i64, WallTime)>,
    pub(super) open: BTreeMap<Opened, (i64, WallTime)>,
}

impl Service {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Live,
            server_routes: Routes::default(),
            client_routes: Routes::default(),
            servers: Servers::default(),
            fars: FarEnds::default(),
            places: HashMap::default(),
            series: Vec::new(),
            why: Whys::default(),
            overflow: [None, None],
            moved: Vec::new(),
            failures: BTreeMap::new(),
            active: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

    pub(super) fn routes(&mut self, role: Role) -> &mut Routes {
        match role {
            Role::Server => &mut self.server_routes,
            Role::Client => &mut self.client_routes,
        }
    }

    /// The series of these labels, if it is there.
    #[inline]
    pub(super) fn find(&mut self, labels: Labels) -> Option<&mut Series> {
        let place = *self.places.get(&labels.packed())?;
        self.series.get_mut(place as usize)
    }

    /// Makes a series for labels that have none.
    pub(super) fn add(&mut self, labels: Labels, now: Now) -> Option<&mut Series> {
        let place = u32::try_from(self.series.len()).ok()?;
        self.places.insert(labels.packed(), place);
        self.series.push(Series::new(labels, now));
        self.series.last_mut()
    }

    /// The series for all that there is no room for; its labels but for the role mean nothing.
    pub(super) fn overflow(&mut self, labels: Labels, now: Now) -> &mut Series {
        let [server, client] = &mut self.overflow;
        let held = if labels.role == Role::Server { server } else { client };
        held.get_or_insert_with(|| Box::new(Series::new(labels, now)))
    }

    /// Counts under another route what was counted under one that is no more. Returns how many series
    /// fewer there are.
    pub(super) fn apply(
        &mut self,
        role: Role,
        changes: &[Change],
        now: Now,
        guessed_as_template: bool,
    ) -> usize {
        let before = self.series.len();
        for change in changes {
            let mut place = 0;
            while let Some(series) = self.series.get(place) {
                if series.labels.role == role && series.labels.route == change.from {
                    self.relabel(
                        place,
                        Labels { route: change.to, ..series.labels },
                        now,
                        guessed_as_template,
                    );
                } else {
                    place += 1;
                }
            }
        }
        before - self.series.len()
    }

    /// Gives the series at `place` other labels; it is last afterwards, or part of another.
    fn relabel(&mut self, place: usize, labels: Labels, now: Now, guessed_as_template: bool) {
        let attributes =
            self.series.get(place).map(|s| self.attributes(s.labels, guessed_as_template));
        let mut series = self.series.swap_remove(place);
        let (from, to) = (series.labels.packed(), labels.packed());
        self.places.remove(&from);
        if let (Some(other), Ok(at)) = (self.series.get(place), u32::try_from(place)) {
            self.places.insert(other.labels.packed(), at);
        }
        for moved in self.moved.iter_mut().filter(|m| m.to == from) {
            moved.to = to;
        }
        if let (true, Some(attributes)) = (series.born < now.tick, attributes) {
            self.moved.push(Moved { role: labels.role, attributes, start: series.start, to });
        }
        if let Some(held) = self.find(labels) {
            held.merge(&series);
        } else if let Ok(last) = u32::try_from(self.series.len()) {
            series.labels = labels;
            series.born = now.tick;
            self.places.insert(to, last);
            self.series.push(series);
        }
    }

    /// Counts a connect that came to nothing.
    pub(super) fn connect_failed(&mut self, failure: Failure, now: Now) {
        let has = |key| self.failures.contains_key(&key);
        let (fault, port, reach, far) = failure;
        let nameless = Some((fault, port, reach, FarId::NONE));
        // Names take half of the room: why and where come before to whom.
        let named = self.failures.keys().flatten().filter(|(.., far)| *far != FarId::NONE).count();
        let key = if has(Some(failure)) || (far != FarId::NONE && named < FAILURES / 2) {
            Some(failure)
        } else if has(nameless) || self.failures.len() < FAILURES {
            nameless
        } else {
            None
        };
        self.failures.entry(key).or_insert((0, now.since)).0 += 1;
    }

    /// Counts an open connection.
    pub(super) fn open(&mut self, opened: Opened, since: WallTime) {
        let (server, _, idle) = opened;
        let known = self.open.len() < OPENED || self.open.contains_key(&opened);
        let opened = if known { opened } else { (server, FarId::NONE, idle) };
        self.open.entry(opened).or_insert((0, since)).0 += 1;
    }

    /// An interval has ended; gives how many exemplars there still are.
    pub(super) fn age(&mut self) -> usize {
        let overflow = self.overflow.iter_mut().flatten().map(|series| &mut **series);
        self.series.iter_mut().chain(overflow).map(Series::age).sum()
    }

    /// What stood in the snapshot before is told no more.
    pub(super) fn forget_moved(&mut self) {
        self.moved.clear();
    }

    fn attributes(&self, labels: Labels, guessed_as_template: bool) -> Arc<[Attribute]> {
        let routes = match labels.role {
            Role::Server => &self.server_routes,
            Role::Client => &self.client_routes,
        };
        let (server, far) = (self.servers.name(labels.server), self.fars.name(labels.far));
        let far = far.map(|far| &**far);
        labels.attributes(routes.name(labels.route), server, far, guessed_as_template)
    }

    /// How a route reads, if it is one.
    pub(super) fn route_text(&self, role: Role, route: RouteId) -> Option<Arc<str>> {
        let routes = match role {
            Role::Server => &self.server_routes,
            Role::Client => &self.client_routes,
        };
        if route == RouteId::OTHER {
            return Some(OTHER.into());
        }
        routes.name(route).map(|name| name.text.clone())
    }

    /// How a route reads and whether it was guessed, if it is one.
    pub(super) fn route(&self, role: Role, route: RouteId) -> Option<(Arc<str>, bool)> {
        let routes = match role {
            Role::Server => &self.server_routes,
            Role::Client => &self.client_routes,
        };
        routes.name(route).map(|name| (name.text.clone(), name.guessed))
    }

    /// How the route of a path reads and whether it was guessed, if it has one.
    pub(super) fn route_of(
        &self,
        rules: &Rules,
        role: Role,
        path: &str,
    ) -> Option<(Arc<str>, bool)> {
        let routes = match role {
            Role::Server => &self.server_routes,
            Role::Client => &self.client_routes,
        };
        let name = routes.name(routes.find(rules, path)?)?;
        Some((name.text.clone(), name.guessed))
    }

    /// How long the exchanges of a route took, whatever came of them.
    pub(super) fn duration(&self, role: Role, route: RouteId) -> Histogram {
        let [of_duration, ..] = instruments(role);
        let mut all = Histogram::new(of_duration);
        let of_route = |labels: &Labels| labels.role == role && labels.route == route;
        for series in self.series.iter().filter(|series| of_route(&series.labels)) {
            let [duration, ..] = &series.histograms;
            all.merge(duration);
        }
        all
    }

    /// Everything as it stands.
    pub(super) fn scope(&self, guessed_as_template: bool) -> Scope {
        let mut metrics = Vec::new();
        for role in [Role::Server, Role::Client] {
            metrics.extend(self.exchanges(role, guessed_as_template));
        }
        metrics.extend(self.why.metrics(self.phase == Phase::Ended));
        self.push_numbers(&mut metrics);
        Scope { name: super::SCOPE, metrics }
    }

    fn exchanges(&self, role: Role, guessed_as_template: bool) -> Vec<Metric> {
        let ended = self.phase == Phase::Ended;
        let mut points: [Vec<Point>; 3] = Default::default();
        // A series that went on in another ended before that one told more.
        for moved in self.moved.iter().filter(|m| m.role == role) {
            let to = self.places.get(&moved.to).and_then(|at| self.series.get(*at as usize));
            let data = match to {
                Some(to) => Data::Moved(self.attributes(to.labels, guessed_as_template)),
                None => Data::Ended,
            };
            for points in &mut points {
                let attributes = moved.attributes.clone();
                points.push(Point { attributes, start: moved.start, data: data.clone() });
            }
        }
        let [server, client] = &self.overflow;
        let overflow = if role == Role::Server { server } else { client };
        let series = self.series.iter().filter(|s| s.labels.role == role);
        let series = series.map(|s| (s, self.attributes(s.labels, guessed_as_template)));
        let overflow = overflow.iter().map(|s| (&**s, label::overflow()));
        for (series, attributes) in series.chain(overflow) {
            for (points, histogram) in points.iter_mut().zip(&series.histograms) {
                let data =
                    if ended { Data::Ended } else { Data::Histogram(Box::new(histogram.clone())) };
                points.push(Point { attributes: attributes.clone(), start: series.start, data });
            }
        }
        std::iter::zip(instruments(role), points)
            .filter(|(_, points)| !points.is_empty())
            .map(|(instrument, points)| Metric { instrument, points })
            .collect()
    }

    fn push_numbers(&self, metrics: &mut Vec<Metric>) {
        let ended = self.phase == Phase::Ended;
        let point = |mut attributes: Vec<Attribute>, start, number| {
            attributes.sort_unstable_by_key(|(key, _)| *key);
            let data = if ended { Data::Ended } else { Data::Number(Number::Int(number)) };
            Point { attributes: attributes.into(), start, data }
        };
        let mut push = |instrument, points: Vec<Point>| {
            if !points.is_empty() {
                metrics.push(Metric { instrument, points });
            }
        };
        let active = self.active.iter().map(|(method, (number, start))| {
            let method = (key::HTTP_REQUEST_METHOD, Value::Static(label::method(*method)));
            point(vec![method, (key::URL_SCHEME, Value::Static("http"))], *start, *number)
        });
        push(&metric::HTTP_SERVER_ACTIVE_REQUESTS, active.collect());
        let open = self.open.iter().map(|((server, far, idle), (number, start))| {
            let state = Value::Static(if *idle { "idle" } else { "active" });
            let mut attributes = vec![(key::HTTP_CONNECTION_STATE, state)];
            label::push_server(&mut attributes, *server, self.servers.name(*server));
            label::push_far(&mut attributes, self.fars.name(*far).map(|far| &**far));
            point(attributes, *start, *number)
        });
        push(&metric::HTTP_CLIENT_OPEN_CONNECTIONS, open.collect());
        let failures = self.failures.iter().map(|(failure, (number, start))| {
            let attributes = match failure {
                Some((fault, port, reach, far)) => {
                    let mut attributes = vec![
                        (key::ERROR_TYPE, Value::Static(label::error_type(*fault))),
                        (key::SERVER_PORT, Value::Int((*port).into())),
                        (key::STETH_PEER_REACH, Value::Static(reach.name())),
                    ];
                    label::push_far(&mut attributes, self.fars.name(*far).map(|far| &**far));
                    attributes
                }
                None => label::overflow().to_vec(),
            };
            point(attributes, *start, i64::try_from(*number).unwrap_or(i64::MAX))
        });
        push(&metric::STETH_TCP_CONNECT_FAILURES, failures.collect());
    }
}
