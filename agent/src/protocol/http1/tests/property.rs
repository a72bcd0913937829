//! The same conversation gives the same exchanges, however it was told.

use proptest::prelude::*;

use super::*;

/// A body as it stands on the wire, with the header lines that announce it.
#[derive(Clone)]
struct Wire {
    lines: String,
    body: Vec<u8>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {} bytes", self.lines, self.body.len())
    }
}

#[derive(Clone, Debug)]
struct One {
    method: &'static str,
    path: String,
    ask: Wire,
    interim: usize,
    status: u16,
    answer: Wire,
}

impl One {
    fn asked(&self) -> Vec<u8> {
        let head = format!(
            "{} {}?q=1 HTTP/1.1\r\nHost: h\r\n{}\r\n",
            self.method, self.path, self.ask.lines
        );
        [head.as_bytes(), &self.ask.body].concat()
    }

    fn is_bare(&self) -> bool {
        self.method == "HEAD" || matches!(self.status, 204 | 304)
    }

    fn answered(&self) -> Vec<u8> {
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".repeat(self.interim);
        let head = format!("HTTP/1.1 {} X\r\n{}\r\n", self.status, self.answer.lines);
        let body: &[u8] = if self.is_bare() { b"" } else { &self.answer.body };
        [interim.as_bytes(), head.as_bytes(), body].concat()
    }

    fn line(&self) -> String {
        let size = if self.is_bare() { 0 } else { self.answer.body.len() };
        let method = Method::of(self.method);
        format!("{method:?} {} {} {}/{size}", self.path, self.status, self.ask.body.len())
    }
}

fn filler(size: usize) -> Vec<u8> {
    b"GET / HTTP/1.1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n0\r\n\r\n"
        .iter()
        .copied()
        .cycle()
        .take(size)
        .collect()
}

fn counted(max: usize) -> impl Strategy<Value = Wire> {
    (0..max).prop_map(|n| Wire { lines: format!("Content-Length: {n}\r\n"), body: filler(n) })
}

