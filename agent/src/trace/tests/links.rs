//! Trees: joined where the evidence is whole, roots where it is not, never a wrong parent.

use proptest::prelude::*;

use super::*;
use crate::metric::key::{STETH_LINK_METHOD as METHOD, STETH_LINK_MISSING as MISSING};

const PARENT: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";

fn check(asks: &[Ask], expect: &[&str]) {
    for asks in [asks.to_vec(), asks.iter().rev().cloned().collect()] {
        let (spans, _) = spans(config(), &asks);
        assert_eq!(told(&spans, &[METHOD, MISSING]), expect.join("\n"));
    }
}

#[test]
fn both_ends_of_a_connection_are_one_trace() {
    let (client, server) = (asked("/items/1", 200, (10, 50)), served("/items/1", 200, (20, 40)));
    check(
        &[client.clone(), server.clone()],
        &["1 Client GET root - no_request", "2 Server GET /items/{id} under 1 connection -"],
    );
    let (spans, _) = spans(config(), &[client, server]);
    assert_eq!(spans[0].trace, spans[1].trace);
    assert_ne!(spans[0].id, spans[1].id);
}

#[test]
fn a_context_in_the_head_is_the_parent_of_the_first_span_that_has_it() {
    let client = with(asked("/items/1", 200, (10, 50)), PARENT);
    let server = with(served("/items/1", 200, (20, 40)), PARENT);
    let alone = ["2 Server GET /items/{id} 00f067aa0ba902b7 context -"];
    check(std::slice::from_ref(&server), &alone);
    check(
        &[client, server],
        &[
            "1 Client GET 00f067aa0ba902b7 context -",
            "2 Server GET /items/{id} under 1 connection -",
        ],
    );
}

#[test]
fn what_does_not_fit_stays_apart() {
    let client = asked("/items/1", 200, (10, 50));
    let server = served("/items/1", 200, (20, 40));
    let root = "1 Client GET root - no_request";
    let apart = |server: Ask, why: &str| {
        check(
            &[client.clone(), server],
            &[root, &format!("2 Server GET /items/{{id}} root - {why}")],
        );
    };
    let at = |port, local_port| Peer { port, local_port, ..server.peer };
    apart(Ask { peer: at(CLIENT_PORT + 1, SERVER_PORT), ..server.clone() }, "peer_not_seen");
    apart(Ask { peer: at(CLIENT_PORT, SERVER_PORT + 1), ..server.clone() }, "peer_not_seen");
    let other = Peer { address: [10; 16], ..server.peer };
    apart(Ask { peer: other, ..server.clone() }, "peer_not_seen");
    apart(Ask { peer: Peer::default(), ..server.clone() }, "no_address");
    apart(served("/items/2", 200, (20, 40)), "peer_not_seen");
    apart(served("/items/1", 204, (20, 40)), "peer_not_seen");
    apart(served("/items/1", 200, (50, 60)), "peer_not_seen");
    apart(served("/items/1", 200, (5, 9)), "peer_not_seen");
    apart(with(server.clone(), "User-Agent: x\r\n"), "peer_not_seen");
    apart(with(server.clone(), PARENT).with_context_cut(), "peer_not_seen");
}

impl Ask {
    fn with_context_cut(self) -> Self {
        // The line is the head's last and was not seen whole.
        let head = self.head.replace("-01\r\n\r\n", "-0");
        Self { head, cut: true, ..self }
    }
}

#[test]
fn two_that_fit_join_nobody() {
    // Two namespaces with the same ports, the same request at the same time.
    let twin = |ask: Ask, conn| Ask { conn, entity: ask.entity + 10, ..ask };
    let client = asked("/items/1", 200, (10, 50));
    let server = served("/items/1", 200, (20, 40));
    check(
        &[client.clone(), twin(client.clone(), 11), server.clone(), twin(server.clone(), 12)],
        &[
            "1 Client GET root - no_request",
            "11 Client GET root - no_request",
            "12 Server GET /items/{id} root - ambiguous",
            "2 Server GET /items/{id} root - ambiguous",
        ],
    );
    // One of them was not seen: the one that was seen fits both.
    check(
        &[client.clone(), twin(client, 11), server],
        &[
            "1 Client GET root - no_request",
            "11 Client GET root - no_request",
            "2 Server GET /items/{id} root - ambiguous",
        ],
    );
}

