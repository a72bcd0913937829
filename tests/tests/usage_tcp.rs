//! TCP by service against the kernel's own counters: retransmits and round trips over a path that loses
//! and delays, accept queues of a service that stops accepting.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use steth_tests::agent::{Agent, free_port};
use steth_tests::metrics::Metrics;
use steth_tests::program::{Program, Scratch, command, run};
use steth_tests::scripts::python;
use steth_tests::space::Space;

const SIZE: usize = 100_000_000;
const DELAY: f64 = 0.020;

/// Counters of the kernel in a namespace, since it was made.
fn nstat(space: &Space) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut command = Command::new("nstat");
    command.args(["--ignore", "--zeros", "--noupdate"]);
    let said = String::from_utf8(run(space.inside(&command))?.stdout)?;
    let rows = said.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    });
    Ok(rows.collect())
}

/// The smoothed round-trip time of the connection that sends, in seconds, as `ss` has it.
fn round_trip(space: &Space) -> anyhow::Result<Option<f64>> {
    let mut command = Command::new("ss");
    command.args(["-H", "-t", "-i", "-n", "state", "established", "sport", "=", ":8080"]);
    let said = String::from_utf8(run(space.inside(&command))?.stdout)?;
    let word = said.split_ascii_whitespace().find_map(|word| word.strip_prefix("rtt:"));
    let millis = word.and_then(|word| word.split('/').next()?.parse::<f64>().ok());
    Ok(millis.map(|millis| millis / 1000.0))
}

/// The least upper bound that holds the share `q` of a histogram, and the one below.
fn quantile(metrics: &Metrics, name: &str, labels: &[(&str, &str)], q: f64) -> Option<(f64, f64)> {
    let bucket = format!("{name}_bucket");
    let mut bounds: BTreeMap<u64, f64> = BTreeMap::new();
    for sample in metrics.of(&bucket, labels) {
        let le: f64 = sample.labels.get("le")?.parse().ok()?;
        *bounds.entry(le.to_bits()).or_default() += sample.value;
    }
    let all = bounds.values().copied().fold(0.0, f64::max);
    let mut below = 0.0;
    for (le, count) in bounds {
        if count >= q * all && all > 0.0 {
            return Some((below, f64::from_bits(le)));
        }
        below = f64::from_bits(le);
    }
    None
}

#[test]
fn a_path_that_loses_and_delays_shows_as_it_is() -> anyhow::Result<()> {
    let spaces = [Space::new("near")?, Space::new("far")?];
    let mut relay = python("relay.py", "relay");
    let one_way = (DELAY * 500.0).to_string();
    relay.args([spaces[0].name(), spaces[1].name(), &one_way, "5"]);
    let _relay = Program::start(relay)?;
    for (i, space) in spaces.iter().enumerate() {
        let deadline = Instant::now() + Duration::from_secs(10);
        while space.ip(&["link", "set", "path", "mtu", "60000", "up"]).is_err() {
            anyhow::ensure!(Instant::now() < deadline, "the relay has not made its device");
            std::thread::yield_now();
        }
        let (own, other) = (format!("10.77.0.{}", i + 1), format!("10.77.0.{}", 2 - i));
        space.ip(&["address", "add", &own, "peer", &other, "dev", "path"])?;
    }
    let agent = Agent::start(&[])?;
    let scratch = Scratch::new("path")?;
    scratch.file("body", vec![b'x'; SIZE])?;
    let mut server = command("python3", "far-server");
    server.args(["-m", "http.server", "--bind", "10.77.0.2", "--directory"]);
    server.arg(scratch.path()).arg("8080");
    let _server = spaces[1].listening(&server, 8080)?;
    let mut client = command("curl", "near-client");
    client.args(["-s", "-S", "-o", "/dev/null", "http://10.77.0.2:8080/body"]);
    let client = spaces[0].inside(&client);
    let client = std::thread::spawn(move || run(client));
    // A round trip is told once a collection. The path may be late on a busy host: `ss` says by how much.
    let mut trips = Vec::new();
    while !client.is_finished() {
        agent.metrics()?;
        trips.extend(round_trip(&spaces[1])?);
        std::thread::sleep(Duration::from_millis(100));
    }
    client.join().map_err(|_| anyhow::anyhow!("the client panicked"))??;

    let expect = |metrics: &Metrics| -> anyhow::Result<(u64, u64)> {
        let again =
            spaces.iter().map(|space| Ok(*nstat(space)?.get("TcpRetransSegs").unwrap_or(&0)));
        let again: u64 = again.sum::<anyhow::Result<u64>>()?;
        let told = ["far-server", "near-client"].map(|job| {
            let data = metrics.sum("steth_tcp_retransmits_total", &[("job", job)]);
            println!("{job}: {data} sent again");
            data
        });
        Ok((told.iter().sum(), again))
    };
    let metrics = agent.metrics()?;
    let (told, witness) = expect(&metrics)?;
    assert!(witness > 20, "the path lost too little to say anything: {witness}");
    assert_eq!(told, witness, "segments sent again");

    let job = [("job", "far-server")];
    let name = "steth_tcp_round_trip_duration_seconds";
    let count = metrics.of(&format!("{name}_count"), &job).map(|s| s.value).sum::<f64>();
    let sum = metrics.of(&format!("{name}_sum"), &job).map(|s| s.value).sum::<f64>();
    println!("round trip: {count} samples, {} s on average", sum / count);
    assert!(count >= 5.0, "{count} round trips");
    let (low, high) = quantile(&metrics, name, &job, 0.5).context("no median")?;
    assert!(low <= DELAY * 1.1 && DELAY * 0.9 <= high, "median within {low}..{high}");
    let said = trips.iter().sum::<f64>() / trips.len() as f64;
    println!("ss: {} samples, {said} s on average", trips.len());
    assert!((sum / count / said - 1.0).abs() < 0.1, "{} s, not {said} s", sum / count);

    let way = [("job", "far-server"), ("network_io_direction", "transmit")];
    let bytes = metrics.sum("process_network_io_bytes_total", &way);
    let size = SIZE as u64;
    assert!((size..=size + size / 1000).contains(&bytes), "{bytes} bytes sent");
    Ok(())
}