fn chunked(max: usize) -> impl Strategy<Value = Wire> {
    (prop::collection::vec(1..max, 0..4), any::<bool>()).prop_map(|(sizes, trailer)| {
        let mut body = Vec::new();
        for size in sizes {
            body.extend_from_slice(format!("{size:x};e=1\r\n").as_bytes());
            body.extend_from_slice(&filler(size));
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(if trailer { b"0\r\nX: y\r\n\r\n" } else { b"0\r\n\r\n" });
        let lines = if trailer { "Trailer: X\r\n" } else { "" };
        Wire { lines: format!("{lines}Transfer-Encoding: chunked\r\n"), body }
    })
}

fn one(max: usize) -> impl Strategy<Value = One> {
    let none = Just(Wire { lines: String::new(), body: Vec::new() });
    let method = prop::sample::select(&["GET", "HEAD", "POST", "PUT", "PURGE", "QUERY"][..]);
    let status = prop::sample::select(&[200u16, 204, 304, 404, 500][..]);
    (
        method,
        "/[a-z]{0,9}",
        prop_oneof![none, counted(max), chunked(max)],
        0usize..3,
        status,
        prop_oneof![counted(max), chunked(max)],
    )
        .prop_map(|(method, path, ask, interim, status, answer)| One {
            method,
            path,
            ask,
            interim,
            status,
            answer,
        })
}

fn lines(all: &[One]) -> Vec<String> {
    all.iter().map(One::line).collect()
}

/// `data` in pieces of the sizes that `cuts` says, over and over.
fn pieces<'a>(mut data: &'a [u8], cuts: &mut impl Iterator<Item = usize>) -> Vec<&'a [u8]> {
    let mut all = Vec::new();
    while !data.is_empty() {
        let (piece, rest) = data.split_at(cuts.next().unwrap_or(usize::MAX).min(data.len()));
        all.push(piece);
        data = rest;
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pairs_give_the_exchanges(mut all in prop::collection::vec(one(700), 1..6), over in any::<bool>()) {
        let (mut rig, mut at) = (Rig::default(), (0, 0));
        let last = all.len() - 1;
        for (n, one) in all.iter_mut().enumerate() {
            one.interim = 0;
            let (ask, answer) = (one.asked(), one.answered());
            let told = Told::new(&ask, &answer).at(1, n as u32 + 1).with(|h| {
                (h.ask.start, h.answer.start) = at;
            });
            at = (at.0 + ask.len() as u64, at.1 + answer.len() as u64);
            rig.pair(&told.end(if over && n == last { End::Closed } else { End::Next }));
            rig.check_sums();
        }
        prop_assert_eq!(rig.kept.lines(), lines(&all));
        prop_assert!(rig.kept.seen.iter().all(|seen| seen.times == (100, 130)));
    }

    #[test]
    fn any_split_gives_the_exchanges(
        all in prop::collection::vec(one(60), 1..5),
        cuts in prop::collection::vec(1usize..40, 1..20),
    ) {
        let mut line = Line::default();
        let mut cuts = cuts.into_iter().cycle();
        let mut times = Vec::new();
        for one in &all {
            let begun = line.time + 10;
            let (ask, answer) = (one.asked(), one.answered());
            for piece in pieces(&ask, &mut cuts) {
                line.ask(piece);
            }
            for piece in pieces(&answer, &mut cuts) {
                line.answer(piece);
            }
            times.push((begun, line.time));
        }
        prop_assert_eq!(line.rig.kept.lines(), lines(&all));
        prop_assert_eq!(line.rig.kept.seen.iter().map(|seen| seen.times).collect::<Vec<_>>(), times);
        line.close(104);
        prop_assert_eq!(line.rig.kept.seen.len(), all.len());
    }

    #[test]
    fn pipelined_requests_are_paired_in_order(
        all in prop::collection::vec(one(60), 1..7),
        cuts in prop::collection::vec(1usize..60, 1..20),
        turns in prop::collection::vec(any::<bool>(), 1..30),
    ) {
        let mut line = Line::default();
        let mut cuts = cuts.into_iter().cycle();
        let mut turns = turns.into_iter().cycle();
        let asks: Vec<Vec<u8>> = all.iter().map(One::asked).collect();
        let whole: Vec<usize> = asks.iter().scan(0, |sum, ask| { *sum += ask.len(); Some(*sum) }).collect();
        let bytes = asks.concat();
        let asked = pieces(&bytes, &mut cuts);
        let answers: Vec<Vec<u8>> = all.iter().map(One::answered).collect();
        let mut answered: Vec<(usize, &[u8])> = Vec::new();
        for (n, answer) in answers.iter().enumerate() {
            answered.extend(pieces(answer, &mut cuts).into_iter().map(|piece| (n, piece)));
        }
        let (mut asked, mut answered) = (asked.into_iter().peekable(), answered.into_iter().peekable());
        let mut sent = 0;
        while asked.peek().is_some() || answered.peek().is_some() {
            let ready = answered.peek().is_some_and(|(n, _)| sent >= whole[*n]);
            if ready && (asked.peek().is_none() || turns.next() == Some(true)) {
                if let Some((_, piece)) = answered.next() { line.answer(piece); }
            } else if let Some(piece) = asked.next() {
                sent += piece.len();
                line.ask(piece);
            }
        }
        prop_assert_eq!(line.rig.kept.lines(), lines(&all));
        line.close(0);
        line.rig.check_sums();
    }

    #[test]
    fn what_is_not_carried_is_counted(
        mut all in prop::collection::vec(one(9000), 1..5),
        cuts in prop::collection::vec(100usize..5000, 1..20),
        ends in any::<bool>(),
    ) {
        // The kernel side carries 4 KiB of each turn, and is silent about the calls beyond.
        let mut line = Line::default();
        let mut cuts = cuts.into_iter().cycle();
        let mut times = Vec::new();
        for one in &mut all {
            one.interim = 0;
            let begun = line.time + 10;
            for (way, data) in [(0u8, one.asked()), (1, one.answered())] {
                let (mut carried, mut silent) = (0, 0);
                for piece in pieces(&data, &mut cuts) {
                    let fits = piece.len().min(4096 - carried);
                    if fits == 0 {
                        line.silent(usize::from(way), piece.len() as u64);
                        silent += piece.len();
                    } else {
                        line.moved(way, &piece[..fits], (piece.len() - fits) as u64);
                    }
                    carried += fits;
                }
                // One unseen byte before a close cannot be told from the stream's own end.
                prop_assume!(silent != 1);
            }
            times.push((begun, line.time));
        }
        if ends {
            line.close(0);
        } else {
            for now in 1..4 {
                line.rig.http.begin_sweep(Timestamp(now * 1_000_000_000));
                line.progress();
                line.rig.http.end_sweep(&mut line.rig.kept);
            }
        }
        prop_assert_eq!(line.rig.kept.lines(), lines(&all));
        prop_assert_eq!(line.rig.kept.seen.iter().map(|seen| seen.times).collect::<Vec<_>>(), times);
        line.rig.check_sums();
    }
}
