//! Node's parser suite, every case at every split: which messages, and where each ends.
//!
//! An observer is asked less than a parser: what two ends did not agree on may be read either way,
//! but never differently for a different split, and what they agreed on exactly as the suite says.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::*;

/// Cases whose messages are not HTTP/1.0 or HTTP/1.1 by their own word, or that the suite's parser
/// refuses to see for a reason an observer has not: by a part of the title, with the reason.
const APART: &[(&str, &str)] = &[
    ("request with ICE", "ICE/1.0 is another protocol"),
    ("request with RTSP", "RTSP/1.0 is another protocol"),
    ("RTSP response", "RTSP/1.1 is another protocol"),
    ("ICE response", "ICE/1.1 is another protocol"),
    ("HTTP version 0.9", "HTTP/0.9 has no status line"),
    ("No HTTP version", "HTTP/0.9 has no version"),
    ("reset when no body is received", "the suite's caller skips a body that is announced"),
];

#[derive(Debug, Default)]
struct Message {
    /// Method and target, or the status.
    first: String,
    head: Option<usize>,
    end: Option<usize>,
}

#[derive(Debug)]
struct Case {
    title: String,
    kind: String,
    input: Vec<u8>,
    messages: Vec<Message>,
    /// The suite's parser gave up or was told to stop.
    stops: bool,
}

fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance/llhttp");
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "the shared cases are missing");
    println!("left out: the shared cases are not here");
    None
}

/// The suite's own rules: escaped line ends join lines, line ends are CRLF, then escapes are read.
fn unescape(text: &str) -> Vec<u8> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.replace("\\\n", "").replace('\n', "\r\n");
    let (mut out, mut rest) = (Vec::new(), text.as_str());
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let tail = &rest[at + 1..];
        let (bytes, used): (Vec<u8>, usize) = match tail.chars().next() {
            Some('r') => (vec![b'\r'], 1),
            Some('n') => (vec![b'\n'], 1),
            Some('t') => (vec![b'\t'], 1),
            Some('f') => (vec![0x0c], 1),
            Some('x') => (vec![u8::from_str_radix(&tail[1..3], 16).unwrap()], 3),
            _ => (vec![b'\\'], 0),
        };
        out.extend(bytes);
        rest = &tail[used..];
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

fn number(line: &str, key: &str) -> Option<usize> {
    let digits = &line[line.find(key)? + key.len()..];
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn read_log(log: &str) -> (Vec<Message>, bool) {
    let (mut all, mut stops): (Vec<Message>, bool) = (Vec::new(), false);
    for line in log.lines() {
        let off = number(line, "off=");
        let span =
            |key: &str| line.split_once(key).map(|(_, text)| text.trim_matches('"').to_owned());
        if line.ends_with("message begin") {
            all.push(Message::default());
        }
        let Some(message) = all.last_mut() else { continue };
        if let Some(method) = span("span[method]=") {
            message.first += &method;
        } else if let Some(url) = span("span[url]=") {
            if !message.first.contains(' ') {
                message.first.push(' ');
            }
            message.first += &url;
        } else if line.contains("headers complete") {
            if let Some(status) = number(line, "status=") {
                message.first = status.to_string();
            }
            message.head = off;
        } else if line.ends_with("message complete") {
            message.end = off;
        }
        stops |= line.contains("error code") || line.contains("pause");
    }
    (all, stops)
}

fn cases(folder: &Path) -> Vec<Case> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let (mut title, mut kind) = (String::new(), String::new());
        let mut rest = text.as_str();
        let mut input = Vec::new();
        while let Some((line, more)) = rest.split_once('\n') {
            rest = more;
            if line.starts_with('#') {
                title = format!(
                    "{}: {}",
                    file.file_stem().unwrap().to_string_lossy(),
                    line.trim_matches(['#', ' '])
                );
            } else if line.starts_with("<!-- meta=") {
                kind = line.split('"').nth(3).unwrap_or_default().to_owned();
                if line.contains("skipBody\": true") {
                    kind += " bare";
                }
            } else if line == "```http" {
                let (body, more) = rest.split_once("\n```").unwrap();
                input = unescape(&format!("{body}\n"));
                rest = more;
            } else if line == "```log" {
                let (log, more) = rest.split_once("\n```").unwrap();
                rest = more;
                let (messages, stops) = read_log(log);
                all.push(Case {
                    title: title.clone(),
                    kind: kind.clone(),
                    input: std::mem::take(&mut input),
                    messages,
                    stops,
                });
            }
        }
    }
    all
}

