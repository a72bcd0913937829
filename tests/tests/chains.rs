//! Chains of real services in several languages: who called for whom, against what the services say
//! themselves. Each names what it sends after the request it sends it for, so that a wrong parent cannot
//! hide. A missing one is counted and printed, a wrong one fails.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use steth_tests::agent::Agent;
use steth_tests::collector::Collector;
use steth_tests::program::{Program, Scratch, command, connect, run};
use steth_tests::scripts;
use steth_tests::spans::Span;

const SERVER: u64 = 2;
const CLIENT: u64 = 3;

/// A link of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runtime {
    Nginx,
    Threads,
    Prefork,
    Asyncio,
    Node,
    Go,
    /// The same, and whoever asks writes it himself.
    GoDirect,
    Jvm,
}

use Runtime::{Asyncio, Go, GoDirect, Jvm, Nginx, Node, Prefork, Threads};

/// Services that run, by their names.
struct World {
    programs: Vec<Program>,
    scratch: Scratch,
    go: PathBuf,
    name: String,
}

impl World {
    fn new(name: &str) -> Result<Self> {
        let name = format!("{name}-{}", std::process::id());
        let scratch = Scratch::new(&name)?;
        let go = scratch.path().join("chain-go");
        let mut build = Command::new("go");
        build.args(["build", "-o"]).arg(&go).arg(".").current_dir(scripts::path("chain"));
        build.envs([("GOFLAGS", "-mod=mod"), ("GOTOOLCHAIN", "local"), ("GOPROXY", "off")]);
        run(build)?;
        let mut java = Command::new("javac");
        java.arg("-d").arg(scratch.path()).arg(scripts::path("Chain.java"));
        run(java)?;
        Ok(Self { programs: Vec::new(), scratch, go, name })
    }

    fn service(&self, of: &str) -> String {
        format!("{}-{of}", self.name)
    }

    /// Starts a service that calls `upstream`, and makes calls of its `own`, if that is not 0.
    fn start(&mut self, runtime: Runtime, of: &str, upstream: u16, own: &str) -> Result<u16> {
        let port = scripts::free_ports(1)?[0];
        let name = self.service(of);
        let python = |mode: &str| {
            let mut command = scripts::python("chain.py", &name);
            command.arg(mode);
            command
        };
        let mut command = match runtime {
            Threads => python("threads"),
            Prefork => python("prefork"),
            Asyncio => python("asyncio"),
            Node => {
                let mut command = command("node", &name);
                command.arg(scripts::path("chain.js"));
                command
            }
            Go | GoDirect => command(&self.go, &name),
            Jvm => {
                let mut command = command("java", &name);
                command.arg("-XX:TieredStopAtLevel=1").arg("-cp").arg(self.scratch.path());
                command.arg("Chain");
                command
            }
            Nginx => {
                let mut command = command("nginx", &name);
                command.arg("-c").arg(self.nginx(of, port, upstream)?);
                command
            }
        };
        if runtime != Nginx {
            command.args([upstream.to_string(), own.to_owned(), port.to_string()]);
        }
        if runtime == GoDirect {
            command.arg("direct");
        }
        let address = if runtime == Jvm {
            SocketAddr::from((Ipv6Addr::LOCALHOST, port))
        } else {
            SocketAddr::from(([127, 0, 0, 1], port))
        };
        self.programs.push(Program::listening(command, address)?);
        Ok(port)
    }

