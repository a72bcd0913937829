//! What comes and goes on every node every day: nothing of it is lost, and nothing of it has another's name.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use serde_json::Value;
use steth_tests::cluster::{Cluster, Installed, SHOP, until};
use steth_tests::collector::{Point, Received};

use crate::pods::{container, job, makes, pod, service, spec};
use crate::tally::{ASKED, SERVED, counted, workload};

/// What was answered, by who answered: those without an answer are errors, and counted as such.
pub fn answered<K: Ord>(
    received: &Received,
    metric: &str,
    whose: impl Fn(&Point) -> K,
) -> BTreeMap<K, u64> {
    let mut received = received.from("k8s.namespace.name", SHOP);
    received.0.retain(|point| !point.attributes.contains_key("error.type"));
    let route = (metric == SERVED).then_some("/orders");
    counted(&received, metric, route, whose)
}

pub fn pod_name(point: &Point) -> String {
    point.of("k8s.pod.name").to_owned()
}

fn name_of(pod: &Value) -> anyhow::Result<String> {
    Ok(pod["metadata"]["name"].as_str().context("a pod without a name")?.to_owned())
}

/// Where a Service's pods are asked, once the node's proxy knows them.
pub fn orders_of(cluster: &Cluster, service: &str) -> anyhow::Result<String> {
    let service = cluster.object(&["service", service])?;
    let address = service["spec"]["clusterIP"].as_str().context("no ClusterIP")?;
    cluster.answers(address, 80)?;
    Ok(format!("http://{address}/orders"))
}

/// A client that has ended, and how often it was answered.
pub fn client(cluster: &Cluster, job: &str) -> anyhow::Result<(String, u64)> {
    cluster.wait("condition=Complete", &["job", job])?;
    let pods = cluster.pods(&format!("app={job}"))?;
    let name = name_of(pods.first().context("no client")?)?;
    let said = cluster.said(&name, "client")?;
    Ok((name, said["answered"].as_u64().context("no count")?))
}

pub fn asks(job_name: &str, url: &str, times: u64, pause: u64) -> String {
    let words = ["ask", url, &times.to_string(), &pause.to_string()];
    job(job_name, &spec(&[container("client", &words)], "restartPolicy: Never,"))
}

#[test]
#[ignore = "needs a cluster: `cargo xtask cluster test`"]
fn a_rollout_under_load_loses_nothing() -> anyhow::Result<()> {
    let cluster = Cluster::here()?;
    cluster.clear()?;
    let agent = Installed::new(&cluster, &[])?;
    let one = spec(&[container("front", &["serve", "8080"])], "");
    cluster.apply(
        &(makes("Deployment", "roll", "replicas: 2,", &one) + &service("roll", &[(80, 8080)])),
    )?;
    cluster.wait("condition=Available", &["deployment", "roll"])?;
    let mut pods: BTreeSet<String> =
        cluster.pods("app=roll")?.iter().map(name_of).collect::<Result<_, _>>()?;
    let url = orders_of(&cluster, "roll")?;
    cluster.apply(&asks("ask-roll", &url, 4000, 8))?;
    cluster.ready("ask-roll")?;
    cluster.shop(&["set", "env", "deployment/roll", "TURN=2"])?;
    cluster.shop(&["rollout", "status", "deployment/roll", "--timeout=60s"])?;
    let later = cluster.pods("app=roll")?;
    pods.extend(later.iter().map(name_of).collect::<Result<Vec<_>, _>>()?);
    let (client, truth) = client(&cluster, "ask-roll")?;
    let total = |received: &Received| answered(received, SERVED, |_| ()).values().sum::<u64>();
    let received = agent.told_when(|received| {
        total(received) == truth && answered(received, ASKED, pod_name).get(&client) == Some(&truth)
    })?;
    let served = answered(&received, SERVED, pod_name);
    assert_eq!(served.values().sum::<u64>(), truth, "{served:?}");
    assert_eq!(answered(&received, ASKED, pod_name), [(client, truth)].into());
    assert!(served.keys().all(|name| pods.contains(name)), "{served:?} of {pods:?}");
    assert!(served.len() > 2, "nothing was rolled out meanwhile: {served:?}");
    let whose: BTreeSet<String> = answered(&received, SERVED, workload).into_keys().collect();
    assert_eq!(whose, ["Deployment roll".to_owned()].into());
    cluster.clear()
}

#[test]
#[ignore = "needs a cluster: `cargo xtask cluster test`"]
fn a_container_begun_anew_and_a_pod_under_an_old_name_are_told_apart() -> anyhow::Result<()> {
    let cluster = Cluster::here()?;
    cluster.clear()?;
    let agent = Installed::new(&cluster, &[])?;
    let crash = || pod("again", &spec(&[container("fragile", &["crash", "8080", "20"])], ""));
    cluster.apply(&(crash() + &service("again", &[(80, 8080)])))?;
    let url = orders_of(&cluster, "again")?;
    let runs = |count: u64| -> anyhow::Result<()> {
        until(&format!("it runs for the {count}th time"), || {
            let pod = cluster.object(&["pod", "again"])?;
            let status = &pod["status"]["containerStatuses"][0];
            Ok(status["restartCount"] == count && status["state"]["running"].is_object())
        })
    };
    let mut uids = Vec::new();
    for (turn, restarts) in [(1, 0), (2, 1), (3, 0)] {
        if turn == 3 {
            cluster.shop(&["delete", "pod", "again", "--grace-period=1", "--timeout=60s"])?;
            cluster.apply(&crash())?;
        }
        runs(restarts)?;
        let uid = cluster.object(&["pod", "again"])?["metadata"]["uid"].clone();
        uids.push(uid.as_str().unwrap_or_default().to_owned());
        cluster.wait("condition=Ready", &["pod", "again"])?;
        let job = format!("ask-again-{turn}");
        // Those that are refused while the proxy learns of it are asked again.
        cluster.apply(&asks(&job, &url, 20, 20))?;
        let (_, mut count) = client(&cluster, &job)?;
        let mut more = 0;
        while count < 20 {
            more += 1;
            let job = format!("{job}-{more}");
            cluster.apply(&asks(&job, &url, 20 - count, 20))?;
            count += client(&cluster, &job)?.1;
        }
    }
    let [first, second, third] = uids.as_slice() else { anyhow::bail!("{uids:?}") };
    assert_eq!(first, second);
    assert_ne!(first, third);
    let by_run = |received: &Received| {
        answered(received, SERVED, |point| {
            let restarts = point.resource.get("k8s.container.restart_count");
            (point.of("k8s.pod.uid").to_owned(), restarts.and_then(Value::as_u64))
        })
    };
    let truth: BTreeMap<_, _> = [
        ((first.clone(), Some(0)), 20),
        ((first.clone(), Some(1)), 20),
        ((third.clone(), Some(0)), 20),
    ]
    .into();
    let received = agent.told_when(|received| by_run(received) == truth)?;
    assert_eq!(by_run(&received), truth);
    let containers: BTreeSet<String> =
        answered(&received, SERVED, |point| point.of("container.id").to_owned())
            .into_keys()
            .collect();
    assert_eq!(containers.len(), 3, "{containers:?}");
    let pods: BTreeSet<String> = answered(&received, SERVED, pod_name).into_keys().collect();
    assert_eq!(pods, ["again".to_owned()].into());
    cluster.clear()
}
