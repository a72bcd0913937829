//! What was counted to what is shown: the difference from one look to the next.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::meter::Look;
use super::model::{Header, Row, View};
use crate::entity::EntityId;
use crate::metric::histogram::Histogram;
use crate::protocol::Role;
use crate::red;

type Counted = (EntityId, Role, Option<Arc<str>>);
type Shown = (Arc<str>, Role, Arc<str>);

/// Where a request has no route.
const NO_ROUTE: &str = "-";

/// Keeps what was counted at the last look.
#[derive(Debug, Default)]
pub struct Feed {
    before: HashMap<Counted, red::Row>,
    looked: bool,
}

/// What came since, of all instances that go by one name.
#[derive(Default)]
struct Sum {
    count: u64,
    errors: u64,
    duration: Option<Histogram>,
}

impl Feed {
    /// The view of what came since the last call, `elapsed` ago. The first one shows what there is
    /// and no rate: what was counted before anyone looked did not just come.
    ///
    /// `open` is how many requests each server instance has begun and not ended; they have no route
    /// yet, so their number stands in every server row of the service.
    pub fn view(
        &mut self,
        rows: Vec<red::Row>,
        open: &[(EntityId, u64)],
        name: impl Fn(EntityId) -> Arc<str>,
        used: &Look,
        elapsed: Duration,
        header: Header,
    ) -> View {
        let before = std::mem::take(&mut self.before);
        let mut sums: BTreeMap<Shown, Sum> = BTreeMap::new();
        for row in rows {
            let counted = (row.entity, row.role, row.route.clone());
            let route = row.route.clone().unwrap_or_else(|| Arc::from(NO_ROUTE));
            let sum = sums.entry((name(row.entity), row.role, route)).or_default();
            if self.looked {
                sum.add(&row, before.get(&counted));
            }
            self.before.insert(counted, row);
        }
        self.looked = true;
        let mut waiting: HashMap<Arc<str>, u64> = HashMap::new();
        for (entity, open) in open.iter().filter(|(_, open)| *open > 0) {
            let service = name(*entity);
            let known =
                sums.keys().any(|(known, role, _)| *known == service && *role == Role::Server);
            if !known {
                // Its first request hangs: nothing is counted yet.
                sums.insert(
                    (Arc::clone(&service), Role::Server, Arc::from(NO_ROUTE)),
                    Sum::default(),
                );
            }
            let sum = waiting.entry(service).or_default();
            *sum = sum.saturating_add(*open);
        }
        let mut services: BTreeMap<(Arc<str>, Role), Sum> = BTreeMap::new();
        for ((service, role, _), sum) in &sums {
            services.entry((Arc::clone(service), *role)).or_default().join(sum);
        }
        // What a service is asked says more of it than what it asks; that stands among the routes.
        let servers: Vec<Arc<str>> = services
            .keys()
            .filter(|(_, role)| *role == Role::Server)
            .map(|(service, _)| Arc::clone(service))
            .collect();
        services.retain(|(service, role), _| *role == Role::Server || !servers.contains(service));
        for service in used.services.keys() {
            if !services.keys().any(|(known, _)| known == service) {
                services.insert((Arc::clone(service), Role::Server), Sum::default());
            }
        }
        let all = services
            .into_iter()
            .map(|((service, role), sum)| ((service, role, Arc::from(NO_ROUTE)), sum));
        let row = |(shown, sum): (Shown, Sum)| sum.row(shown, &waiting, used, elapsed);
        View {
            header,
            host: used.host,
            services: all.map(row).collect(),
            rows: sums.into_iter().map(row).collect(),
            errors: Vec::new(),
            slowest: Vec::new(),
        }
    }
}

impl Sum {
    fn add(&mut self, now: &red::Row, before: Option<&red::Row>) {
        let (count, errors) = before.map_or((0, 0), |before| (before.count, before.errors));
        self.count = self.count.saturating_add(now.count.saturating_sub(count));
        self.errors = self.errors.saturating_add(now.errors.saturating_sub(errors));
        let duration = match before {
            Some(before) => now.duration.since(&before.duration),
            None => now.duration.clone(),
        };
        match &mut self.duration {
            Some(sum) => sum.merge(&duration),
            none => *none = Some(duration),
        }
    }

    fn join(&mut self, other: &Self) {
        let Self { count, errors, duration } = other;
        self.count = self.count.saturating_add(*count);
        self.errors = self.errors.saturating_add(*errors);
        match (&mut self.duration, duration) {
            (Some(sum), Some(more)) => sum.merge(more),
            (none, more) => *none = more.clone().or(none.take()),
        }
    }

