//! What goes wrong is told as what it is, on both sides, and nothing is made up: no status that did not come, no time of
//! another request.

use steth_tests::agent::{Agent, free_port};
use steth_tests::metrics::Metrics;
use steth_tests::program::run;
use steth_tests::scripts::{python, python_server};
use steth_tests::space::Space;

/// The outcomes of a service in a role: status, error type, count.
fn outcomes(metrics: &Metrics, role: &str, job: &str) -> Vec<(String, String, f64)> {
    let name = format!("http_{role}_request_duration_seconds_count");
    let label = |sample: &steth_tests::metrics::Sample, key: &str| {
        sample.labels.get(key).cloned().unwrap_or_default()
    };
    let mut outcomes: Vec<_> = metrics
        .of(&name, &[("job", job)])
        .map(|sample| {
            let (status, error) =
                (label(sample, "http_response_status_code"), label(sample, "error_type"));
            (status, error, sample.value)
        })
        .collect();
    outcomes.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    outcomes
}

/// A path, how the client ends it, and what each side is to see: status and error type.
struct Case {
    path: &'static str,
    end: &'static str,
    server: (&'static str, &'static str),
    client: (&'static str, &'static str),
}

const fn case(
    path: &'static str,
    end: &'static str,
    server: (&'static str, &'static str),
    client: (&'static str, &'static str),
) -> Case {
    Case { path, end, server, client }
}

const CLOSED: &str = "connection_closed";
const RESET: &str = "connection_reset";

/// Who resets a connection sees it closed: the reset is what the other side sees.
const CASES: &[Case] = &[
    case("/ok", "read", ("200", ""), ("200", "")),
    case("/never", "close", ("", CLOSED), ("", CLOSED)),
    case("/never", "reset", ("", RESET), ("", CLOSED)),
    case("/endless", "part", ("200", RESET), ("200", CLOSED)),
    // A status that nobody read is not known.
    case("/endless", "reset", ("200", RESET), ("", CLOSED)),
    case("/drop", "read", ("", CLOSED), ("", CLOSED)),
    case("/reset", "read", ("", CLOSED), ("", RESET)),
    case("/half", "read", ("200", CLOSED), ("200", CLOSED)),
    case("/half-reset", "read", ("200", CLOSED), ("200", RESET)),
];

/// Answers that wait in the socket when the connection is over already, and are read then.
const LATE: &[Case] = &[
    case("/ok-close", "late", ("200", ""), ("200", "")),
    case("/ok-close", "half", ("200", ""), ("200", "")),
    case("/ok-reset", "late", ("200", ""), ("200", "")),
];

#[test]
fn aborts_are_outcomes_on_both_sides_and_no_status_is_invented() -> anyhow::Result<()> {
    check(CASES)
}

#[test]
fn an_answer_read_after_the_connection_ended_is_an_answer() -> anyhow::Result<()> {
    check(LATE)
}