/// Depth and limit of the queue at `port`, as `ss` has them.
fn queue(space: &Space, port: u16) -> anyhow::Result<(u64, u64)> {
    let mut command = Command::new("ss");
    command.args(["-H", "-l", "-t", "-n", "sport", "=", &format!(":{port}")]);
    let said = String::from_utf8(run(space.inside(&command))?.stdout)?;
    let mut words = said.split_ascii_whitespace().skip(1);
    let mut number = || words.next().and_then(|word| word.parse().ok()).context("no such listener");
    Ok((number()?, number()?))
}

#[test]
fn a_service_that_stops_accepting_shows_its_queue() -> anyhow::Result<()> {
    let space = Space::new("full")?;
    let port = free_port()?;
    let agent = Agent::start(&[])?;
    let mut server = python("full.py", "full-server");
    server.args(["4", &port.to_string()]);
    let _server = space.listening(&server, port)?;
    let mut client = command("curl", "full-client");
    client.args(["-s", "-S", &format!("http://127.0.0.1:{port}/")]);
    run(space.inside(&client))?;
    let mut knock = python("knock.py", "knock");
    knock.args(["12", &port.to_string()]);
    let _knock = Program::start(space.inside(&knock))?;

    let text = port.to_string();
    let labels = [("job", "full-server"), ("server_port", text.as_str())];
    // Who was turned away asks again after a second, then two: the counts are compared in between.
    let deadline = Instant::now() + Duration::from_secs(20);
    let (told, witness) = loop {
        let before = nstat(&space)?;
        let metrics = agent.metrics()?;
        let after = nstat(&space)?;
        let overflows = |of: &BTreeMap<String, u64>| *of.get("TcpExtListenOverflows").unwrap_or(&0);
        let (depth, limit) = queue(&space, port)?;
        let told = (
            metrics.sum("steth_tcp_accept_queue_usage", &labels),
            metrics.sum("steth_tcp_accept_queue_limit", &labels),
            metrics.sum("steth_tcp_accept_queue_drops_total", &labels),
        );
        let witness = (depth, limit, overflows(&after));
        let settled = overflows(&before) == overflows(&after) && witness.2 >= 14;
        if (settled && told == witness) || Instant::now() > deadline {
            break (told, witness);
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    println!("depth, limit, overflows: {witness:?}");
    assert_eq!(told, witness);
    assert_eq!((witness.0, witness.1), (5, 4), "the queue is not full");
    Ok(())
}
