//! Every kind of workload, served and asked over Services: each request once at each end, under its names.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;
use steth_tests::cluster::{Cluster, Installed, SHOP, until};
use steth_tests::collector::{Point, Received};
use steth_tests::program::run;

use crate::pods::{container, cron_job, job, makes, pod, service, spec};
use crate::tally::{ASKED, SERVED, counted, workload};

/// Each client asks so often.
const EACH: u64 = 40;

/// Who serves: the Service's name, its port, and the workload and container that answer.
const SERVERS: [(&str, u16, &str, &str); 6] = [
    ("web", 80, "Deployment web", "front"),
    ("db", 80, "StatefulSet db", "store"),
    ("log", 80, "DaemonSet log", "tail"),
    ("pair", 81, "Pod pair", "left"),
    ("pair", 82, "Pod pair", "right"),
    ("node", 80, "Pod node", "own"),
];

fn servers() -> String {
    let one = |name: &str| spec(&[container(name, &["serve", "8080"])], "");
    let limits = "{resources: {requests: {cpu: 10m}, limits: {cpu: 500m, memory: 64Mi}}, ";
    let store = container("store", &["serve", "8080"]).replacen('{', limits, 1);
    let pair =
        spec(&[container("left", &["serve", "8081"]), container("right", &["serve", "8082"])], "");
    let host = spec(&[container("own", &["serve", "8090"])], "hostNetwork: true,");
    [
        makes("Deployment", "web", "replicas: 2,", &one("front")),
        makes("StatefulSet", "db", "serviceName: db,", &spec(&[store], "")),
        makes("DaemonSet", "log", "", &one("tail")),
        pod("pair", &pair),
        pod("node", &host),
        service("web", &[(80, 8080)]),
        service("db", &[(80, 8080)]),
        service("log", &[(80, 8080)]),
        service("pair", &[(81, 8081), (82, 8082)]),
        service("node", &[(80, 8090)]),
    ]
    .concat()
}

/// What one that serves says that it answered on this path.
fn served(address: &str, port: u16, path: &str) -> anyhow::Result<u64> {
    let mut curl = std::process::Command::new("curl");
    curl.args(["--silent", "--fail", "--max-time", "5"]);
    curl.arg(format!("http://{address}:{port}/served"));
    let said: Value = serde_json::from_slice(&run(curl)?.stdout)?;
    Ok(said.get(path).and_then(Value::as_u64).unwrap_or(0))
}

/// The pods' own counts, by pod and container.
fn truth(cluster: &Cluster) -> anyhow::Result<BTreeMap<(String, String), u64>> {
    let mut truth = BTreeMap::new();
    for app in ["web", "db", "log", "pair", "node"] {
        for pod in cluster.pods(&format!("app={app}"))? {
            let name = pod["metadata"]["name"].as_str().context("a pod without a name")?;
            let address = pod["status"]["podIP"].as_str().context("a pod without an address")?;
            for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
                let port = container["args"][1].as_str().context("no port")?.parse()?;
                let key = (name.to_owned(), container["name"].as_str().unwrap_or("").to_owned());
                truth.insert(key, served(address, port, "/orders")?);
            }
        }
    }
    Ok(truth)
}

fn by_container(received: &Received, metric: &str) -> BTreeMap<(String, String), u64> {
    // Who asks is told no route; those who are no clients of ours are in no pod of the namespace.
    let received = received.from("k8s.namespace.name", SHOP);
    let route = (metric == SERVED).then_some("/orders");
    counted(&received, metric, route, |point| {
        (point.of("k8s.pod.name").to_owned(), point.of("k8s.container.name").to_owned())
    })
}