/// What the stage makes of the bytes, told in two calls; then the connection closes in order.
fn told(case: &Case, split: usize) -> Vec<Seen> {
    let mut line = Line::default();
    let (one, two) = case.input.split_at(split);
    let asks = case.kind.starts_with("request");
    if !asks {
        let ask: &[u8] = if case.kind.ends_with("bare") {
            b"HEAD / HTTP/1.1\r\n\r\n"
        } else {
            b"GET / HTTP/1.1\r\n\r\n"
        };
        line.ask(&ask.repeat(case.messages.len().max(1)));
    }
    for part in [one, two] {
        line.moved(u8::from(!asks), part, 0);
    }
    line.close(0);
    line.rig.check_sums();
    line.rig.kept.seen
}

/// The exchanges told, as the suite writes messages.
fn rewritten(case: &Case, seen: &[Seen]) -> Vec<(String, u64)> {
    seen.iter()
        .filter_map(|seen| {
            if case.kind.starts_with("request") {
                Some((format!("{:?} {}", seen.method, seen.path), seen.sizes.0))
            } else {
                seen.status.map(|status| (status.to_string(), seen.sizes.1))
            }
        })
        .collect()
}

fn expected(case: &Case) -> Vec<(String, u64, bool)> {
    case.messages
        .iter()
        .filter_map(|message| {
            let first = match message.first.split_once(' ') {
                Some((method, url)) => {
                    let target = match method {
                        "CONNECT" => super::super::target::tunnel(url),
                        _ => super::super::target::target(url),
                    };
                    format!("{:?} {}", Method::of(method), target.path)
                }
                None => message.first.clone(),
            };
            let interim = first.starts_with('1') && first != "101";
            let head = message.head?;
            let size = message.end.unwrap_or(case.input.len()).saturating_sub(head);
            (!interim).then_some((first, size as u64, message.end.is_some()))
        })
        .collect()
}

fn check_all(folder: &Path) -> (usize, usize, usize) {
    let (mut exact, mut either, mut apart, mut wrong) = (0, 0, 0, String::new());
    for case in cases(folder) {
        let whole = told(&case, case.input.len());
        for split in 0..case.input.len() {
            let parts = told(&case, split);
            let same = parts.iter().map(Seen::line).eq(whole.iter().map(Seen::line));
            if !same {
                let _ =
                    writeln!(wrong, "{} split at {split}:\n  {parts:?}\n  {whole:?}", case.title);
                break;
            }
        }
        if case.kind.contains("lenient") {
            // The suite's lenient modes accept what the strict twin of the case refuses.
            either += 1;
            continue;
        }
        if APART.iter().any(|(title, _)| case.title.contains(title)) {
            apart += 1;
            continue;
        }
        let (got, want) = (rewritten(&case, &whole), expected(&case));
        let sure = if case.stops {
            want.iter().filter(|(_, _, ended)| *ended).count()
        } else {
            want.len()
        };
        // A head that had only begun when the connection ended may be told of, with a fault.
        let begun = case.messages.iter().filter(|message| message.head.is_none()).count();
        let fits = got.len() >= sure
            && (case.stops || got.len() <= want.len() + begun)
            && got
                .iter()
                .zip(&want)
                .take(sure)
                .all(|(got, want)| got.0 == want.0 && got.1 == want.1);
        if fits {
            exact += 1;
        } else {
            let input = case.input.escape_ascii();
            let _ = writeln!(
                wrong,
                "{} ({}):\n  {input}\n  {got:?}\n  {want:?} stops={}",
                case.title, case.kind, case.stops
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    (exact, either, apart)
}

#[test]
fn requests_of_the_suite_at_every_split() {
    let Some(root) = shared() else { return };
    // (as the suite says, read in either way, apart from HTTP/1)
    let counts = check_all(&root.join("request"));
    assert_eq!(counts, (93, 18, 5));
}

#[test]
fn answers_of_the_suite_at_every_split() {
    let Some(root) = shared() else { return };
    let counts = check_all(&root.join("response"));
    assert_eq!(counts, (45, 4, 4));
}
