//! A large cluster: what goes on at other nodes costs the agent of this one nothing, and the API server neither.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;
use steth_tests::cluster::{Cluster, Installed, until};

use crate::outages::stands;

/// Nodes that nobody has, and pods that stay on each.
const NODES: usize = 200;
const STAYING: usize = 5;
/// Pods that come and go, and how many of them at a time.
const COMING: usize = 5000;
const AT_A_TIME: usize = 1000;
/// What the agent may ask of the API server however many there are: node, cluster, the list of its pods and the
/// watch of them, which the server ends after some minutes; twice that.
const REQUESTS: usize = 10;
/// Bytes of the heap that it may gain.
const HEAP: u64 = 2 << 20;

/// Plays the kubelets of nodes that nobody has.
struct Kwok(Child);

impl Kwok {
    fn start(cluster: &Cluster) -> anyhow::Result<Self> {
        let mut kwok = cluster.program("kwok");
        kwok.args(["--config", concat!(env!("CARGO_MANIFEST_DIR"), "/cluster/crowd.yaml")]);
        kwok.args(["--manage-nodes-with-annotation-selector", "kwok.x-k8s.io/node=fake"]);
        kwok.args([
            "--kubeconfig",
            &cluster.state("kubeconfig").display().to_string(),
            "--node-lease-duration-seconds",
            "200",
        ]);
        kwok.stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(kwok.spawn()?))
    }
}

impl Drop for Kwok {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The cluster without what this test brought, however it ends.
struct Crowd<'a>(&'a Cluster);

impl Drop for Crowd<'_> {
    fn drop(&mut self) {
        for crowd in ["comes", "stays"] {
            let _ = leave(self.0, crowd);
            let _ = until("they are gone", || Ok(running(self.0, crowd)? == [0; 2]));
        }
        let words = ["delete", "nodes", "--selector", "crowd=yes", "--timeout=90s"];
        let _ = self.0.kubectl(&words);
    }
}

/// Removes all such pods in one request.
fn leave(cluster: &Cluster, crowd: &str) -> anyhow::Result<()> {
    let path = format!("/api/v1/namespaces/shop/pods?labelSelector=crowd%3D{crowd}");
    cluster.kubectl(&["delete", "--raw", &path]).map(drop)
}

fn nodes() -> String {
    (0..NODES).fold(String::new(), |mut text, n| {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: fake-{n}, labels: {{crowd: \"yes\"}}, \
             annotations: {{kwok.x-k8s.io/node: fake}}}}\nspec: {{taints: [{{key: crowd, effect: NoSchedule}}]}}\n"
        );
        text
    })
}

fn pods(crowd: &str, turn: usize, count: usize) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        let node = n % NODES;
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {crowd}-{turn}-{n}, namespace: shop, labels: {{crowd: {crowd}}}}}\n\
             spec: {{nodeName: fake-{node}, containers: [{{name: one, image: \"test.invalid/none:1\"}}]}}\n"
        );
        text
    })
}

/// How many such pods are there, and how many of them run.
fn running(cluster: &Cluster, crowd: &str) -> anyhow::Result<[usize; 2]> {
    let path = format!("/api/v1/namespaces/shop/pods?labelSelector=crowd%3D{crowd}");
    let list: Value = serde_json::from_str(&cluster.kubectl(&["get", "--raw", &path])?)?;
    let pods = list["items"].as_array().context("no list")?;
    let run = pods.iter().filter(|pod| pod["status"]["phase"] == "Running");
    Ok([pods.len(), run.count()])
}

/// The agent's process on this node.
fn agent() -> anyhow::Result<u32> {
    let mut pgrep = Command::new("pgrep");
    pgrep.args(["--exact", "steth"]);
    let found = String::from_utf8(pgrep.output()?.stdout)?;
    let uses = |id: &&str| {
        std::fs::read_to_string(format!("/proc/{id}/cgroup"))
            .is_ok_and(|text| text.contains("kubepods"))
    };
    let id = found.lines().find(uses).context("no agent in a pod")?;
    Ok(id.parse()?)
}

/// Its memory of this kind, in bytes.
fn memory(agent: u32, kind: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{agent}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(kind)).context("no such memory")?;
    let kilobytes = line.trim_matches([':', ' ', '\t']).split(' ').next().unwrap_or_default();
    Ok(kilobytes.parse::<u64>()? * 1024)
}

/// What the agent asked the API server, by verb and resource.
fn asked(cluster: &Cluster) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut asked = BTreeMap::new();
    for line in std::fs::read_to_string(cluster.state("audit.log"))?.lines() {
        let event: Value = serde_json::from_str(line)?;
        let [verb, what] = [&event["verb"], &event["objectRef"]["resource"]]
            .map(|word| word.as_str().unwrap_or("?"));
        *asked.entry(format!("{verb} {what}")).or_default() += 1;
    }
    Ok(asked)
}

#[test]
#[ignore = "needs a cluster: `cargo xtask cluster test`"]
fn two_hundred_nodes_and_five_thousand_pods_elsewhere_cost_nothing_here() -> anyhow::Result<()> {
    let cluster = Cluster::here()?;
    cluster.clear()?;
    let before: usize = asked(&cluster)?.values().sum();
    let installed = Installed::new(&cluster, &["nodeSelector.kubernetes\\.io/hostname=n1"])?;
    let page = installed.page()?;
    stands(&page, "API server", "active")?;
    let agent = agent()?;
    let kinds = ["RssAnon", "VmRSS"];
    let at_first = kinds.map(|kind| memory(agent, kind));
    let _kwok = Kwok::start(&cluster)?;
    let _crowd = Crowd(&cluster);
    cluster.create(&nodes())?;
    let staying = NODES * STAYING;
    cluster.create(&pods("stays", 0, staying))?;
    until("those that stay run", || Ok(running(&cluster, "stays")? == [staying; 2]))?;
    for turn in 0..COMING / AT_A_TIME {
        cluster.create(&pods("comes", turn, AT_A_TIME))?;
        until("those that come run", || Ok(running(&cluster, "comes")? == [AT_A_TIME; 2]))?;
        leave(&cluster, "comes")?;
        until("they are gone", || Ok(running(&cluster, "comes")? == [0; 2]))?;
    }
    let requests = asked(&cluster)?;
    let in_all: usize = requests.values().sum::<usize>() - before;
    for (kind, first) in kinds.into_iter().zip(at_first) {
        let (first, last) = (first?, memory(agent, kind)?);
        println!(
            "{kind}: {first} bytes before, {last} after {NODES} nodes and {COMING} pods elsewhere"
        );
        assert!(kind != "RssAnon" || last < first + HEAP, "it has grown");
    }
    println!(
        "{in_all} requests to the API server since its installation; of all agents: {requests:?}"
    );
    assert!(in_all > 2, "its requests were not seen");
    assert!(in_all <= REQUESTS, "{requests:?}");
    assert_eq!(page.status()?["exchanges"]["lost"], Value::from(0));
    Ok(())
}
