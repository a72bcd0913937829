//! The agent replaced under load, and removed: nothing counted twice, and nothing left behind.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;
use steth_tests::cluster::{Cluster, Installed, SHOP, until};
use steth_tests::collector::Received;
use steth_tests::program::run;

use crate::pods::{container, job, pod, service, spec};
use crate::tally::{SERVED, counted};

/// What was served, by when the series that says so began.
fn by_start(received: &Received) -> std::collections::BTreeMap<u64, u64> {
    counted(&received.from("k8s.namespace.name", SHOP), SERVED, Some("/orders"), |point| {
        point.start
    })
}

#[test]
#[ignore = "needs a cluster: `cargo xtask cluster test`"]
fn an_upgrade_under_load_counts_nothing_twice() -> anyhow::Result<()> {
    let cluster = Cluster::here()?;
    cluster.clear()?;
    let agent = Installed::new(&cluster, &[])?;
    let server = spec(&[container("front", &["serve", "8080"])], "");
    cluster.apply(&(pod("busy", &server) + &service("busy", &[(80, 8080)])))?;
    cluster.wait("condition=Ready", &["pod", "busy"])?;
    let address = cluster.object(&["service", "busy"])?;
    let url =
        format!("http://{}/orders", address["spec"]["clusterIP"].as_str().context("no address")?);
    let asks = container("client", &["ask", &url, "3000", "10"]);
    cluster.apply(&job("load", &spec(&[asks], "restartPolicy: Never,")))?;
    agent.told_when(|received| by_start(received).values().sum::<u64>() > 100)?;
    agent.upgrade(&["podAnnotations.turn=second"])?;
    agent.told_when(|received| by_start(received).len() > 1)?;
    cluster.wait("condition=Complete", &["job", "load"])?;
    let pods = cluster.pods("app=load")?;
    let name =
        pods.first().and_then(|pod| pod["metadata"]["name"].as_str()).context("no client")?;
    let answered = cluster.said(name, "client")?["answered"].as_u64().context("no count")?;
    // The pod's own list of what it answered is the last thing that is counted of it.
    let page = agent.page()?;
    until("all is reported", || {
        let status = page.status()?;
        Ok(status["exchanges"]["seen"] == status["exchanges"]["reported"])
    })?;
    let last = page.metrics()?;
    let since = last.served("shop/busy", &[("http_route", "/orders")]);
    let received =
        agent.told_when(|received| by_start(received).values().next_back() == Some(&since))?;
    let told = by_start(&received);
    assert!(told.len() >= 2, "one agent told all of it: {told:?}");
    let sum: u64 = told.values().sum();
    assert!(sum <= answered, "{told:?} of {answered}");
    assert!(since > 0 && sum > since, "{told:?}");
    assert_eq!(page.status()?["exchanges"]["lost"], Value::from(0));
    println!("{answered} answered; {told:?}, and {} while no agent was there", answered - sum);
    cluster.clear()
}

/// What is in the kernel by our programs' and maps' names.
fn in_kernel() -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for what in ["prog", "map", "link"] {
        let mut list = Command::new("bpftool");
        list.args(["--json", what, "show"]);
        let list: Value = serde_json::from_slice(&run(list)?.stdout)?;
        for one in list.as_array().into_iter().flatten() {
            names.insert(format!("{what} {} {}", one["id"], one["name"]));
        }
    }
    Ok(names)
}

/// Control groups of pods, and what the kubelet keeps of them.
fn on_node(uid: &str) -> anyhow::Result<String> {
    let mut find = Command::new("find");
    let state = std::env::var("STETH_CLUSTER")?;
    find.args(["/sys/fs/cgroup", "/run", "/var/lib", "/var/log", "/opt", "/etc"]);
    find.arg(format!("{state}/kubelet")).args(["-name", &format!("*{uid}*")]);
    Ok(String::from_utf8(find.output()?.stdout)?)
}

#[test]
#[ignore = "needs a cluster: `cargo xtask cluster test`"]
fn nothing_stays_on_the_node_or_in_the_cluster() -> anyhow::Result<()> {
    let cluster = Cluster::here()?;
    cluster.clear()?;
    let before = in_kernel()?;
    let agent = Installed::new(&cluster, &[])?;
    let ours: BTreeSet<String> = in_kernel()?.difference(&before).cloned().collect();
    assert!(ours.len() > 10, "{ours:?}");
    let uid = agent.pod()?["metadata"]["uid"].as_str().context("no uid")?.to_owned();
    assert_ne!(on_node(&uid)?, "", "it is not looked for where it is");
    agent.uninstall()?;
    until("its pod is gone", || Ok(on_node(&uid)?.is_empty()))?;
    until("the kernel has let go of it", || Ok(in_kernel()?.is_disjoint(&ours)))?;
    let kinds = "daemonset,pod,configmap,secret,serviceaccount,service";
    let left = cluster.kubectl(&["--namespace", "steth", "get", kinds, "--output", "name"])?;
    let left: Vec<&str> = left
        .lines()
        .filter(|name| !name.contains("kube-root-ca.crt") && !name.ends_with("/default"))
        .collect();
    assert_eq!(left, [""; 0]);
    let roles = cluster.kubectl(&["get", "clusterrole,clusterrolebinding", "--output", "name"])?;
    assert!(!roles.contains("steth"), "{roles}");
    Ok(())
}