#[test]
fn a_connection_that_was_joined_is_joined_with_no_third() {
    let mut trace = Trace::new(config());
    tell(&mut trace, &asked("/a", 200, (10, 50)));
    tell(&mut trace, &served("/a", 200, (20, 40)));
    trace.tick(Timestamp(5000), &COUNTS);
    // The client's next record is lost; a stranger of the same ports asks the same.
    tell(&mut trace, &Ask { conn: 77, ..asked("/a", 200, (6000, 6050)) });
    tell(&mut trace, &served("/a", 200, (6020, 6040)));
    trace.finish(&COUNTS);
    let spans = trace.take();
    let expect = "1 Client GET root - no_request\n1 Client GET root - no_request\n\
                  2 Server GET /items/{id} root - out_of_order\n\
                  2 Server GET /items/{id} under 1 connection -";
    assert_eq!(told(&spans, &[METHOD, MISSING]), expect);
}

/// The times of `n` requests on one keep-alive connection: client's and server's.
fn conversation(gaps: &[(u64, u64, u64, u64)]) -> Vec<((u64, u64), (u64, u64))> {
    let mut now = 1000;
    gaps.iter()
        .map(|(before, there, work, back)| {
            let begun = now + before + 1;
            let taken = begun + there;
            let answered = taken + work + 1;
            let ended = answered + back + 1;
            now = ended;
            ((begun, ended), (taken, answered))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Records may be lost at either end, come in any order of the ends, and one before the other where a sweep
    /// tells it ahead of the ring; stamps of a server may be taken late. What is joined is joined rightly, and if
    /// nothing is lost everything is joined.
    #[test]
    fn no_parent_is_wrong_on_a_keep_alive_connection(
        gaps in prop::collection::vec((0u64..30, 0u64..30, 0u64..30, 0u64..30), 1..40),
        lost in prop::collection::vec(0u8..12, 80),
        client_first: bool,
        late in prop::collection::vec(0u64..40, 40),
        slow in prop::collection::vec(0u64..40, 40),
        early in prop::collection::vec(0u8..8, 80),
    ) {
        let times = conversation(&gaps);
        let mut ends = [Vec::new(), Vec::new()];
        let mut nothing_lost = true;
        for (n, (client, server)) in times.iter().enumerate() {
            let next = times.get(n + 1).map_or(u64::MAX, |(_, server)| server.0);
            let late = late[n].min(next.saturating_sub(server.1 + 1));
            let server = (server.0, server.1 + late);
            // The client's call may be over only when the server has read already.
            let most = server.1.min(client.1).saturating_sub(client.0 + 1);
            let client = (client.0 + slow[n].min(most), client.1);
            let at = |ask: Ask| Ask { position: 100 * n as u64, ..ask };
            let mut put = |end: usize, ask| {
                if lost[2 * n + end] == 0 { nothing_lost = false } else { ends[end].push(at(ask)) }
            };
            // The path is the same for all: only time and order tell them apart.
            put(0, asked("/same", 200, client));
            put(1, served("/same", 200, server));
        }
        for (end, asks) in ends.iter_mut().enumerate() {
            // The first of a connection comes first: it says how the positions of both ends stand to each other.
            for n in 2..asks.len() {
                if early[2 * n + end] == 0 {
                    asks.swap(n - 1, n);
                }
            }
        }
        let asks: Vec<Ask> = if client_first { ends.concat() } else { [&ends[1][..], &ends[0]].concat() };
        let (spans, _) = spans(Config { hold: Nanos(1 << 40), ..config() }, &asks);
        for server in spans.iter().filter(|span| span.role == Role::Server) {
            let place = times.iter().find(|(_, server_at)| server_at.0 == server.begun.0);
            let expect = place.map(|(client, _)| client.1);
            match server.parent {
                Some(id) => {
                    let parent = spans.iter().find(|span| span.id == id).unwrap();
                    prop_assert_eq!(Some(parent.ended.0), expect);
                    prop_assert_eq!(parent.trace, server.trace);
                }
                None => prop_assert!(!nothing_lost, "not joined: {:?}", server.begun),
            }
        }
    }
}

#[test]
fn a_trace_of_many_services_is_kept_as_one() {
    // Of the share nothing is kept; the error far down keeps all of the trace.
    let none = Sampler { threshold: Threshold::NONE, parent: Parent::Ignored, tail: true };
    let hop = |n: u16, status| {
        let at = |peer: Peer| match peer.local_port {
            SERVER_PORT => Peer { port: CLIENT_PORT + n, ..peer },
            _ => Peer { local_port: CLIENT_PORT + n, ..peer },
        };
        let n = u64::from(n);
        let move_to = |ask: Ask, conn| Ask {
            conn: conn + 10 * n,
            entity: ask.entity + n as u32,
            peer: at(ask.peer),
            ..with(ask, PARENT)
        };
        [
            move_to(asked("/", status, (10 + n, 50 - n)), 1),
            move_to(served("/", status, (20 + n, 40 - n)), 2),
        ]
    };
    let asks = [hop(0, 200), hop(1, 200), hop(2, 503)].concat();
    let (kept, _) = spans(Config { sampler: none, ..config() }, &asks);
    assert_eq!(kept.len(), 6);
    let fine = [hop(0, 200), hop(1, 200)].concat();
    let (kept, counters) = spans(Config { sampler: none, ..config() }, &fine);
    assert_eq!((kept.len(), counters.left[Left::Ratio as usize]), (0, 4));
}

#[test]
fn one_trace_id_for_everything_makes_no_tree_without_end() {
    let mut trace = Trace::new(config());
    for n in 0..5000_u64 {
        let ask = with(served("/", 200, (n, n + 1)), PARENT);
        tell(&mut trace, &Ask { conn: n, peer: Peer { port: n as u16, ..ask.peer }, ..ask });
    }
    trace.finish(&COUNTS);
    assert_eq!(trace.take().len(), 5000);
}

mod translated {
    //! Ports that are translated between the ends, with what the kernel's tracking says of them.

    use super::*;
    use crate::cluster::{self, Cluster, News, Pod, PodUid, Source};
    use crate::host::HostRoot;

    /// Of these lines of the table.
    fn table(lines: &[&str]) -> crate::host::Translations {
        let root = tempfile::tempdir().unwrap();
        let net = root.path().join("proc/1/net");
        std::fs::create_dir_all(&net).unwrap();
        std::fs::write(net.join("nf_conntrack"), lines.concat()).unwrap();
        crate::host::Translations::read(&HostRoot::new(root.path()), std::iter::empty()).unwrap()
    }

    /// To `10.0.0.9:8080`, which is `10.0.0.2:80`, by way of the port 1024 of `10.0.0.5`.
    const LINE: &str = "ipv4 2 tcp 6 99 ESTABLISHED src=10.0.0.1 dst=10.0.0.9 sport=40000 dport=8080 \
        src=10.0.0.2 dst=10.0.0.5 sport=80 dport=1024 [ASSURED] use=1\n";

    fn client() -> Ask {
        let peer = peer([10, 0, 0, 9], 8080, 40_000);
        Ask { peer, ..asked("/items/1", 200, (10, 50)) }
    }

    fn server() -> Ask {
        let peer = peer([10, 0, 0, 5], 1024, 80);
        Ask { peer, ..served("/items/1", 200, (20, 40)) }
    }

    fn check(asks: &[Ask], lines: &[&str], expect: &str) {
        for asks in [asks.to_vec(), asks.iter().rev().cloned().collect()] {
            let mut trace = Trace::new(config());
            for ask in &asks {
                tell(&mut trace, ask);
            }
            let _ = trace.strangers();
            trace.translate(&table(lines), None);
            trace.finish(&COUNTS);
            let mut spans = trace.take();
            spans.sort_by_key(|span| (span.entity.0, span.begun));
            let server = spans.iter().filter(|span| span.role == Role::Server);
            let told: Vec<_> = server.map(|span| linked(&spans, span)).collect();
            assert_eq!(told.join(", "), expect);
        }
    }

    fn linked(spans: &[Span], span: &Span) -> String {
        let parent = spans.iter().find(|other| Some(other.id) == span.parent);
        parent.map_or_else(|| "root".to_owned(), |parent| parent.entity.0.to_string())
    }

    #[test]
    fn the_other_end_is_found_where_the_table_says() {
        check(&[client(), server()], &[LINE], "1");
        check(&[client(), server()], &[], "root");
        let elsewhere = LINE.replace("dport=1024", "dport=1025");
        check(&[client(), server()], &[&elsewhere], "root");
        let another = LINE.replace("dst=10.0.0.5", "dst=10.0.0.6");
        check(&[client(), server()], &[&another], "root");
    }

    #[test]
    fn two_that_dialled_alike_are_joined_with_nobody() {
        let other =
            LINE.replace("src=10.0.0.1", "src=10.0.0.7").replace("dport=1024", "dport=1025");
        check(&[client(), server()], &[LINE, &other], "root");
        let twin = Ask { conn: 11, entity: 11, ..client() };
        check(&[client(), twin, server()], &[LINE], "root");
    }

    #[test]
    fn later_requests_of_the_connection_are_joined_as_well_and_each_is_asked_for_once() {
        let mut trace = Trace::new(config());
        tell(&mut trace, &client());
        assert_eq!(trace.strangers(), [Pid(1)]);
        assert_eq!(trace.strangers(), []);
        trace.translate(&table(&[LINE]), None);
        tell(&mut trace, &server());
        let later = |ask: Ask, times| Ask { times, position: 100, ..ask };
        tell(&mut trace, &later(server(), (120, 140)));
        tell(&mut trace, &later(client(), (110, 150)));
        assert_eq!(trace.strangers(), []);
        trace.finish(&COUNTS);
        assert_eq!(trace.counters().linked[By::Connection as usize], 2);
    }

    #[test]
    fn who_is_behind_the_translation_is_the_far_end() {
        let check = |address: [u8; 4], expect: [&str; 2]| {
            let mut pod = Pod::new(PodUid::new("u1"), "shop", "cart-0");
            pod.addresses = vec![address.into()];
            let mut cluster = Cluster::new(cluster::Config::default(), Timestamp::default());
            cluster.learn(News::Pod(Source::Server, Box::new(pod), Vec::new()));
            let mut trace = Trace::new(config());
            let counts = Said { far: Some("service"), ..COUNTS };
            tell_with(&mut trace, &client(), &counts);
            let _ = trace.strangers();
            trace.translate(&table(&[LINE]), Some(cluster.fars()));
            tell_with(&mut trace, &Ask { times: (110, 150), ..client() }, &counts);
            trace.finish(&counts);
            let name = |span: &Span| {
                let of = span.attributes.iter().find(|(key, _)| *key == key::SERVICE_PEER_NAME);
                text(of.map(|(_, value)| value))
            };
            assert_eq!(trace.take().iter().map(name).collect::<Vec<_>>(), expect);
        };
        check([10, 0, 0, 2], ["cart-0"; 2]);
        check([10, 0, 0, 3], ["service"; 2]);
    }

    #[test]
    fn nobody_is_asked_for_whose_other_end_is_here() {
        let mut trace = Trace::new(config());
        tell(&mut trace, &served("/items/1", 200, (20, 40)));
        tell(&mut trace, &asked("/items/1", 200, (10, 50)));
        assert_eq!(trace.strangers(), []);
        trace.finish(&COUNTS);
        assert_eq!(trace.counters().linked[By::Connection as usize], 1);
    }
}

#[test]
fn both_ends_of_a_unix_socket_are_one_trace_where_the_kernel_says_so() {
    let unix = |ask: Ask| Ask { peer: Peer::default(), ..ask };
    let joint =
        |conn, key| agent_common::record::Joint { conn, key, time: 5, ..Default::default() };
    let check = |joints: &[agent_common::record::Joint], expect: &[&str]| {
        let mut trace = Trace::new(config());
        for one in joints {
            trace.joint(one);
        }
        tell(&mut trace, &unix(asked("/items/1", 200, (10, 50))));
        tell(&mut trace, &unix(served("/items/1", 200, (20, 40))));
        assert_eq!(trace.strangers(), []);
        trace.finish(&COUNTS);
        let mut spans = trace.take();
        spans.sort_by_key(|span| span.entity.0);
        assert_eq!(told(&spans, &[METHOD, MISSING]), expect.join("\n"));
    };
    let client = "1 Client GET root - no_request";
    check(
        &[joint(1, 77), joint(2, 77)],
        &[client, "2 Server GET /items/{id} under 1 connection -"],
    );
    check(
        &[joint(1, 77), joint(2, 78)],
        &[client, "2 Server GET /items/{id} root - peer_not_seen"],
    );
    check(&[joint(1, 77)], &[client, "2 Server GET /items/{id} root - no_address"]);
    check(&[joint(1, 0), joint(2, 0)], &[client, "2 Server GET /items/{id} root - no_address"]);
}