#[test]
#[ignore = "needs a cluster: `cargo xtask cluster test`"]
fn every_workload_is_counted_under_its_names() -> anyhow::Result<()> {
    let cluster = Cluster::here()?;
    cluster.clear()?;
    let agent = Installed::new(&cluster, &[])?;
    cluster.apply(&servers())?;
    cluster.wait("condition=Ready", &["pod", "--all"])?;
    let address = |name: &str| -> anyhow::Result<String> {
        let service = cluster.object(&["service", name])?;
        Ok(service["spec"]["clusterIP"].as_str().context("no ClusterIP")?.to_owned())
    };
    let mut clients = String::new();
    let mut jobs = Vec::new();
    for (name, port, _, container_name) in SERVERS {
        let address = address(name)?;
        // The proxy's rules come after the pods.
        until(&format!("{name} answers at {address}"), || Ok(served(&address, port, "/").is_ok()))?;
        let (url, job_name) =
            (format!("http://{address}:{port}/orders"), format!("ask-{name}-{container_name}"));
        let asks = container("client", &["ask", &url, &EACH.to_string()]);
        clients += &job(&job_name, &spec(&[asks], "restartPolicy: Never,"));
        jobs.push(job_name);
    }
    let url = format!("http://{}/orders", address("web")?);
    let asks = container("client", &["ask", &url, &EACH.to_string()]);
    clients += &cron_job("tick", &spec(&[asks], "restartPolicy: Never,"));
    cluster.apply(&clients)?;
    for job in &jobs {
        cluster.wait("condition=Complete", &["job", job])?;
    }
    until("the clock begins a job", || Ok(!cluster.pods("app=tick")?.is_empty()))?;
    cluster.shop(&["patch", "cronjob", "tick", "--patch", "{\"spec\": {\"suspend\": true}}"])?;
    cluster.wait("condition=Complete", &["job", "--all"])?;

    let mut asked = BTreeMap::new();
    for app in jobs.iter().map(String::as_str).chain(["tick"]) {
        for pod in cluster.pods(&format!("app={app}"))? {
            let name = pod["metadata"]["name"].as_str().context("a pod without a name")?;
            let said = cluster.said(name, "client")?;
            assert_eq!(
                (&said["failed"], &said["refused"]),
                (&0.into(), &0.into()),
                "{name}: {said}"
            );
            asked
                .insert((name.to_owned(), "client".to_owned()), said["answered"].as_u64().unwrap());
        }
    }
    let truth = truth(&cluster)?;
    let received = agent.told_when(|received| {
        by_container(received, SERVED) == truth && by_container(received, ASKED) == asked
    })?;
    assert_eq!(by_container(&received, SERVED), truth, "as the servers say");
    assert_eq!(by_container(&received, ASKED), asked, "as the clients say");

    let by_workload = counted(&received, SERVED, Some("/orders"), |point| {
        (workload(point), point.of("k8s.container.name").to_owned())
    });
    let ticks =
        asked.iter().filter(|((pod, _), _)| pod.starts_with("tick-")).map(|(_, n)| n).sum::<u64>();
    let expect: BTreeMap<(String, String), u64> = SERVERS
        .iter()
        .map(|(name, _, workload, container)| {
            let more = if *name == "web" { ticks } else { 0 };
            (((*workload).to_owned(), (*container).to_owned()), EACH + more)
        })
        .collect();
    assert_eq!(by_workload, expect);
    let clients = counted(&received.from("k8s.namespace.name", SHOP), ASKED, None, workload);
    assert_eq!(clients.get("CronJob tick"), Some(&ticks), "{clients:?}");
    assert_eq!(clients.len(), jobs.len() + 1, "{clients:?}");

    // The same name in all of it, and what the conventions call the rest.
    for point in received
        .0
        .iter()
        .filter(|point| point.name == SERVED && workload(point) == "Deployment web")
    {
        assert_eq!(point.of("service.name"), "web");
        assert_eq!(point.of("service.namespace"), "shop");
        assert_eq!(point.of("k8s.namespace.name"), "shop");
        assert_eq!(point.of("k8s.node.name"), "n1");
        assert_eq!(point.of("container.image.name"), "test.invalid/shop");
        let instance = format!("shop.{}.front", point.of("k8s.pod.name"));
        assert_eq!(point.of("service.instance.id"), instance);
        for key in [
            "k8s.pod.uid",
            "k8s.replicaset.name",
            "k8s.replicaset.uid",
            "k8s.deployment.uid",
            "k8s.node.uid",
            "k8s.cluster.uid",
            "k8s.pod.start_time",
            "container.id",
            "container.runtime.name",
            "service.version",
        ] {
            assert_ne!(point.of(key), "", "{key}");
        }
    }
    // What the container may use, by the same names as its requests.
    let limited = |name: &str| {
        let of = |point: &&Point| point.name == name && point.of("k8s.pod.name") == "db-0";
        received.0.iter().rfind(of).map(|point| (point.count, workload(point)))
    };
    let of_db = |value: u64| Some((value, "StatefulSet db".to_owned()));
    assert_eq!(limited("k8s.container.memory.limit.desired"), of_db(64 << 20));
    assert_eq!(limited("k8s.container.restart.count"), of_db(0));
    assert!(limited("container.memory.usage").is_some_and(|(used, _)| used > 0));
    cluster.clear()
}
