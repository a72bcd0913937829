//! Servers and clients of each language: each exchange counted once on each side, with its status, and each program called
//! by a sensible name when it says none itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use steth_tests::agent::Agent;
use steth_tests::metrics::Metrics;
use steth_tests::program::{Program, Scratch, command, run};
use steth_tests::scripts;

const HYPER: &str = env!("CARGO_BIN_EXE_hyper_peer");
const STATUSES: [&str; 5] = ["200", "404", "429", "500", "503"];
/// Requests a client makes of each server, for each status.
const EACH: u64 = 40;

/// A program in a language: how it is started, and the name the agent finds if none is set.
struct Peer {
    language: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    name: &'static str,
}

impl Peer {
    fn new(
        language: &'static str,
        program: impl AsRef<Path>,
        arguments: &[&str],
        name: &'static str,
    ) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { language, program: program.as_ref().to_owned(), arguments, name }
    }

    /// An interpreter's, with its script.
    fn script(language: &'static str, interpreter: &str, script: &str, name: &'static str) -> Self {
        let path = scripts::path(script);
        Self::new(language, interpreter, &[&path.to_string_lossy()], name)
    }

    /// As the service `name`, or as whatever the agent calls it.
    fn command(&self, name: Option<&str>) -> Command {
        let mut command = command(&self.program, name.unwrap_or_default());
        if name.is_none() {
            command.env_remove("OTEL_SERVICE_NAME").env_remove("OTEL_RESOURCE_ATTRIBUTES");
        }
        command.args(&self.arguments);
        command
    }
}

/// The Go programs, compiled without a network.
fn go(scratch: &Scratch) -> anyhow::Result<PathBuf> {
    let binary = scratch.path().join("tally-go");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&binary).arg(".").current_dir(scripts::path("go"));
    build.envs([("GOFLAGS", "-mod=mod"), ("GOTOOLCHAIN", "local"), ("GOPROXY", "off")]);
    run(build)?;
    Ok(binary)
}

fn servers(go: &Path) -> Vec<Peer> {
    vec![
        Peer::script("python", "python3", "tally_http.py", "tally_http"),
        Peer::script("asyncio", "python3", "tally_asyncio.py", "tally_asyncio"),
        Peer::script("node", "node", "tally_server.js", "tally_server"),
        Peer::new("go", go, &["server"], "tally-go"),
        Peer::script("java", "java", "TallyServer.java", "TallyServer"),
        Peer::new("rust", HYPER, &["server"], "hyper_peer"),
    ]
}

fn clients(go: &Path) -> Vec<Peer> {
    vec![
        Peer::script("python", "python3", "tally_client.py", "tally_client"),
        Peer::script("node", "node", "tally_client.js", "tally_client"),
        Peer::new("go", go, &["client"], "tally-go"),
        Peer::script("java", "java", "TallyClient.java", "TallyClient"),
        Peer::new("rust", HYPER, &["client"], "hyper_peer"),
        Peer::new("curl", "curl", &["--silent", "--show-error", "--output", "/dev/null"], "curl"),
    ]
}

/// Starts all servers, those with a name of their own as the services `PREFIX-LANGUAGE`; gives their ports.
fn start(servers: &[Peer], prefix: Option<&str>) -> anyhow::Result<(Vec<Program>, Vec<u16>)> {
    let mut starting = Vec::new();
    // All at once: they start side by side.
    let ports = scripts::free_ports(servers.len())?;
    for (peer, &port) in servers.iter().zip(&ports) {
        let mut command = peer.command(prefix.map(|p| format!("{p}-{}", peer.language)).as_deref());
        command.arg(port.to_string());
        // Some listen at an IPv6 socket that takes IPv4 as well.
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let six = peer.language == "java";
        let address = if six { (std::net::Ipv6Addr::LOCALHOST, port).into() } else { address };
        starting.push(std::thread::spawn(move || Program::listening(command, address)));
    }
    let mut programs = Vec::new();
    for program in starting {
        programs.push(program.join().map_err(|_| anyhow::anyhow!("a server panicked"))??);
    }
    Ok((programs, ports))
}

