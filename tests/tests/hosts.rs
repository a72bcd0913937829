//! Two network namespaces with an agent each, as two hosts: what the TCP option joins, over what paths.
//!
//! Both agents see the whole machine. Each leaves out the other's program and stands on the control group of
//! its own, so that neither sees more than an agent of that host would.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use steth_tests::agent::Agent;
use steth_tests::collector::Collector;
use steth_tests::group::Group;
use steth_tests::program::{Program, Scratch, command, run};
use steth_tests::scripts::{ECHO, python};
use steth_tests::space::Space;
use steth_tests::spans::Span;

const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const PORT: u16 = 8080;

/// So many connections at once with so many requests each, one after the other. Every seventh has a context, every
/// tenth a head of more than one segment.
const ASK: &str = r#"
import http.client, sys, threading
address, port, connections, each = sys.argv[1], *map(int, sys.argv[2:5])
wrong = []
def ask(n):
    connection = http.client.HTTPConnection(address, port, timeout=60)
    for i in range(n * each, (n + 1) * each):
        headers = {}
        if i % 7 == 0:
            headers["traceparent"] = "00-%032x-%016x-01" % (0xfeed0000 + i, 0xbeef0000 + i)
        if i % 10 == 9:
            headers["X-Long"] = "x" * 4000
        connection.request("GET", "/of/%d" % i, headers=headers)
        if connection.getresponse().read() != b"/of/%d" % i:
            wrong.append(i)
threads = [threading.Thread(target=ask, args=(n,)) for n in range(connections)]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.exit(len(wrong))
"#;

/// Answers with what another server answers, asked by the thread that has read the request.
const PASS_ON: &str = r#"
import http.client, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        behind = http.client.HTTPConnection(sys.argv[2], int(sys.argv[3]), timeout=60)
        behind.request("GET", self.path)
        answer = behind.getresponse().read()
        behind.close()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *_): pass
ThreadingHTTPServer.request_queue_size = 64
ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"#;

/// Answers each record of an opaque protocol with one.
const OPAQUE_SERVE: &str = r#"
import socketserver, sys
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(65536):
            self.request.sendall(b"\x17\x03\x03\x00\x02ok")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, request_queue_size = True, 64