/// Runs all cases side by side and compares what each side has.
fn check(cases: &[Case]) -> anyhow::Result<()> {
    const EACH: u64 = 5;
    let agent = Agent::start(&[])?;
    let mut servers = Vec::new();
    let mut clients = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let port = free_port()?;
        let service = format!("faulty-{i}");
        servers.push(python_server("faulty.py", &service, &[], port)?);
        let mut command = python("rude.py", &format!("rude-{i}"));
        command.args(["ask", &port.to_string(), case.path, case.end, &EACH.to_string()]);
        clients.push(std::thread::spawn(move || run(command)));
    }
    for client in clients {
        client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
    }
    let total = EACH * cases.len() as u64;
    let metrics = agent.metrics_when(|metrics| {
        (0..cases.len()).map(|i| metrics.served(&format!("faulty-{i}"), &[])).sum::<u64>() == total
    })?;
    let mut wrong = Vec::new();
    for (i, Case { path, end, server, client }) in cases.iter().enumerate() {
        let sides =
            [("server", format!("faulty-{i}"), server), ("client", format!("rude-{i}"), client)];
        for (role, job, (status, error)) in sides {
            let got = outcomes(&metrics, role, &job);
            if got != [((*status).to_owned(), (*error).to_owned(), EACH as f64)] {
                wrong.push(format!("{path} {end}: {role} has {got:?}, not {status:?} {error:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn the_request_in_hand_of_a_process_that_dies_is_an_outcome() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let port = free_port()?;
    let _server = python_server("odd.py", "dies-server", &["die"], port)?;
    let mut ask = python("ask.py", "dies-asks");
    ask.args(["plain", "127.0.0.1", &port.to_string(), "1", "5"]);
    assert!(run(ask).is_err(), "the third request has no answer");
    let port = free_port()?;
    let _waits = python_server("faulty.py", "dies-waits", &[], port)?;
    let mut killed = python("rude.py", "dies-client");
    killed.args(["ask", &port.to_string(), "/ok", "read", "1", "/never", "kill", "1"]);
    assert!(run(killed).is_err(), "it is killed");
    let metrics = agent.metrics_when(|metrics| metrics.served("dies-waits", &[]) == 2)?;
    let expect =
        |good| [(String::new(), CLOSED.to_owned(), 1.0), ("200".to_owned(), String::new(), good)];
    assert_eq!(outcomes(&metrics, "server", "dies-server"), expect(2.0));
    assert_eq!(outcomes(&metrics, "client", "dies-asks"), expect(2.0));
    assert_eq!(outcomes(&metrics, "server", "dies-waits"), expect(1.0));
    assert_eq!(outcomes(&metrics, "client", "dies-client"), expect(1.0));
    Ok(())
}

#[test]
fn dropped_requests_leave_nothing_to_the_next_user_of_their_descriptor() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    let port = free_port()?;
    let _server = python_server("faulty.py", "reuse-server", &[], port)?;
    let mut command = python("rude.py", "reuse-client");
    command.args(["ask", &port.to_string(), "/drop", "read", "20", "/ok", "read", "20"]);
    run(command)?;
    let metrics = agent.metrics_when(|metrics| metrics.served("reuse-server", &[]) == 40)?;
    for (role, job) in [("server", "reuse-server"), ("client", "reuse-client")] {
        let expect =
            [(String::new(), CLOSED.to_owned(), 20.0), ("200".to_owned(), String::new(), 20.0)];
        assert_eq!(outcomes(&metrics, role, job), expect, "{job}");
        let seconds = |status: &str| -> f64 {
            let name = format!("http_{role}_request_duration_seconds_sum");
            let labels = [("job", job), ("http_response_status_code", status)];
            metrics.of(&name, &labels).map(|sample| sample.value).sum()
        };
        // A dropped one takes 0.1 s: any that handed its start on would make the next as long.
        assert!(seconds("") >= 20.0 * 0.1, "{job}: dropped ones took {} s", seconds(""));
        let slowest = metrics.sum(
            &format!("http_{role}_request_duration_seconds_bucket"),
            &[("job", job), ("http_response_status_code", "200"), ("le", "0.1")],
        );
        assert_eq!(slowest, 20, "{job}: answered ones took {} s in all", seconds("200"));
    }
    Ok(())
}

#[test]
fn connects_in_vain_are_counted_by_what_they_met() -> anyhow::Result<()> {
    let agent = Agent::start(&[])?;
    // What loopback is sent for an address that is nobody's is dropped without a word.
    let space = Space::new("hole")?;
    space.ip(&["address", "add", "192.0.2.1/32", "dev", "lo"])?;
    space.ip(&["route", "add", "192.0.2.0/24", "dev", "lo"])?;
    let refusing = free_port()?.to_string();
    let cases = [
        ("vain-refused", "127.0.0.1", refusing.as_str(), "plain", 5, "connection_refused"),
        ("vain-silent", "192.0.2.9", "80", "twice", 1, "timeout"),
        ("vain-given-up", "192.0.2.9", "80", "patience", 5, "timeout"),
    ];
    for (service, host, port, how, count, _) in cases {
        let mut command = python("rude.py", service);
        command.args(["connect", host, port, how, &count.to_string()]);
        run(if host == "127.0.0.1" { command } else { space.inside(&command) })?;
    }
    let metrics = agent.metrics()?;
    for (service, host, _, _, count, error) in cases {
        let all = metrics.sum("steth_tcp_connect_failures_total", &[("job", service)]);
        let reach = if host == "127.0.0.1" { "loopback" } else { "global" };
        let labels = [("job", service), ("error_type", error), ("steth_peer_reach", reach)];
        let named = metrics.sum("steth_tcp_connect_failures_total", &labels);
        let told: Vec<_> = metrics.of("steth_tcp_connect_failures_total", &[]).collect();
        assert_eq!((named, all), (count, count), "{service}: {told:?}");
        assert_eq!(metrics.asked(service, &[]), 0, "{service}: no request was made");
    }
    Ok(())
}
