//! The shapes that a conversation in HTTP/1 can take, each with what is to be counted of it.

use steth_tests::peer::Step;
use steth_tests::peer::Step::{
    End, Fill, Message, Messages, Pause, Peek, Pieces, Read, ReadMessage, ReadPieces, ReadVector,
    Shut, Vector, Write,
};

/// One conversation.
pub struct Shape {
    /// Its name, part of its services' names.
    pub name: &'static str,
    pub server: Vec<Step>,
    pub client: Vec<Step>,
    /// Method and status of each exchange.
    pub exchanges: Vec<(&'static str, u16)>,
    /// Bytes of all the requests' bodies and of all the answers', as they cross the socket.
    pub bodies: [u64; 2],
}

/// A request without a body.
pub fn ask(method: &str) -> String {
    format!("{method} /shape HTTP/1.1\r\nHost: shape.test\r\n\r\n")
}

/// A request with the head of a body of `length` bytes.
pub fn post(length: u64) -> String {
    format!("POST /shape HTTP/1.1\r\nHost: shape.test\r\nContent-Length: {length}\r\n\r\n")
}

/// An answer's head, for a body of `length` bytes.
pub fn head(status: u16, length: u64) -> String {
    format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n\r\n")
}

/// An answer with a body.
pub fn answer(status: u16, body: &str) -> String {
    head(status, body.len() as u64) + body
}

fn x(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Header lines that make `bytes`, in lines of at most about 1 KB.
fn filler(bytes: usize) -> String {
    let mut lines = String::new();
    while lines.len() < bytes {
        let rest = bytes - lines.len();
        let line = if rest > 1100 { 1000 } else { rest };
        lines += &format!("X-Filler: {}\r\n", x(line - "X-Filler: \r\n".len()));
    }
    lines
}

fn pieces(text: &str, size: usize) -> Vec<String> {
    text.as_bytes().chunks(size).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect()
}

fn shape(
    name: &'static str,
    exchanges: &[(&'static str, u16)],
    bodies: [u64; 2],
    mut server: Vec<Step>,
    client: Vec<Step>,
) -> Shape {
    if !matches!(server.last(), Some(Shut | End)) {
        server.push(End);
    }
    Shape { name, server, client, exchanges: exchanges.to_vec(), bodies }
}

/// Each request is written by one call, then its answer by one.
fn turns(
    name: &'static str,
    exchanges: &[(&'static str, u16)],
    bodies: [u64; 2],
    turns: &[(String, String)],
) -> Shape {
    let (mut server, mut client) = (Vec::new(), Vec::new());
    for (ask, answer) in turns {
        server.extend([Read(ask.len()), Write(answer.clone())]);
        client.extend([Write(ask.clone()), Read(answer.len())]);
    }
    shape(name, exchanges, bodies, server, client)
}

/// One request by `GET` with an answer of 5 bytes, however the calls are.
fn once(name: &'static str, server: Vec<Step>, client: Vec<Step>) -> Shape {
    shape(name, &[("GET", 200)], [0, 5], server, client)
}

/// All shapes.
pub fn all() -> Vec<Shape> {
    [plain(), framed(), piped(), cut(), calls(), tunnels(), early()].into_iter().flatten().collect()
}

/// One request, one answer.
fn plain() -> Vec<Shape> {
    let get = || ask("GET");
    let statuses = [200, 404, 429, 500, 503];
    let all: Vec<_> = statuses.iter().map(|status| ("GET", *status)).collect();
    let said: Vec<_> = statuses.iter().map(|status| (get(), answer(*status, "hello"))).collect();
    let methods = ["DELETE", "OPTIONS", "PATCH", "PUT", "QUERY", "TRACE"];
    let asked: Vec<_> = methods.iter().map(|method| (ask(method), answer(200, ""))).collect();
    let twenty: Vec<_> = (0..20).map(|_| (get(), answer(200, "hello"))).collect();
    vec![
        turns("statuses", &all, [0, 25], &said),
        turns("methods", &methods.map(|method| (method, 200)), [0, 0], &asked),
        turns("keep-alive", &[("GET", 200); 20], [0, 100], &twenty),
        turns(
            "head",
            &[("HEAD", 200), ("GET", 200)],
            [0, 5],
            &[(ask("HEAD"), head(200, 1000)), (get(), answer(200, "hello"))],
        ),
        turns(
            "no-content",
            &[("GET", 204), ("GET", 200)],
            [0, 5],
            &[
                (get(), "HTTP/1.1 204 No Content\r\n\r\n".into()),
                (get(), answer(200, "hello")),
            ],
        ),
        turns(
            "not-modified",
            &[("GET", 304), ("GET", 200)],
            [0, 5],
            &[(get(), head(304, 1000)), (get(), answer(200, "hello"))],
        ),
        turns(
            "unknown-method",
            &[("_OTHER", 200), ("_OTHER", 405), ("GET", 200)],
            [0, 15],
            &[
                (ask("PURGE"), answer(200, "hello")),
                (ask("PURGE"), answer(405, "hello")),
                (get(), answer(200, "hello")),
            ],
        ),
        turns(
            "absolute-form",
            &[("GET", 200), ("OPTIONS", 200)],
            [0, 10],
            &[
                (
                    "GET http://elsewhere.test/a HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n".into(),
                    answer(200, "hello"),
                ),
                ("OPTIONS * HTTP/1.1\r\nHost: shape.test\r\n\r\n".into(), answer(200, "hello")),
            ],
        ),
        turns(
            "post",
            &[("POST", 201), ("POST", 201)],
            [2005, 10],
            &[
                (post(5) + "hello", answer(201, "hello")),
                (post(2000) + &x(2000), answer(201, "hello")),
            ],
        ),
    ]
}

/// Bodies of other framings, and large ones.
fn framed() -> Vec<Shape> {
    const MB: u64 = 1 << 20;
    let get = ask("GET");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    let trailing = "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n";
    let sums = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
    let send = "POST /shape HTTP/1.1\r\nHost: shape.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let whole = format!("{chunked}{body}");
    let with_trailer = format!("{sums}{trailing}");
    let block = format!("1000\r\n{}\r\n", x(4096));
    let old = "GET /shape HTTP/1.0\r\n\r\n";
    let (b, t) = (body.len() as u64, trailing.len() as u64);
    let mut many = vec![Read(get.len()), Write(chunked.into())];
    many.extend((0..50).map(|_| Write(block.clone())));
    many.push(Write("0\r\n\r\n".into()));
    let long = chunked.len() + 50 * block.len() + 5;
    let up = post(10 * MB);
    let down = head(200, 10 * MB);
    vec![
        turns(
            "chunked",
            &[("GET", 200); 3],
            [0, 2 * b + t],
            &[
                (get.clone(), whole.clone()),
                (get.clone(), with_trailer.clone()),
                (get.clone(), whole.clone()),
            ],
        ),
        shape(
            "chunked-by-bytes",
            &[("GET", 200), ("GET", 200)],
            [0, b + t],
            vec![
                Read(get.len()),
                Pieces(1, whole.clone()),
                Read(get.len()),
                Pieces(7, with_trailer.clone()),
            ],
            vec![
                Write(get.clone()),
                ReadPieces(1, whole.len()),
                Write(get.clone()),
                ReadPieces(7, with_trailer.len()),
            ],
        ),
        shape(
            "chunked-long",
            &[("GET", 200)],
            [0, (long - chunked.len()) as u64],
            many,
            vec![Write(get.clone()), Read(long)],
        ),
        turns(
            "chunked-request",
            &[("POST", 200), ("GET", 200)],
            [b, 10],
            &[
                (format!("{send}{body}"), answer(200, "hello")),
                (get.clone(), answer(200, "hello")),
            ],
        ),
        shape(
            "chunked-request-by-bytes",
            &[("POST", 200)],
            [b, 5],
            vec![Read(send.len() + body.len()), Write(answer(200, "hello"))],
            vec![
                Write(send.into()),
                Pieces(1, body.into()),
                Read(answer(200, "hello").len()),
            ],
        ),
        shape(
            "large-down",
            &[("GET", 200), ("GET", 200)],
            [0, 10 * MB + 5],
            vec![
                Read(get.len()),
                Write(down.clone()),
                Fill(10 * MB),
                Read(get.len()),
                Write(answer(200, "hello")),
            ],
            vec![
                Write(get.clone()),
                Read(down.len() + 10 * MB as usize),
                Write(get.clone()),
                Read(answer(200, "hello").len()),
            ],
        ),
        shape(
            "large-up",
            &[("POST", 200), ("GET", 200)],
            [10 * MB, 10],
            vec![
                Read(up.len() + 10 * MB as usize),
                Write(answer(200, "hello")),
                Read(get.len()),
                Write(answer(200, "hello")),
            ],
            vec![
                Write(up),
                Fill(10 * MB),
                Read(answer(200, "hello").len()),
                Write(get.clone()),
                Read(answer(200, "hello").len()),
            ],
        ),
        shape(
            "until-close",
            &[("GET", 200)],
            [0, 3000],
            vec![
                Read(old.len()),
                Write("HTTP/1.0 200 OK\r\n\r\n".into()),
                Fill(1000),
                Pause(20),
                Fill(2000),
                Shut,
            ],
            vec![Write(old.into()), End],
        ),
        shape(
            "until-close-at-once",
            &[("GET", 200)],
            [0, 5],
            vec![Read(old.len()), Write("HTTP/1.0 200 OK\r\n\r\nhello".into()), Shut],
            vec![Write(old.into()), End],
        ),
    ]
}

/// More than one request under way.
fn piped() -> Vec<Shape> {
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
        body_then_get("body-then-get", 5, &said),
        body_then_get("long-body-then-get", 2000, &said),
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
        shape(
            "impatient-long",
            &[("GET", 200), ("GET", 404)],
            [0, 4005],
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
fn body_then_get(name: &'static str, body: usize, said: &str) -> Shape {
    let both = post(body as u64) + &x(body) + &ask("GET");
    shape(
        name,
        &[("POST", 200), ("GET", 200)],
        [body as u64, 10],
        vec![Read(both.len()), Write(said.into()), Write(said.into())],
        vec![Write(both), Read(2 * said.len())],
    )
}

/// Heads that come in pieces, and long ones.
fn cut() -> Vec<Shape> {
    let get = ask("GET");
    let said = answer(200, "hello");
    let (a, s) = (get.len(), said.len());
    let long = |bytes: usize| {
        let bare = ask("GET");
        format!("{}{}\r\n", &bare[..bare.len() - 2], filler(bytes - bare.len()))
    };
    let long_said = |bytes: usize| {
        let bare = head(200, 5);
        format!("{}{}\r\nhello", &bare[..bare.len() - 2], filler(bytes - bare.len()))
    };
    let (ask_700, said_700) = (long(700), long_said(700));
    let (ask_64k, said_64k) = (long(1 << 16), long_said(1 << 16));
    vec![
        shape(
            "heads-by-bytes",
            &[("GET", 200), ("GET", 200)],
            [0, 10],
            [[Read(a), Pieces(1, said.clone())], [ReadPieces(1, a), Pieces(1, said.clone())]]
                .concat(),
            [
                [Pieces(1, get.clone()), ReadPieces(1, s)],
                [Pieces(1, get.clone()), Read(s)],
            ]
            .concat(),
        ),
        shape(
            "long-heads-by-bytes",
            &[("GET", 200), ("GET", 200)],
            [0, 10],
            vec![
                ReadPieces(1, ask_700.len()),
                Pieces(1, said_700.clone()),
                Read(a),
                Write(said.clone()),
            ],
            vec![
                Pieces(1, ask_700.clone()),
                ReadPieces(1, said_700.len()),
                Write(get.clone()),
                Read(s),
            ],
        ),
        turns(
            "heads-of-700-bytes",
            &[("GET", 200); 3],
            [0, 15],
            &[
                (ask_700.clone(), said_700.clone()),
                (get.clone(), said_700),
                (ask_700, said.clone()),
            ],
        ),
        turns(
            "heads-of-64-kib",
            &[("GET", 200); 3],
            [0, 15],
            &[
                (ask_64k.clone(), said.clone()),
                (get.clone(), said_64k.clone()),
                (ask_64k.clone(), said_64k.clone()),
            ],
        ),
        shape(
            "heads-of-64-kib-in-pieces",
            &[("GET", 200), ("GET", 200)],
            [0, 10],
            vec![
                ReadPieces(1000, ask_64k.len()),
                Pieces(1000, said_64k.clone()),
                Read(a),
                Write(said.clone()),
            ],
            vec![Pieces(1000, ask_64k), ReadPieces(1000, said_64k.len()), Write(get.clone()), Read(s)],
        ),
        once(
            "pauses",
            vec![
                Read(10),
                Read(a - 10),
                Write(said[..20].into()),
                Pause(50),
                Write(said[20..].into()),
            ],
            vec![
                Write(get[..10].into()),
                Pause(50),
                Write(get[10..].into()),
                Read(20),
                Read(s - 20),
            ],
        ),
    ]
}

/// Calls other than `read` and `write`.
fn calls() -> Vec<Shape> {
    let get = ask("GET");
    let said = answer(200, "hello");
    let (a, s) = (get.len(), said.len());
    let two = vec![get.clone(), get.clone()];
    vec![
        once(
            "vectored",
            vec![ReadVector(a), Vector(pieces(&said, 2))],
            vec![Vector(pieces(&get, 2)), ReadVector(s)],
        ),
        once(
            "vectored-three",
            vec![ReadVector(a), Vector(pieces(&said, s.div_ceil(3)))],
            vec![Vector(pieces(&get, a.div_ceil(3))), ReadVector(s)],
        ),
        once(
            "messages",
            vec![ReadMessage(a), Message(pieces(&said, 9))],
            vec![Message(pieces(&get, 9)), ReadMessage(s)],
        ),
        once(
            "head-in-many-messages",
            vec![Read(a), Messages(pieces(&said, 9))],
            vec![Messages(pieces(&get, 9)), Read(s)],
        ),
        shape(
            "request-a-message",
            &[("GET", 200), ("GET", 200)],
            [0, 10],
            vec![Read(2 * a), Messages(vec![said.clone(), said.clone()])],
            vec![Messages(two), Read(2 * s)],
        ),
        once(
            "peeked",
            vec![Peek(a), Peek(a), Read(a), Write(said.clone())],
            vec![Write(get.clone()), Peek(s), Peek(10), Read(s)],
        ),
    ]
}

/// What is no HTTP any more afterwards.
fn tunnels() -> Vec<Shape> {
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
fn early() -> Vec<Shape> {
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
            vec![Write(get.clone()), Read(hints.len() + s), Write(get.clone()), Read(hints.len() + s)],
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
        // The rest of the body is sent, and read, after the answer.
        shape(
            "too-large",
            &[("POST", 413)],
            [61_000, 5],
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
            [3000, 10],
            vec![
                Read(post(3000).len() + 1000),
                Write(said.clone()),
                Read(2000),
                Read(a),
                Write(said.clone()),
            ],
            vec![
                Write(post(3000)),
                Fill(1000),
                Read(s),
                Fill(2000),
                Write(get.clone()),
                Read(s),
            ],
        ),
    ]
}