Server(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"#;

/// So many connections, with one record each.
const OPAQUE_ASK: &str = r#"
import socket, sys
address, port, connections = sys.argv[1], *map(int, sys.argv[2:4])
for _ in range(connections):
    with socket.create_connection((address, port), 60) as connection:
        connection.sendall(b"\x16\x03\x01\x00\x05hello")
        assert connection.recv(65536) == b"\x17\x03\x03\x00\x02ok"
"#;

/// Two hosts and the path between them.
struct Hosts {
    _path: Program,
    spaces: [Space; 2],
    groups: [Group; 2],
    scratch: Scratch,
    name: String,
    net: u8,
}

impl Hosts {
    /// With a path that treats the option in this way.
    fn new(path: &str, number: u8) -> Result<Self> {
        let name = format!("hosts-{path}-{number}");
        let spaces = [Space::new(&format!("{name}-a"))?, Space::new(&format!("{name}-b"))?];
        let scratch = Scratch::new(&name)?;
        let mut relay = python("options.py", &format!("{name}-relay"));
        relay.args([spaces[0].name(), spaces[1].name(), path]).arg(scratch.path().join("seen"));
        let relay = Program::start(relay)?;
        for (i, space) in spaces.iter().enumerate() {
            let deadline = Instant::now() + Duration::from_secs(30);
            while space.ip(&["link", "set", "path", "mtu", "1500", "up"]).is_err() {
                ensure!(Instant::now() < deadline, "the relay has not made its device");
                std::thread::yield_now();
            }
            let (own, other) = (address(number, i), address(number, 1 - i));
            space.ip(&["address", "add", &own, "peer", &other, "dev", "path"])?;
        }
        let groups = [Group::new(number * 2)?, Group::new(number * 2 + 1)?];
        let name = format!("{name}-{}", std::process::id());
        Ok(Self { _path: relay, spaces, groups, scratch, name, net: number })
    }

    fn service(&self, host: usize, of: &str) -> String {
        format!("{}-{}-{of}", self.name, ["near", "far"][host])
    }

    /// A Python program on a host.
    fn python(
        &self,
        host: usize,
        of: &str,
        text: &str,
        arguments: &[&str],
    ) -> Result<std::process::Command> {
        let mut python = command("python3", &self.service(host, of));
        python.arg(self.scratch.file(&format!("{of}.py"), text)?).args(arguments);
        // Where a namespace is entered, the control groups are out of sight.
        Ok(self.groups[host].inside(&self.spaces[host].inside(&python)))
    }

    fn serve(&self, text: &str) -> Result<Program> {
        self.serve_at(1, "server", text, &[&PORT.to_string()])
    }

    /// A server on a host; its first argument is its port.
    fn serve_at(&self, host: usize, of: &str, text: &str, arguments: &[&str]) -> Result<Program> {
        let server = self.python(host, of, text, arguments)?;
        self.spaces[host].heard(Program::start(server)?, arguments[0].parse()?)
    }

    fn ask(&self, text: &str, numbers: &[usize]) -> Result<()> {
        let mut words = vec![address(self.net, 1), PORT.to_string()];
        words.extend(numbers.iter().map(usize::to_string));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let client = self.python(0, "client", text, &words)?;
        run(client).map(drop)
    }

    /// The agent of a host.
    fn agent(&self, host: usize, collector: &Collector) -> Result<Agent> {
        let other = format!("{}*", self.service(1 - host, ""));
        let flags = ["--interval", "1s", "--exclude-service", &other];
        Agent::keeping_all(&flags, collector, &[("STETH_TRACES_HOSTS", self.groups[host].path())])
    }

    /// How many ids came by the path.
    fn seen(&self) -> u64 {
        let text = std::fs::read_to_string(self.scratch.path().join("seen")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// Ends both agents; the spans of the client and those of the server.
    fn spans(
        &self,
        mut agents: [Agent; 2],
        collector: &Collector,
        each: usize,
    ) -> Result<[Vec<Span>; 2]> {
        for agent in &mut agents {
            let (status, _) = agent.terminate()?;
            ensure!(status.success(), "{}", agent.log());
        }
        let names = [self.service(0, "client"), self.service(1, "server")];
        let of = |spans: &[Span], host: usize, kind| -> Vec<Span> {
            let own = |span: &&Span| span.service() == names[host] && span.kind == kind;
            spans.iter().filter(own).cloned().collect()
        };
        let all = collector.spans_when(|spans| {
            of(spans, 0, CLIENT).len() >= each && of(spans, 1, SERVER).len() >= each
        })?;
        Ok([of(&all, 0, CLIENT), of(&all, 1, SERVER)])
    }
}

fn address(net: u8, host: usize) -> String {
    format!("10.78.{net}.{}", host + 1)
}

/// A counter of the kernel side.
fn counter(agent: &Agent, name: &str) -> Result<u64> {
    let status = agent.status()?;
    let counters = status["kernel_counters"].as_array().context("no counters")?;
    let found = counters.iter().find(|counter| counter["name"] == name);
    found.and_then(|counter| counter["count"].as_u64()).with_context(|| format!("no {name}"))
}

/// Which request a span is of.
fn which(span: &Span) -> Result<usize> {
    let path = [span.text("url.path"), span.text("url.full")].concat();
    Ok(path.rsplit('/').next().unwrap_or_default().parse()?)
}

/// Every server's span is the child of the client's span of the same request, in its trace.
fn joined(clients: &[Span], servers: &[Span], total: usize) -> Result<()> {
    assert_eq!((clients.len(), servers.len()), (total, total));
    let asked: BTreeMap<&str, &Span> =
        clients.iter().map(|span| (span.id.as_str(), span)).collect();
    assert_eq!(asked.len(), total, "ids of clients");
    let mut seen = BTreeSet::new();
    for server in servers {
        let n = which(server)?;
        let client = asked.get(server.parent.as_str());
        let client = client.with_context(|| format!("{n} has no parent: {server:?}"))?;
        assert_eq!(which(client)?, n, "another request's span is the parent");
        assert_eq!(client.trace, server.trace, "{n}");
        assert_eq!(server.text("steth.link.method"), "tcp_option");
        if n.is_multiple_of(7) {
            assert_eq!(client.trace, format!("{:032x}", 0xfeed_0000 + n));
            assert_eq!(client.parent, format!("{:016x}", 0xbeef_0000 + n));
            assert_eq!(client.text("steth.link.method"), "context");
        } else {
            assert_eq!(client.parent, "");
        }
        seen.insert(n);
    }
    assert_eq!(seen.len(), total, "requests");
    let traces: BTreeSet<&str> = servers.iter().map(|span| span.trace.as_str()).collect();
    assert_eq!(traces.len(), total, "traces");
    Ok(())
}

#[test]
fn every_request_is_joined_over_a_path_that_lets_the_option_pass() -> Result<()> {
    const CONNECTIONS: usize = 10;
    const EACH: usize = 20;
    for (path, number) in [("pass", 1), ("nat", 2)] {
        let Some(collector) = Collector::start("hosts-collector")? else { return Ok(()) };
        let hosts = Hosts::new(path, number)?;
        let agents = [hosts.agent(0, &collector)?, hosts.agent(1, &collector)?];
        let _server = hosts.serve(ECHO)?;
        hosts.ask(ASK, &[CONNECTIONS, EACH])?;
        let total = CONNECTIONS * EACH;
        assert_eq!(counter(&agents[0], "carry_written")?, total as u64, "{path}: written");
        assert_eq!(counter(&agents[1], "carry_read")?, total as u64, "{path}: read");
        assert_eq!(counter(&agents[0], "carry_no_room")?, 0);
        let [clients, servers] = hosts.spans(agents, &collector, total)?;
        joined(&clients, &servers, total)?;
    }
    Ok(())
}

#[test]
fn a_call_made_by_the_thread_that_has_the_request_in_hand_is_of_its_trace() -> Result<()> {
    let Some(collector) = Collector::start("hosts-chain")? else { return Ok(()) };
    let hosts = Hosts::new("pass", 7)?;
    let mut agents = [hosts.agent(0, &collector)?, hosts.agent(1, &collector)?];
    let _back = hosts.serve_at(0, "back", ECHO, &["8081"])?;
    let back = [PORT.to_string(), address(7, 0)];
    let _server = hosts.serve_at(1, "server", PASS_ON, &[&back[0], &back[1], "8081"])?;
    hosts.ask(ASK, &[8, 10])?;
    for agent in &mut agents {
        assert_eq!(counter(agent, "carry_written")?, 80);
        assert_eq!(counter(agent, "carry_read")?, 80);
        let (status, _) = agent.terminate()?;
        ensure!(status.success(), "{}", agent.log());
    }
    let all = collector.spans_when(|spans| {
        spans.iter().filter(|span| span.service().starts_with(&hosts.name)).count() >= 4 * 80
    })?;
    let of = |host, of, kind| -> Result<BTreeMap<usize, &Span>> {
        let name = hosts.service(host, of);
        let own = all.iter().filter(|span| span.service() == name && span.kind == kind);
        own.map(|span| Ok((which(span)?, span))).collect()
    };
    let (client, server) = (of(0, "client", CLIENT)?, of(1, "server", SERVER)?);
    let (call, back) = (of(1, "server", CLIENT)?, of(0, "back", SERVER)?);
    for n in 0..80 {
        let (client, server, call, back) = (&client[&n], &server[&n], &call[&n], &back[&n]);
        assert_eq!((&server.parent, &server.trace), (&client.id, &client.trace), "{n}");
        assert_eq!((&back.parent, &back.trace), (&call.id, &call.trace), "{n}");
        // A context in the first head is not passed on, and not seen before the call leaves.
        assert_eq!(call.trace == server.trace, n % 7 != 0, "{n}");
    }
    Ok(())
}

#[test]
fn a_path_that_strips_the_option_costs_the_link_and_nothing_else() -> Result<()> {
    let Some(collector) = Collector::start("hosts-strip")? else { return Ok(()) };
    let hosts = Hosts::new("strip", 3)?;
    let agents = [hosts.agent(0, &collector)?, hosts.agent(1, &collector)?];
    let _server = hosts.serve(ECHO)?;
    hosts.ask(ASK, &[4, 10])?;
    assert_eq!(hosts.seen(), 40);
    assert_eq!(counter(&agents[1], "carry_read")?, 0);
    assert_eq!(counter(&agents[0], "carry_sent_again")?, 0);
    let [clients, servers] = hosts.spans(agents, &collector, 40)?;
    apart(&clients, &servers, 40)
}

/// No server's span has another parent than its head says.
fn apart(clients: &[Span], servers: &[Span], total: usize) -> Result<()> {
    assert_eq!((clients.len(), servers.len()), (total, total));
    for server in servers {
        let n = which(server)?;
        if n.is_multiple_of(7) {
            assert_eq!(server.parent, format!("{:016x}", 0xbeef_0000 + n));
            assert_eq!(server.text("steth.link.method"), "context");
        } else {
            assert_eq!(server.parent, "");
            assert_eq!(server.text("steth.link.missing"), "peer_not_seen");
        }
    }
    Ok(())
}

#[test]
fn a_path_that_drops_the_option_gets_no_more_of_it_and_every_request_is_answered() -> Result<()> {
    let Some(collector) = Collector::start("hosts-drop")? else { return Ok(()) };
    let hosts = Hosts::new("drop", 4)?;
    let agents = [hosts.agent(0, &collector)?, hosts.agent(1, &collector)?];
    let _server = hosts.serve(ECHO)?;
    let begun = Instant::now();
    hosts.ask(ASK, &[1, 40])?;
    println!("{:?} for 40 requests", begun.elapsed());
    // Eight strikes in a row, one retransmission each, and no more to that address.
    assert_eq!(hosts.seen(), 8);
    assert_eq!(counter(&agents[0], "carry_written")?, 8);
    assert_eq!(counter(&agents[0], "carry_sent_again")?, 8);
    assert_eq!(counter(&agents[0], "carry_struck")?, 32);
    let [clients, servers] = hosts.spans(agents, &collector, 40)?;
    apart(&clients, &servers, 40)
}

#[test]
fn a_peer_without_an_agent_answers_as_ever() -> Result<()> {
    let Some(collector) = Collector::start("hosts-alone")? else { return Ok(()) };
    let hosts = Hosts::new("pass", 5)?;
    let mut agent = hosts.agent(0, &collector)?;
    let _server = hosts.serve(ECHO)?;
    hosts.ask(ASK, &[4, 10])?;
    assert_eq!(hosts.seen(), counter(&agent, "carry_written")?);
    assert_eq!(counter(&agent, "carry_written")?, 40);
    assert_eq!(counter(&agent, "carry_sent_again")?, 0);
    let (status, _) = agent.terminate()?;
    assert!(status.success(), "{}", agent.log());
    let name = hosts.service(0, "client");
    let of = |spans: &[Span]| spans.iter().filter(|span| span.service() == name).count();
    let spans = collector.spans_when(|spans| of(spans) >= 40)?;
    assert_eq!(of(&spans), 40);
    Ok(())
}

#[test]
fn opaque_bytes_bring_their_ids_as_well() -> Result<()> {
    let Some(collector) = Collector::start("hosts-opaque")? else { return Ok(()) };
    let hosts = Hosts::new("pass", 6)?;
    let agents = [hosts.agent(0, &collector)?, hosts.agent(1, &collector)?];
    let _server = hosts.serve(OPAQUE_SERVE)?;
    hosts.ask(OPAQUE_ASK, &[50])?;
    assert_eq!(counter(&agents[0], "carry_written")?, 50);
    assert_eq!(counter(&agents[1], "carry_read")?, 50);
    assert_eq!(counter(&agents[0], "carry_sent_again")?, 0);
    Ok(())
}

#[test]
fn it_is_off_unless_it_is_wanted_and_tries_itself_out() -> Result<()> {
    let probe = |agent: &Agent| -> Result<(String, String)> {
        let status = agent.status()?;
        let probes = status["capture"]["probes"].as_array().context("no probes")?;
        let carry = probes.iter().find(|probe| probe["name"] == "carry").context("no carry")?;
        let text = |key: &str| carry[key].as_str().unwrap_or_default().to_owned();
        Ok((text("state"), text("why")))
    };
    let agent = Agent::start(&[])?;
    assert_eq!(probe(&agent)?.0, "disabled");
    assert_eq!(counter(&agent, "carry_written")?, 0);
    drop(agent);
    let agent = Agent::start_with(&[], &[("STETH_TRACES_HOSTS", "on")])?;
    assert_eq!(probe(&agent)?, ("active".to_owned(), String::new()));
    assert!(counter(&agent, "carry_written")? > 0, "it has tried itself");
    drop(agent);
    let agent = Agent::start_with(&[], &[("STETH_TRACES_HOSTS", "/no/such/group")])?;
    let (state, why) = probe(&agent)?;
    assert_eq!(state, "failed");
    assert!(why.contains("no/such/group"), "{why}");
    Ok(())
}
