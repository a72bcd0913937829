//! Connections whose ports are translated on their way on one host: as to a published port of a container, and as to
//! the proxy that a service mesh puts beside a program.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result};
use steth_tests::agent::Agent;
use steth_tests::collector::Collector;
use steth_tests::program::{Program, Scratch, command, run};
use steth_tests::scripts::ECHO;
use steth_tests::space::Space;
use steth_tests::spans::Span;

const SERVER: u64 = 2;
const CLIENT: u64 = 3;
/// Connections, and requests on each.
const CONNECTIONS: usize = 10;
const EACH: usize = 20;

/// Asks both, says so, and stays: where it is can be looked up for as long as it is there.
const ASK: &str = r#"
import http.client, sys, threading, time
done, connections, each = sys.argv[1], *map(int, sys.argv[2:4])
def ask(of, n):
    connection = http.client.HTTPConnection("10.79.0.9", {"published": 8080, "mesh": 9000}[of], timeout=60)
    for i in range(n * each, (n + 1) * each):
        connection.request("GET", "/%s/%d" % (of, i))
        assert connection.getresponse().read() == b"/%s/%d" % (of.encode(), i)
threads = [threading.Thread(target=ask, args=(of, n)) for of in ("published", "mesh") for n in range(connections)]
for thread in threads: thread.start()
for thread in threads: thread.join()
open(done, "w").close()
time.sleep(600)
"#;

/// To a published port: address, port and the client's port are others at the server. To the mesh's proxy: address
/// and port are.
const RULES: &str = "
table ip steth {
  chain out { type nat hook output priority -100;
    ip daddr 10.79.0.9 tcp dport 8080 dnat to 10.79.0.2:8081
    ip daddr 10.79.0.9 tcp dport 9000 redirect to :15001;
  }
  chain behind { type nat hook postrouting priority 100;
    ip daddr 10.79.0.2 ip protocol tcp masquerade to :20000-29999;
  }
}";

#[test]
fn every_request_through_translated_ports_is_joined() -> Result<()> {
    if Command::new("nft").arg("--version").output().is_err() {
        anyhow::ensure!(std::env::var_os("CI").is_none(), "there is no nft: install nftables");
        println!("left out: there is no nft here to translate ports with; install nftables");
        return Ok(());
    }
    let Some(collector) = Collector::start("translated")? else { return Ok(()) };
    let name = format!("translated-{}", std::process::id());
    let (near, far) = (Space::new("tr-near")?, Space::new("tr-far")?);
    near.ip(&["link", "add", "path", "type", "veth", "peer", "name", "path", "netns", far.name()])?;
    for (space, own) in [(&near, "10.79.0.1/24"), (&far, "10.79.0.2/24")] {
        space.ip(&["address", "add", own, "dev", "path"])?;
        space.ip(&["link", "set", "path", "up"])?;
    }
    let scratch = Scratch::new(&name)?;
    let mut rules = Command::new("nft");
    rules.arg("-f").arg(scratch.file("rules", RULES)?);
    run(near.inside(&rules))?;

    let mut agent =
        Agent::keeping_all(&["--interval", "1s"], &collector, &[("STETH_TRACES_WINDOW", "4s")])?;
    let serve = scratch.file("serve.py", ECHO)?;
    let server = |of: &str, port: u16| {
        let mut server = command("python3", &format!("{name}-{of}"));
        server.arg(&serve).arg(port.to_string());
        server
    };
    let _published = far.listening(&server("published", 8081), 8081)?;
    let _mesh = near.listening(&server("mesh", 15001), 15001)?;
    let done = scratch.path().join("done");
    let mut client = command("python3", &format!("{name}-client"));
    client.arg(scratch.file("ask.py", ASK)?).arg(&done);
    client.args([CONNECTIONS, EACH].map(|n| n.to_string()));
    let _client = Program::start(near.inside(&client))?;
    steth_tests::group::wait("all requests", || Ok(done.exists()))?;

    let total = CONNECTIONS * EACH;
    let own = |spans: &[Span]| spans.iter().filter(|s| s.service().starts_with(&name)).count();
    let spans = collector.spans_when(|spans| own(spans) >= 4 * total)?;
    let (status, _) = agent.terminate()?;
    assert!(status.success(), "{}", agent.log());
    let asked = spans.iter().filter(|span| span.kind == CLIENT);
    let asked: BTreeMap<&str, &Span> = asked.map(|span| (span.id.as_str(), span)).collect();
    for of in ["published", "mesh"] {
        let service = format!("{name}-{of}");
        let served = spans.iter().filter(|s| s.service() == service && s.kind == SERVER);
        let mut seen = BTreeSet::new();
        for server in served {
            let path = server.text("url.path");
            let client = asked.get(server.parent.as_str());
            let client = client.with_context(|| format!("{path} has no parent: {server:?}"))?;
            assert!(client.text("url.full").ends_with(path), "{path}: {client:?}");
            assert_eq!(client.trace, server.trace);
            assert_eq!(server.text("steth.link.method"), "connection");
            seen.insert(path.to_owned());
        }
        assert_eq!(seen.len(), total, "{of}");
    }
    Ok(())
}
