//! Who is at the far end of a call, and a pod that no API server made.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use steth_tests::cluster::{Cluster, Installed, SHOP, until};
use steth_tests::collector::Received;

use crate::comings::{answered, asks, client, orders_of, pod_name};
use crate::outages::stands;
use crate::pods::{container, makes, pod, service, spec};
use crate::tally::{ASKED, SERVED};

/// What each client's pod asked, by who it was that it asked.
fn by_peer(received: &Received) -> BTreeMap<(String, String, String), u64> {
    answered(received, ASKED, |point| {
        let said = |key: &str| {
            point.attributes.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned()
        };
        (pod_name(point), said("service.peer.name"), said("service.peer.namespace"))
    })
}

#[test]
#[ignore = "needs a cluster: `cargo xtask cluster test`"]
fn a_call_says_which_service_or_workload_it_went_to() -> anyhow::Result<()> {
    let cluster = Cluster::here()?;
    cluster.clear()?;
    let agent = Installed::new(&cluster, &["kubernetes.services=true"])?;
    let page = agent.page()?;
    let one = spec(&[container("front", &["serve", "8080"])], "");
    cluster.apply(
        &(makes("Deployment", "cart", "", &one)
            + &service("basket", &[(80, 8080)]).replace("app: basket", "app: cart")),
    )?;
    cluster.wait("condition=Available", &["deployment", "cart"])?;
    let by_service = orders_of(&cluster, "basket")?;
    let pods = cluster.pods("app=cart")?;
    let address =
        pods.first().and_then(|pod| pod["status"]["podIP"].as_str()).context("no address")?;
    stands(&page, "API server: watch services", "active")?;
    cluster.apply(&asks("to-service", &by_service, 30, 0))?;
    cluster.apply(&asks("to-pod", &format!("http://{address}:8080/orders"), 20, 0))?;
    let (to_service, thirty) = client(&cluster, "to-service")?;
    let (to_pod, twenty) = client(&cluster, "to-pod")?;
    let expect = [
        ((to_service, "basket".to_owned(), SHOP.to_owned()), thirty),
        ((to_pod, "cart".to_owned(), SHOP.to_owned()), twenty),
    ]
    .into();
    let received = agent.told_when(|received| by_peer(received) == expect)?;
    assert_eq!(by_peer(&received), expect);
    cluster.clear()
}

/// A file that is taken away, however the test ends: its pod would go on.
struct Taken(PathBuf);

impl Drop for Taken {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
#[ignore = "needs a cluster: `cargo xtask cluster test`"]
fn a_pod_that_the_node_itself_has_is_named() -> anyhow::Result<()> {
    let cluster = Cluster::here()?;
    cluster.clear()?;
    let agent = Installed::new(&cluster, &[])?;
    let file = cluster.state("manifests/still.yaml");
    let text = pod("still", &spec(&[container("front", &["serve", "8080"])], ""));
    std::fs::write(&file, text.trim_start_matches("---\n"))?;
    let file = Taken(file);
    until("the node has it", || Ok(cluster.object(&["pod", "still-n1"]).is_ok()))?;
    cluster.wait("condition=Ready", &["pod", "still-n1"])?;
    let mirror = cluster.object(&["pod", "still-n1"])?;
    let address = mirror["status"]["podIP"].as_str().context("no address")?;
    cluster.apply(&asks("to-still", &format!("http://{address}:8080/orders"), 20, 0))?;
    let (_, twenty) = client(&cluster, "to-still")?;
    let uid = mirror["metadata"]["annotations"]["kubernetes.io/config.hash"].as_str();
    let expect =
        [(["still-n1", uid.context("no uid")?, "front"].map(str::to_owned), twenty)].into();
    let served = |received: &Received| {
        answered(received, SERVED, |point| {
            ["k8s.pod.name", "k8s.pod.uid", "k8s.container.name"]
                .map(|key| point.of(key).to_owned())
        })
    };
    let received = agent.told_when(|received| served(received) == expect)?;
    assert_eq!(served(&received), expect);
    drop(file);
    until("it is gone", || Ok(cluster.object(&["pod", "still-n1"]).is_err()))?;
    cluster.clear()
}