/// Lets a client ask each of the servers.
fn ask(client: &Peer, name: Option<&str>, ports: &[u16]) -> anyhow::Result<()> {
    let mut command = client.command(name);
    if client.language == "curl" {
        for port in ports {
            command.arg(format!(
                "http://127.0.0.1:{port}/status/{{{}}}#[1-{EACH}]",
                STATUSES.join(",")
            ));
            command.args(["--output", "/dev/null"]);
        }
    } else {
        command.args(ports.iter().map(u16::to_string));
    }
    run(command).map(|_| ())
}

/// Each status was counted so often for a service in a role, with these labels, and nothing else was.
fn check(metrics: &Metrics, role: &str, job: &str, more: &[(&str, &str)], count: u64) {
    for status in STATUSES {
        let failed = match role {
            "server" => status.starts_with('5'),
            _ => status != "200",
        };
        let error = if failed { status } else { "" };
        let mut labels = vec![("http_response_status_code", status), ("error_type", error)];
        labels.extend_from_slice(more);
        assert_eq!(metrics.requests(role, job, &labels), count, "{job} as {role}: {labels:?}");
    }
    assert_eq!(metrics.requests(role, job, more), count * 5, "{job} as {role}: {more:?}");
}

#[test]
fn every_language_is_counted_exactly_in_its_role() -> anyhow::Result<()> {
    let scratch = Scratch::new("languages")?;
    let go = go(&scratch)?;
    let (servers, clients) = (servers(&go), clients(&go));
    let agent = Agent::start(&[])?;
    let (_programs, ports) = start(&servers, Some("serves"))?;
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let ports = &ports;
        let asking: Vec<_> = clients
            .iter()
            .map(|client| {
                scope.spawn(move || ask(client, Some(&format!("asks-{}", client.language)), ports))
            })
            .collect();
        for client in asking {
            client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        Ok(())
    })?;
    let metrics = agent.metrics()?;
    for (server, port) in servers.iter().zip(&ports) {
        let job = format!("serves-{}", server.language);
        check(&metrics, "server", &job, &[], EACH * clients.len() as u64);
        assert_eq!(metrics.asked(&job, &[]), 0, "{job} asked nobody");
        for client in &clients {
            let job = format!("asks-{}", client.language);
            let port = port.to_string();
            check(&metrics, "client", &job, &[("server_port", &port)], EACH);
        }
    }
    for client in &clients {
        let job = format!("asks-{}", client.language);
        assert_eq!(metrics.served(&job, &[]), 0, "{job} served nobody");
    }
    Ok(())
}

#[test]
fn every_language_has_a_name_when_none_is_set() -> anyhow::Result<()> {
    let scratch = Scratch::new("names")?;
    let go = go(&scratch)?;
    let (servers, clients) = (servers(&go), clients(&go));
    let agent = Agent::start(&[])?;
    let (_programs, ports) = start(&servers, None)?;
    let Some((first, rest)) = clients.split_first() else { return Ok(()) };
    ask(first, Some("asks-names"), &ports)?;
    for client in rest {
        ask(client, None, ports.get(..1).unwrap_or_default())?;
    }
    let metrics = agent.metrics()?;
    for server in &servers {
        // Others on this host may run a program of this name.
        let served = metrics.served(server.name, &[("http_request_method", "GET")]);
        assert!(served >= EACH * 5, "{} has {served} as a server", server.name);
    }
    for client in rest {
        let port = ports.first().map(u16::to_string).unwrap_or_default();
        let asked = metrics.asked(client.name, &[("server_port", &port)]);
        assert_eq!(asked, EACH * 5, "{}", client.name);
    }
    Ok(())
}
