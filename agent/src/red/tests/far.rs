//! Who is at the far end: found out once a connection, told of so many and no more.

use super::*;
use crate::cluster::{self, Cluster, News, Pod, PodUid, Source};
use crate::red::far::FARS;

/// What is known where these pods are, by address.
fn cluster(pods: &[(&str, [u8; 4])]) -> Cluster {
    let mut cluster = Cluster::new(cluster::Config::default(), Timestamp::default());
    for (name, address) in pods {
        cluster.learn(there(name, *address));
    }
    cluster
}

fn there(name: &str, address: [u8; 4]) -> News {
    let mut pod = Pod::new(PodUid::new(name), "shop", name);
    pod.addresses = vec![address.into()];
    News::Pod(Source::Server, Box::new(pod), Vec::new())
}

fn at(address: [u8; 4]) -> Peer {
    let address = std::net::Ipv4Addr::from(address).to_ipv6_mapped().octets();
    Peer { address, port: 80, local_port: 9 }
}

/// Far ends with what is counted of them.
fn fars(red: &Red, instrument: &str) -> Vec<String> {
    let far = |labels: &str| {
        let words = labels.split(' ').filter_map(|word| word.strip_prefix("service.peer."));
        words.collect::<Vec<_>>().join(" ")
    };
    let points = told(red, ONE, instrument).into_iter();
    let mut fars: Vec<_> =
        points.map(|(labels, count)| format!("{} {count}", far(&labels))).collect();
    fars.sort();
    fars
}

const ASKED: &str = "http.client.request.duration";

#[test]
fn a_client_says_who_is_at_the_far_end_once_a_connection() {
    let mut red = red(Config::default());
    let mut cluster = cluster(&[("cart", [10, 0, 0, 7])]);
    let mut ask = |conn, peer, cluster: &Cluster| {
        let exchange = exchange(Role::Client, "/", Some(200));
        red.observe(ONE, &Exchange { conn: ConnId(conn), peer, ..exchange }, Some(cluster.fars()));
        fars(&red, ASKED)
    };
    let (known, late) = (at([10, 0, 0, 7]), at([10, 0, 0, 8]));
    assert_eq!(ask(1, known, &cluster), ["name=cart namespace=shop 1"]);
    assert_eq!(ask(2, late, &cluster), [" 1", "name=cart namespace=shop 1"]);
    // It is another's from now on, which an open connection is not to.
    cluster.learn(there("next", [10, 0, 0, 7]));
    assert_eq!(ask(1, known, &cluster), [" 1", "name=cart namespace=shop 2"]);
    let both = [" 1", "name=cart namespace=shop 2", "name=next namespace=shop 1"];
    assert_eq!(ask(3, known, &cluster), both);
    // What becomes known late is told from then on, and what was told stays as it was.
    cluster.learn(there("late", [10, 0, 0, 8]));
    let all = [" 1", both[1], "name=late namespace=shop 1", both[2]];
    assert_eq!(ask(2, late, &cluster), all);
    let far = |conn| red.far(ONE, ConnId(conn), &Counted::NOWHERE).map(|far| far.name.to_string());
    assert_eq!(
        [1, 2, 3, 4].map(far),
        [Some("cart"), Some("late"), Some("next"), None].map(|far| far.map(str::to_owned))
    );
    let exchange = exchange(Role::Server, "/", Some(200));
    red.observe(ONE, &Exchange { peer: known, ..exchange }, Some(cluster.fars()));
    assert_eq!(fars(&red, "http.server.request.duration"), [" 1"]);
}

#[test]
fn an_address_of_one_who_is_gone_may_be_anothers_soon() {
    let mut red = red(Config::default());
    let mut cluster = cluster(&[("cart", [10, 0, 0, 7])]);
    cluster.learn(News::Gone(Source::Server, PodUid::new("cart")));
    let peer = at([10, 0, 0, 7]);
    let mut ask = |cluster: &Cluster| {
        let exchange = Exchange { conn: ConnId(1), peer, ..exchange(Role::Client, "/", None) };
        red.observe(ONE, &exchange, Some(cluster.fars()));
        fars(&red, "http.client.request.duration")
    };
    assert_eq!(ask(&cluster), ["name=cart namespace=shop 1"]);
    cluster.learn(there("next", [10, 0, 0, 7]));
    let both = ["name=cart namespace=shop 1", "name=next namespace=shop 1"];
    assert_eq!(ask(&cluster), both);
}

#[test]
fn a_closed_connection_is_forgotten() {
    let mut red = red(Config::default());
    let mut cluster = cluster(&[("cart", [10, 0, 0, 7])]);
    let peer = at([10, 0, 0, 7]);
    let open = |conn| Open { entity: ONE, conn: ConnId(conn), authority: None, peer, idle: true };
    red.gauges(std::iter::empty(), [open(1), open(2)].into_iter(), Some(cluster.fars()));
    cluster.learn(there("next", [10, 0, 0, 7]));
    red.gauges(std::iter::empty(), [open(1), open(3)].into_iter(), Some(cluster.fars()));
    let connections = ["name=cart namespace=shop 1", "name=next namespace=shop 1"];
    assert_eq!(fars(&red, "http.client.open_connections"), connections);
    let held = [1, 2, 3].map(|conn| red.far(ONE, ConnId(conn), &Counted::NOWHERE).is_some());
    assert_eq!(held, [true, false, true]);
}

#[test]
fn far_ends_beyond_the_budget_are_told_without_a_name() {
    let mut red = red(Config::default());
    let many: Vec<(String, [u8; 4])> = (0..100).map(|i| (format!("p{i}"), [10, 0, 0, i])).collect();
    let pods: Vec<_> = many.iter().map(|(name, address)| (name.as_str(), *address)).collect();
    let cluster = cluster(&pods);
    for (i, (_, address)) in many.iter().enumerate() {
        let conn = ConnId(i as u64 + 1);
        let exchange = Exchange { conn, peer: at(*address), ..exchange(Role::Client, "/", None) };
        red.observe(ONE, &exchange, Some(cluster.fars()));
        let far = cluster.fars().at(exchange.peer.address);
        red.connect_failed(ONE, Fault::Refused, &exchange.peer, far);
    }
    // Names of far ends take half of the kinds of failure at most: the rest is for where and why.
    for (instrument, named) in [(ASKED, FARS), ("steth.tcp.connect.failures", 32)] {
        let fars = fars(&red, instrument);
        let nameless = format!(" {}", 100 - named);
        assert_eq!((fars.len(), &fars[0]), (named + 1, &nameless), "{instrument}");
    }
    assert_eq!(red.counters().other_far, 2 * (100 - FARS as u64));
    assert_eq!(sums(&red)[ASKED], 100);
}
