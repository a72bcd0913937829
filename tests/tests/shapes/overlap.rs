//! More of the catalogue: exchanges that overlap, tunnels, answers before their time.
#![allow(clippy::too_many_lines, reason = "lists of cases")]
#![allow(clippy::similar_names, reason = "the two ends of one thing")]

use steth_tests::peer::Step::{self, End, Fill, Peek, Read, Write};

use super::catalogue::{Shape, UNSEEN, answer, ask, head, post, shape, turns, x};

/// More than one request under way.
pub(crate) fn piped() -> Vec<Shape> {
    let get = ask("GET");
    let said = answer(200, "hello");
    let (a, s) = (get.len(), said.len());
    let ten = |shape: &str| shape.repeat(10);
    let each = |step: Step| (0..10).map(move |_| step.clone());
    let name = &[("GET", 200); 10];
    let big = answer(200, &x(3000));
    let mut one_by_one = Vec::new();
    let mut sliding_server = vec![Read(2 * a), Write(said.clone())];
    let mut sliding_client = vec![Write(get.repeat(2)), Read(s)];
    let mut slow_server = Vec::new();
    let mut slow_client = vec![Write(get.clone())];
    for i in 0..10 {
        one_by_one.extend([Read(a), Write(said.clone())]);
        if i < 8 {
            sliding_server.extend([Read(a), Write(said.clone())]);
            sliding_client.extend([Write(get.clone()), Read(s)]);
        }
        slow_server.extend([Read(a), Write(said.clone())]);
        if i < 9 {
            slow_client.extend([Write(get.clone()), Read(s)]);
        }
    }
    sliding_server.push(Write(said.clone()));
    sliding_client.push(Read(s));
    slow_client.push(Read(s));
    vec![
        shape(
            "pipeline-one-write",
            name,
            [0, 50],
            vec![Read(10 * a), Write(ten(&said))],
            vec![Write(ten(&get)), Read(10 * s)],
        ),
        shape(
            "pipeline-ten-writes",
            name,
            [0, 50],
            std::iter::once(Read(10 * a)).chain(each(Write(said.clone()))).collect(),
            std::iter::once(Write(ten(&get))).chain(each(Read(s))).collect(),
        ),
        shape(
            "pipeline-ten-asks",
            name,
            [0, 50],
            vec![Read(10 * a), Write(ten(&said))],
            each(Write(get.clone())).chain([Read(10 * s)]).collect(),
        ),
        shape(
            "pipeline-taken-singly",
            name,
            [0, 50],
            one_by_one,
            vec![Write(ten(&get)), Read(10 * s)],
        ),
        shape("pipeline-sliding", name, [0, 50], sliding_server, sliding_client),
        shape("pipeline-sliding-singly", name, [0, 50], slow_server, slow_client),
        shape(
            "pipeline-large",
            name,
            [0, 30_000],
            std::iter::once(Read(10 * a)).chain(each(Write(big.clone()))).collect(),
            std::iter::once(Write(ten(&get))).chain(each(Read(big.len()))).collect(),
        ),
        shape(
            "pipeline-mixed",
            &[("GET", 200), ("HEAD", 200), ("GET", 404), ("DELETE", 204)],
            [0, 10],
            vec![
                Read(ask("GETHEADGETDELETE").len() + 3 * ask("").len()),
                Write(said.clone() + &head(200, 1000) + &answer(404, "hello")),
                Write("HTTP/1.1 204 Gone\r\n\r\n".into()),
            ],
            vec![
                Write(get.clone() + &ask("HEAD") + &get + &ask("DELETE")),
                Read(
                    said.len()
                        + head(200, 1000).len()
                        + answer(404, "hello").len()
                        + "HTTP/1.1 204 Gone\r\n\r\n".len(),
                ),
            ],
        ),
        body_then_get("body-then-get", "GET", 5, &said),
        // The first 512 bytes of a turn are seen: what the second request was is not.
        body_then_get("long-body-then-get", "_OTHER", 2000, &said),
        // The next request is written before the answer has ended.
        shape(
            "impatient",
            &[("GET", 200), ("GET", 404)],
            [0, 105],
            vec![
                Read(a),
                Write(head(200, 100) + &x(50)),
                Read(a),
                Write(x(50)),
                Write(answer(404, "hello")),
            ],
            vec![
                Write(get.clone()),
                Read(head(200, 100).len() + 50),
                Write(get.clone()),
                Read(50 + answer(404, "hello").len()),
            ],
        ),
        // The second status stands behind the first 256 bytes of its turn: it is not made up.
        shape(
            "impatient-long",
            &[("GET", 200), ("GET", UNSEEN)],
            None,
            vec![
                Read(a),
                Write(head(200, 4000) + &x(2000)),
                Read(a),
                Write(x(2000)),
                Write(answer(404, "hello")),
            ],
            vec![
                Write(get.clone()),
                Read(head(200, 4000).len() + 2000),
                Write(get),
                Read(2000 + answer(404, "hello").len()),
            ],
        ),
    ]
}