    fn row(
        self,
        shown: Shown,
        waiting: &HashMap<Arc<str>, u64>,
        used: &Look,
        elapsed: Duration,
    ) -> Row {
        let (service, role, route) = shown;
        let Self { count, errors, duration } = self;
        let seconds = elapsed.as_secs_f64();
        let quantile = |q| duration.as_ref().filter(|d| d.count > 0).and_then(|d| d.quantile(q));
        Row {
            rate: if seconds > 0.0 { count as f64 / seconds } else { 0.0 },
            errors: if count > 0 { errors as f64 / count as f64 } else { 0.0 },
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            in_flight: (role == Role::Server).then(|| waiting.get(&service).copied().unwrap_or(0)),
            usage: used.services.get(&service).copied().unwrap_or_default(),
            service,
            role,
            route,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Feed;
    use crate::entity::EntityId;
    use crate::metric::histogram::Histogram;
    use crate::metric::instrument::http::HTTP_SERVER_REQUEST_DURATION as DURATION;
    use crate::protocol::Role;
    use crate::red;
    use crate::runtime::live::meter::Look;
    use crate::runtime::live::model::{Header, Usage, View};

    fn counted(entity: u32, millis: &[u64], errors: u64) -> red::Row {
        let mut duration = Histogram::new(&DURATION);
        for millis in millis {
            duration.record(&DURATION, millis * 1_000_000);
        }
        red::Row {
            entity: EntityId(entity),
            role: Role::Server,
            route: Some(Arc::from("/a")),
            count: millis.len() as u64,
            errors,
            duration,
        }
    }

    fn look(feed: &mut Feed, rows: Vec<red::Row>, open: &[(EntityId, u64)]) -> View {
        let name = |entity: EntityId| Arc::from(if entity.0 < 10 { "shop" } else { "bank" });
        let usage = Usage { cpu: Some(0.5), ..Usage::default() };
        let used = Look {
            services: [(Arc::from("shop"), usage), (Arc::from("idle"), usage)].into(),
            ..Look::default()
        };
        feed.view(rows, open, name, &used, Duration::from_secs(2), Header::default())
    }

    #[test]
    fn a_service_has_one_row_with_what_it_uses_and_one_without_requests_too() {
        let mut feed = Feed::default();
        let route = |millis: &[u64], name: &str, role| red::Row {
            route: Some(Arc::from(name)),
            role,
            ..counted(1, millis, 0)
        };
        let rows = |more: &[u64]| {
            let calls = route(&[5; 8], "/c", Role::Client);
            vec![route(more, "/a", Role::Server), route(more, "/b", Role::Server), calls]
        };
        look(&mut feed, rows(&[]), &[]);
        let view = look(&mut feed, rows(&[10, 20]), &[(EntityId(1), 1)]);
        let told: Vec<_> = view
            .services
            .iter()
            .map(|row| (&*row.service, row.role, row.rate, row.in_flight, row.usage.cpu))
            .collect();
        assert_eq!(
            told,
            [
                ("idle", Role::Server, 0.0, Some(0), Some(0.5)),
                ("shop", Role::Server, 2.0, Some(1), Some(0.5)),
            ]
        );
        assert_eq!(view.rows.len(), 3);
        assert!(view.rows.iter().all(|row| row.usage.cpu == Some(0.5)));
    }

    #[test]
    fn a_view_tells_what_came_since_the_last_one_of_all_instances_together() {
        let mut feed = Feed::default();
        let mut check = |rows, rate: f64, errors: f64, about: Option<f64>| {
            let view = look(&mut feed, rows, &[]);
            let [row] = view.rows.as_slice() else { panic!("{view:?}") };
            assert_eq!((&*row.service, &*row.route), ("shop", "/a"));
            assert_eq!((row.rate, row.errors), (rate, errors));
            let near = |value: f64| about.is_some_and(|about| (value / about - 1.0).abs() < 0.1);
            assert!(row.p50.map_or(about.is_none(), near), "{:?}", row.p50);
        };
        // What was counted before anyone looked is no rate.
        check(vec![counted(1, &[900; 50], 7), counted(2, &[900; 9], 0)], 0.0, 0.0, None);
        let more: Vec<u64> = [900; 50].into_iter().chain([10; 6]).collect();
        check(vec![counted(1, &more, 9), counted(2, &[900; 9], 0)], 3.0, 2.0 / 6.0, Some(0.01));
        // One instance is gone: that is no traffic, and takes none away.
        check(vec![counted(1, &more, 9)], 0.0, 0.0, None);
        check(vec![counted(1, &more, 9), counted(3, &[20; 4], 4)], 2.0, 1.0, Some(0.02));
    }

    #[test]
    fn a_first_request_that_hangs_has_a_row() {
        let mut feed = Feed::default();
        let open = [(EntityId(1), 2), (EntityId(2), 1), (EntityId(11), 4), (EntityId(12), 0)];
        let view = look(&mut feed, vec![counted(1, &[1], 0)], &open);
        let rows: Vec<_> =
            view.rows.iter().map(|row| (&*row.service, &*row.route, row.in_flight)).collect();
        assert_eq!(rows, [("bank", "-", Some(4)), ("shop", "/a", Some(3))]);
    }
}
