//! The shapes that a conversation in HTTP/1 can take, each with what is to be counted of it.
#![allow(clippy::too_many_lines, reason = "lists of cases")]
#![allow(clippy::similar_names, reason = "the two ends of one thing")]

use steth_tests::peer::Step;
use steth_tests::peer::Step::{
    End, Fill, Message, Messages, Pause, Peek, Pieces, Read, ReadMessage, ReadPieces, ReadVector,
    Shut, Vector, Write,
};

use super::overlap;

/// The status of an answer that nobody saw.
pub(crate) const UNSEEN: u16 = 0;

/// One conversation.
pub(crate) struct Shape {
    /// Its name, part of its services' names.
    pub(crate) name: &'static str,
    pub(crate) server: Vec<Step>,
    pub(crate) client: Vec<Step>,
    /// Method and status of each exchange.
    pub(crate) exchanges: Vec<(&'static str, u16)>,
    /// Bytes of all the requests' bodies and of all the answers', as they cross the socket; none
    /// where they cannot be known.
    pub(crate) bodies: Option<[u64; 2]>,
}

/// A request without a body.
pub(crate) fn ask(method: &str) -> String {
    format!("{method} /shape HTTP/1.1\r\nHost: shape.test\r\n\r\n")
}

/// A request with the head of a body of `length` bytes.
pub(crate) fn post(length: u64) -> String {
    format!("POST /shape HTTP/1.1\r\nHost: shape.test\r\nContent-Length: {length}\r\n\r\n")
}

/// An answer's head, for a body of `length` bytes.
pub(crate) fn head(status: u16, length: u64) -> String {
    format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n\r\n")
}

/// An answer with a body.
pub(crate) fn answer(status: u16, body: &str) -> String {
    head(status, body.len() as u64) + body
}

pub(crate) fn x(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Header lines that make `bytes`, in lines of at most about 1 KB.
fn filler(bytes: usize) -> String {
    let mut lines = String::new();
    while lines.len() < bytes {
        let rest = bytes - lines.len();
        let line = if rest > 1100 { 1000 } else { rest };
        lines += "X-Filler: ";
        lines += &x(line - "X-Filler: \r\n".len());
        lines += "\r\n";
    }
    lines
}

fn pieces(text: &str, size: usize) -> Vec<String> {
    text.as_bytes().chunks(size).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect()
}

pub(crate) fn shape(
    name: &'static str,
    exchanges: &[(&'static str, u16)],
    bodies: impl Into<Option<[u64; 2]>>,
    mut server: Vec<Step>,
    client: Vec<Step>,
) -> Shape {
    if !matches!(server.last(), Some(Shut | End)) {
        server.push(End);
    }
    Shape { name, server, client, exchanges: exchanges.to_vec(), bodies: bodies.into() }
}

/// Each request is written by one call, then its answer by one.
pub(crate) fn turns(
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
pub(crate) fn all() -> Vec<Shape> {
    [plain(), framed(), overlap::piped(), cut(), calls(), overlap::tunnels(), overlap::early()]
        .into_iter()
        .flatten()
        .collect()
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
            &[(get(), "HTTP/1.1 204 No Content\r\n\r\n".into()), (get(), answer(200, "hello"))],
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
    const LARGE: usize = 10 << 20;
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
            &[(format!("{send}{body}"), answer(200, "hello")), (get.clone(), answer(200, "hello"))],
        ),
        shape(
            "chunked-request-by-bytes",
            &[("POST", 200)],
            [b, 5],
            vec![Read(send.len() + body.len()), Write(answer(200, "hello"))],
            vec![Write(send.into()), Pieces(1, body.into()), Read(answer(200, "hello").len())],
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
                Read(down.len() + LARGE),
                Write(get.clone()),
                Read(answer(200, "hello").len()),
            ],
        ),
        shape(
            "large-up",
            &[("POST", 200), ("GET", 200)],
            [10 * MB, 10],
            vec![
                Read(up.len() + LARGE),
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
            [[Pieces(1, get.clone()), ReadPieces(1, s)], [Pieces(1, get.clone()), Read(s)]]
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
            vec![
                Pieces(1000, ask_64k),
                ReadPieces(1000, said_64k.len()),
                Write(get.clone()),
                Read(s),
            ],
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
            vec![ReadVector(a), Vector(pieces(&said, s.div_ceil(8)))],
            vec![Vector(pieces(&get, a.div_ceil(8))), ReadVector(s)],
        ),
        // Eight pieces of a call are looked at: enough for the first line, not for the head's end.
        shape(
            "vectored-many",
            &[("GET", 200)],
            None,
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