    fn nginx(&self, of: &str, port: u16, upstream: u16) -> Result<PathBuf> {
        let at = self.scratch.path().display();
        // One connection a request in one direction, kept connections in the other.
        let keep = if of.ends_with("kept") { "keepalive 64;" } else { "" };
        self.scratch.file(
            &format!("{of}.conf"),
            format!(
                "worker_processes 1; daemon off; master_process off; error_log {at}/{of}.log;
                 pid {at}/{of}.pid; events {{ worker_connections 1024; }}
                 http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {at}/{of}b;
                   proxy_temp_path {at}/{of}p;
                   upstream behind {{ server 127.0.0.1:{upstream}; {keep} }}
                   server {{ listen 127.0.0.1:{port} backlog=256; location / {{
                     proxy_pass http://behind; proxy_http_version 1.1;
                     proxy_set_header Connection \"\"; }} }} }}"
            ),
        )
    }
}

/// Whether event loops are to be judged as well: their links are no proof, and a wrong one fails the test.
fn event_loops() -> bool {
    std::env::var_os("STETH_TEST_EVENT_LOOPS").is_some()
}

/// An agent that keeps every span and sends them at once.
fn agent(collector: &Collector) -> Result<Agent> {
    let more = [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "500000"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096"),
        ("STETH_TRACES_WINDOW", "3s"),
        ("STETH_TRACES_WINDOW_BYTES", "256MiB"),
        ("STETH_TRACES_EVENT_LOOPS", if event_loops() { "true" } else { "false" }),
    ];
    Agent::keeping_all(&["--interval", "1s"], collector, &more)
}

/// Asks for a path on a kept connection.
fn ask(stream: &mut TcpStream, path: &str) -> Result<()> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: front\r\n\r\n")?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(b"\r\n\r\nok") {
        let n = stream.read(&mut buffer)?;
        anyhow::ensure!(n > 0, "closed: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..n]);
    }
    Ok(())
}

/// So many clients at once ask for so many paths each; the kinds take turns. Gives how many were asked.
fn load(port: u16, tag: &str, clients: usize, each: usize, kinds: &[&str]) -> Result<usize> {
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..clients)
            .map(|client| {
                scope.spawn(move || -> Result<()> {
                    let mut stream = connect(port)?;
                    for n in 0..each {
                        let kind = kinds[(n + client) % kinds.len()];
                        let path = format!("/{kind}/{tag}x{client}x{n}");
                        if ask(&mut stream, &path).is_err() {
                            // Prefork workers answer one request a connection.
                            stream = connect(port)?;
                            ask(&mut stream, &path).with_context(|| path.clone())?;
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        asking.into_iter().try_for_each(|asking| match asking.join() {
            Ok(outcome) => outcome,
            Err(_) => anyhow::bail!("a client ended badly"),
        })
    })?;
    Ok(clients * each)
}

/// Until the agent knows what is usual for a service: a little more than a second, and a few of each kind.
fn warm(port: u16, kinds: &[&str]) -> Result<usize> {
    let begun = Instant::now();
    let mut asked = 0;
    while asked < 5 || begun.elapsed() < Duration::from_millis(1600) {
        let tag = format!("warm{asked}");
        asked += load(port, &tag, 1, 6, kinds)?;
    }
    Ok(asked)
}

/// The name of what was asked for.
fn name(span: &Span) -> &str {
    let path = if span.kind == SERVER { span.text("url.path") } else { span.text("url.full") };
    path.rsplit('/').next().unwrap_or_default()
}

/// Links found, and calls in all.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    found: usize,
    all: usize,
}

/// Every link must be true. Gives the share of links found inside of each service, by the beginning of the
/// request's name and its kind.
fn check(world: &World, spans: &[Span]) {
    let ids: BTreeMap<(&str, &str), &Span> =
        spans.iter().map(|span| ((span.trace.as_str(), span.id.as_str()), span)).collect();
    let mut shares: BTreeMap<String, (Share, BTreeMap<String, usize>)> = BTreeMap::new();
    let own = spans.iter().filter(|span| span.service().starts_with(&world.name));
    let mut wrong = Vec::new();
    for span in own {
        let parent = ids.get(&(span.trace.as_str(), span.parent.as_str()));
        if span.kind == SERVER {
            if let Some(parent) = parent {
                assert_eq!((parent.kind, name(parent)), (CLIENT, name(span)), "{span:#?}");
            }
            continue;
        }
        assert_eq!(span.kind, CLIENT);
        // A proxy hands on the name as it is.
        let (proxied, own) = (span.service().contains("nginx"), name(span));
        let cause = if proxied { Some(own) } else { own.rsplit_once('.').map(|(cause, _)| cause) };
        match (parent, cause) {
            (Some(parent), Some(cause)) => {
                assert_eq!((parent.kind, parent.service()), (SERVER, span.service()), "{span:#?}");
                if name(parent) != cause {
                    wrong.push(line(span, parent));
                }
            }
            (Some(parent), None) => {
                wrong.push(line(span, parent));
                continue;
            }
            (None, Some(_)) => assert!(span.parent.is_empty(), "whose? {span:#?}"),
            (None, None) => {
                assert!(span.parent.is_empty(), "whose? {span:#?}");
                continue;
            }
        }
        let tag = own.split('x').next().unwrap_or_default();
        if tag.starts_with("warm") {
            continue;
        }
        let service = span.service().trim_start_matches(&world.name).trim_start_matches('-');
        let (share, missing) = shares.entry(format!("{service} {tag}")).or_default();
        share.all += 1;
        share.found += usize::from(parent.is_some());
        let how = ["steth.link.method", "steth.link.missing"].map(|key| span.text(key)).concat();
        *missing.entry(how).or_default() += 1;
    }
    print(&shares);
    assert!(wrong.is_empty(), "{} wrong parents:\n{}", wrong.len(), wrong.join("\n"));
}

fn line(span: &Span, parent: &Span) -> String {
    format!(
        "{} by {}: {} under {}, begun {} us after it, ended {} us before it",
        span.service(),
        span.text("steth.link.method"),
        name(span),
        name(parent),
        (i128::from(span.start) - i128::from(parent.start)) / 1000,
        (i128::from(parent.end) - i128::from(span.end)) / 1000,
    )
}

fn print(shares: &BTreeMap<String, (Share, BTreeMap<String, usize>)>) {
    for (service, (share, how)) in shares {
        let percent = 100.0 * share.found as f64 / share.all as f64;
        println!("{service:24} {percent:5.1} % of {:5}  {how:?}", share.all);
    }
}

/// Spans of requests that clients sent to the services `fronts`.
fn asked(world: &World, spans: &[Span], fronts: &[String]) -> usize {
    let fronts: Vec<String> = fronts.iter().map(|of| world.service(of)).collect();
    let front = spans.iter().filter(|span| {
        let own = fronts.iter().any(|front| front == span.service());
        own && span.kind == SERVER && !name(span).contains('.')
    });
    front.count()
}

#[test]
fn no_call_is_given_to_a_request_it_was_not_made_for() -> Result<()> {
    let Some(collector) = Collector::start("causes-collector")? else { return Ok(()) };
    let mut world = World::new("causes")?;
    let leaf = world.start(Go, "leaf", 0, "0")?;
    let mut agent = agent(&collector)?;
    let (mut total, mut fronts) = (0, Vec::new());
    for (runtime, of) in [
        (Threads, "threads"),
        (Prefork, "prefork"),
        (Asyncio, "asyncio"),
        (Node, "node"),
        (Go, "go"),
        (GoDirect, "go-direct"),
        (Jvm, "jvm"),
        (Nginx, "nginx"),
        (Nginx, "nginx-kept"),
    ] {
        // Calls of its own that are like those it makes for others, and other ones.
        let owns: &[&str] = match runtime {
            Nginx => &["0"],
            Threads | Prefork | Jvm => &["0", "l"],
            _ => &["0", "l", "b"],
        };
        for own in owns {
            let of = if *own == "0" { of.to_owned() } else { format!("{of}-own-{own}") };
            let port = world.start(runtime, &of, leaf, own)?;
            let kinds: &[&str] = match runtime {
                Nginx => &["l", "f"],
                // Its few workers would wait for each other.
                Prefork => &["c", "q", "p", "r", "d"],
                _ => &["c", "q", "p", "s", "r", "d"],
            };
            total += warm(port, kinds)?;
            total += load(port, "one", 1, 60, kinds)?;
            total += load(port, "plain", 1, 40, &kinds[..1])?;
            if runtime != Prefork {
                total += load(port, "few", 4, 30, kinds)?;
                total += load(port, "many", 50, 6, kinds)?;
                total += load(port, "flat", 50, 4, &kinds[..1])?;
            }
            fronts.push(of);
            // Only the leaf goes on.
            world.programs.truncate(1);
        }
    }
    let (status, _) = agent.terminate()?;
    assert!(status.success(), "{}", agent.log());
    let spans = collector.spans_when(|spans| asked(&world, spans, &fronts) >= total)?;
    check(&world, &spans);
    assert_eq!(asked(&world, &spans, &fronts), total, "{}", agent.log());
    Ok(())
}

#[test]
fn a_chain_of_five_runtimes_is_one_trace_where_its_links_are_found() -> Result<()> {
    let Some(collector) = Collector::start("chain-collector")? else { return Ok(()) };
    let mut world = World::new("chain")?;
    let last = world.start(Jvm, "5-jvm", 0, "0")?;
    let fourth = world.start(Go, "4-go", last, "0")?;
    let third = world.start(Node, "3-node", fourth, "0")?;
    let second = world.start(Threads, "2-threads", third, "0")?;
    let front = world.start(Nginx, "1-nginx-kept", second, "0")?;
    let mut agent = agent(&collector)?;
    let mut total = warm(front, &["c"])?;
    total += load(front, "one", 1, 200, &["c"])?;
    total += load(front, "many", 50, 20, &["c"])?;
    let (status, _) = agent.terminate()?;
    assert!(status.success(), "{}", agent.log());
    let fronts = ["1-nginx-kept".to_owned()];
    let whole = |spans: &[Span]| {
        let last = spans.iter().filter(|span| span.service() == world.service("5-jvm"));
        asked(&world, spans, &fronts) + last.count()
    };
    let spans = collector.spans_when(|spans| whole(spans) >= 2 * total)?;
    check(&world, &spans);
    let mut traces: BTreeMap<&str, usize> = BTreeMap::new();
    for span in spans.iter().filter(|span| span.service().starts_with(&world.name)) {
        *traces.entry(&span.trace).or_default() += 1;
    }
    for tag in ["one", "many"] {
        let own = spans
            .iter()
            .filter(|span| span.service() == world.service("1-nginx-kept") && span.kind == SERVER);
        let of = own.filter(|span| name(span).starts_with(tag)).map(|span| traces[&*span.trace]);
        let sizes = of.fold(BTreeMap::new(), |mut sizes: BTreeMap<usize, usize>, size| {
            *sizes.entry(size).or_default() += 1;
            sizes
        });
        println!("{tag}: traces by spans, of 9: {sizes:?}");
        assert!(sizes.keys().all(|size| *size <= 9), "strangers in one trace");
    }
    assert_eq!(whole(&spans), 2 * total, "{}", agent.log());
    Ok(())
}
