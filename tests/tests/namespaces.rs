//! Addresses are not identities: equal 4-tuples in two network namespaces, IPv6, IPv4 in IPv6's clothes.

use std::process::Command;

use steth_tests::agent::{Agent, free_port};
use steth_tests::metrics::Metrics;
use steth_tests::program::{listens, run};
use steth_tests::scripts::python;
use steth_tests::space::Space;

fn server(service: &str, host: &str, port: u16) -> Command {
    let mut command = python("odd.py", service);
    command.args(["plain", host, &port.to_string()]);
    command
}

fn check(metrics: &Metrics, role: &str, job: &str, address: &str, count: u64) {
    let whole = [("http_response_status_code", "200"), ("error_type", "")];
    assert_eq!(metrics.requests(role, job, &whole), count, "{job}");
    assert_eq!(metrics.requests(role, job, &[]), count, "{job}");
    if role == "client" {
        let name = "http_client_request_duration_seconds_count";
        for sample in metrics.of(name, &[("job", job)]) {
            let got = sample.labels.get("server_address").map(String::as_str);
            assert_eq!(got, Some(address), "{job}");
        }
    }
}

#[test]
fn equal_addresses_in_two_namespaces_are_two_connections() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let spaces = [Space::new("one")?, Space::new("two")?];
    let mut servers = Vec::new();
    for (i, space) in spaces.iter().enumerate() {
        let command = server(&format!("twin-server-{i}"), "127.0.0.1", 8080);
        servers.push(space.listening(&command, 8080)?);
    }
    let mut clients = Vec::new();
    // One port, one source port, one address: only the namespace differs. Long enough to overlap.
    for (i, space) in spaces.iter().enumerate() {
        let mut command = python("ask.py", &format!("twin-client-{i}"));
        command.args(["from", "40000", "127.0.0.1", "8080", "1", &(1000 + i * 500).to_string()]);
        let command = space.inside(&command);
        clients.push(std::thread::spawn(move || run(command)));
    }
    for client in clients {
        client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
    }
    let metrics = agent.metrics()?;
    for (i, count) in [(0, 1000), (1, 1500)] {
        check(&metrics, "server", &format!("twin-server-{i}"), "", count);
        check(&metrics, "client", &format!("twin-client-{i}"), "127.0.0.1", count);
    }
    Ok(())
}

#[test]
fn ipv6_and_mapped_ipv4_are_counted_like_ipv4() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let port = free_port()?;
    let command = server("six-server", "::", port);
    let _server = steth_tests::program::Program::start(command)?;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !listens((std::net::Ipv6Addr::UNSPECIFIED, port).into()) {
        assert!(std::time::Instant::now() < deadline, "the server does not listen");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let cases = [
        ("six-native", "::1", "::1"),
        ("six-mapped", "::ffff:127.0.0.1", "::ffff:127.0.0.1"),
        ("six-plain", "127.0.0.1", "127.0.0.1"),
    ];
    for (service, host, _) in cases {
        let mut command = python("ask.py", service);
        command.args(["plain", host, &port.to_string(), "5", "20"]);
        run(command)?;
    }
    let metrics = agent.metrics()?;
    check(&metrics, "server", "six-server", "", 300);
    for (service, _, address) in cases {
        check(&metrics, "client", service, address, 100);
    }
    Ok(())
}
