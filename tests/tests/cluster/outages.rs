//! The sources of names go away and come back: what is told meanwhile is what was said, nothing is lost, and
//! nobody has to help.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use steth_tests::cluster::{Cluster, Installed, Page, SHOP, until_within};
use steth_tests::collector::Received;

use crate::pods::{container, pod, spec};
use crate::tally::{SERVED, counted};

/// Waits until a source stands so: `active`, or part of why it does not.
pub fn stands(page: &Page, source: &str, expect: &str) -> anyhow::Result<()> {
    let mut last = String::new();
    // It is asked again after a minute and a half at the latest.
    until_within(Duration::from_mins(3), &format!("{source} is {expect}"), || {
        let status = page.status()?;
        let rows = status["capture"]["probes"].as_array().context("no probes")?;
        let row = rows.iter().find(|row| row["hook"] == source).context("no such row")?;
        last = format!("{} {}", row["state"], row["why"]);
        Ok(last.contains(expect))
    })
    .with_context(|| format!("{source} is {last}"))
}

/// Asks a pod of this address from the node.
fn ask(address: &str, times: u32) -> anyhow::Result<()> {
    for _ in 0..times {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--output", "/dev/null", "--retry", "5"]);
        curl.args(["--retry-connrefused", &format!("http://{address}:8080/orders")]);
        anyhow::ensure!(curl.status()?.success(), "{address} does not answer");
    }
    Ok(())
}

fn served(received: &Received) -> std::collections::BTreeMap<String, u64> {
    counted(&received.from("k8s.namespace.name", SHOP), SERVED, None, |point| {
        point.of("k8s.pod.name").to_owned()
    })
}

fn address(cluster: &Cluster, name: &str) -> anyhow::Result<String> {
    let pod = cluster.object(&["pod", name])?;
    Ok(pod["status"]["podIP"].as_str().context("no address")?.to_owned())
}

#[test]
#[ignore = "needs a cluster: `cargo xtask cluster test`"]
fn names_outlast_the_api_server_its_grants_and_the_runtime() -> anyhow::Result<()> {
    let cluster = Cluster::here()?;
    cluster.clear()?;
    let agent = Installed::new(&cluster, &[])?;
    let server = |name: &str| pod(name, &spec(&[container("front", &["serve", "8080"])], ""));
    cluster.apply(&server("one"))?;
    cluster.wait("condition=Ready", &["pod", "one"])?;
    let (api, runtime) = ("API server", "container runtime");
    let page = agent.page()?;
    stands(&page, api, "active")?;
    stands(&page, runtime, "active")?;
    let one = address(&cluster, "one")?;
    ask(&one, 10)?;

    let away = cluster.without("apiserver")?;
    stands(&page, api, "failed")?;
    ask(&one, 10)?;
    away.begin()?;
    stands(&page, api, "active")?;

    // The watch that is there lasts on; the next one is refused.
    cluster.kubectl(&[
        "delete",
        "clusterrolebinding",
        "--selector",
        "app.kubernetes.io/name=steth",
    ])?;
    cluster.restart_server()?;
    stands(&page, api, "forbidden")?;
    cluster.apply(&server("two"))?;
    cluster.wait("condition=Ready", &["pod", "two"])?;
    ask(&address(&cluster, "two")?, 10)?;
    agent.upgrade(&[])?;
    stands(&page, api, "active")?;

    let away = cluster.without("containerd")?;
    stands(&page, runtime, "failed")?;
    ask(&one, 10)?;
    away.begin()?;
    stands(&page, runtime, "active")?;
    cluster.wait("condition=Ready", &["pod", "one", "two"])?;
    cluster.apply(&server("three"))?;
    cluster.wait("condition=Ready", &["pod", "three"])?;
    ask(&address(&cluster, "three")?, 10)?;

    let expect = [("one".to_owned(), 30), ("two".to_owned(), 10), ("three".to_owned(), 10)].into();
    let received = agent.told_when(|received| served(received) == expect)?;
    assert_eq!(served(&received), expect);
    assert_eq!(page.status()?["exchanges"]["lost"], Value::from(0));
    cluster.clear()
}