/// A second request comes with the body of the first.
fn body_then_get(name: &'static str, second: &'static str, body: usize, said: &str) -> Shape {
    let both = post(body as u64) + &x(body) + &ask("GET");
    shape(
        name,
        &[("POST", 200), (second, 200)],
        [body as u64, 10],
        vec![Read(both.len()), Write(said.into()), Write(said.into())],
        vec![Write(both), Read(2 * said.len())],
    )
}

/// What is no HTTP any more afterwards.
pub(crate) fn tunnels() -> Vec<Shape> {
    let get = ask("GET");
    let said = answer(200, "hello");
    let (a, s) = (get.len(), said.len());
    let connect = "CONNECT shape.test:443 HTTP/1.1\r\nHost: shape.test:443\r\n\r\n";
    let open = "HTTP/1.1 200 Connection established\r\n\r\n";
    let upgrade = "GET /chat HTTP/1.1\r\nHost: shape.test\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                    Upgrade: websocket\r\n\r\n";
    let tunnel = |ask: &str, answer: &str| {
        let mut server = vec![Read(ask.len()), Write(answer.into())];
        let mut client = vec![Write(ask.into()), Read(answer.len())];
        for _ in 0..5 {
            server.extend([Read(a), Write(said.clone()), Read(6), Write("\u{1}frame".into())]);
            client.extend([Write(get.clone()), Read(s), Write("\u{1}frame".into()), Read(6)]);
        }
        (server, client)
    };
    let (connect_server, connect_client) = tunnel(connect, open);
    let (upgrade_server, upgrade_client) = tunnel(upgrade, switched);
    vec![
        shape("connect", &[("CONNECT", 200)], [0, 0], connect_server, connect_client),
        shape("upgrade", &[("GET", 101)], [0, 0], upgrade_server, upgrade_client),
        turns(
            "connect-refused",
            &[("CONNECT", 403), ("GET", 200)],
            [0, 10],
            &[(connect.into(), answer(403, "hello")), (get.clone(), said.clone())],
        ),
        turns(
            "upgrade-refused",
            &[("GET", 200), ("GET", 200)],
            [0, 10],
            &[(upgrade.into(), said.clone()), (get.clone(), said.clone())],
        ),
    ]
}

/// Answers before the request is whole.
pub(crate) fn early() -> Vec<Shape> {
    let get = ask("GET");
    let said = answer(200, "hello");
    let (a, s) = (get.len(), said.len());
    let refused = "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    let expects = "POST /shape HTTP/1.1\r\nHost: shape.test\r\nContent-Length: 10\r\n\
                   Expect: 100-continue\r\n\r\n";
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    let continued = [
        vec![Read(expects.len()), Write(go_on.into()), Read(10), Write(said.clone())],
        vec![Write(expects.into()), Read(go_on.len()), Write("hellohello".into()), Read(s)],
    ];
    vec![
        shape(
            "continue",
            &[("POST", 200), ("POST", 200), ("GET", 200)],
            [20, 15],
            [&continued[0][..], &continued[0], &[Read(a), Write(said.clone())]].concat(),
            [&continued[1][..], &continued[1], &[Write(get.clone()), Read(s)]].concat(),
        ),
        shape(
            "hints",
            &[("GET", 200), ("GET", 200)],
            [0, 10],
            vec![
                Read(a),
                Write(hints.into()),
                Write(said.clone()),
                Read(a),
                Write(hints.to_owned() + &said),
            ],
            vec![
                Write(get.clone()),
                Read(hints.len() + s),
                Write(get.clone()),
                Read(hints.len() + s),
            ],
        ),
        shape(
            "expectation-failed",
            &[("POST", 417), ("GET", 200)],
            [0, 10],
            vec![Read(expects.len()), Write(answer(417, "hello")), Read(a), Write(said.clone())],
            vec![
                Write(expects.into()),
                Read(answer(417, "hello").len()),
                Write(get.clone()),
                Read(s),
            ],
        ),
        // The rest of the body is sent, and read, after the answer, when the exchange has been told.
        shape(
            "too-large",
            &[("POST", 413)],
            None,
            vec![Read(post(100_000).len() + 1000), Write(refused.into()), Read(60_000), End],
            vec![
                Write(post(100_000)),
                Fill(1000),
                Peek(refused.len()),
                Fill(60_000),
                Read(refused.len()),
            ],
        ),
        shape(
            "answered-while-asking",
            &[("POST", 200), ("GET", 200)],
            [1000, 10],
            vec![
                Read(post(3000).len() + 1000),
                Write(said.clone()),
                Read(2000),
                Read(a),
                Write(said.clone()),
            ],
            vec![Write(post(3000)), Fill(1000), Read(s), Fill(2000), Write(get.clone()), Read(s)],
        ),
    ]
}
