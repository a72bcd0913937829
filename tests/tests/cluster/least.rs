//! With the least that the agent can live on: the profile of system calls that is our own, and nothing of the API
//! server.

use anyhow::Context as _;
use serde_json::Value;
use steth_tests::cluster::{Cluster, Installed};
use steth_tests::collector::Received;

use crate::comings::{answered, asks, client};
use crate::pods::{container, makes, spec};
use crate::tally::SERVED;

#[test]
#[ignore = "needs a cluster: `cargo xtask cluster test`"]
fn with_a_profile_of_its_own_and_no_token_it_does_the_same() -> anyhow::Result<()> {
    let cluster = Cluster::here()?;
    cluster.clear()?;
    let agent = Installed::new(
        &cluster,
        &[
            "kubernetes.api=false",
            "seccompProfile.type=Localhost",
            "seccompProfile.localhostProfile=steth.json",
        ],
    )?;
    let pod = agent.pod()?;
    let spec_of = &pod["spec"];
    let profile = &spec_of["containers"][0]["securityContext"]["seccompProfile"]["type"];
    assert_eq!(profile, "Localhost", "{spec_of}");
    let volumes = spec_of["volumes"].as_array().context("no volumes")?;
    assert!(volumes.iter().all(|volume| volume["projected"].is_null()), "{volumes:?}");

    let one = spec(&[container("front", &["serve", "8080"])], "");
    cluster.apply(&makes("Deployment", "alone", "", &one))?;
    cluster.wait("condition=Available", &["deployment", "alone"])?;
    let pods = cluster.pods("app=alone")?;
    let pod = pods.first().context("no pod")?;
    let address = pod["status"]["podIP"].as_str().context("no address")?;
    cluster.apply(&asks("to-alone", &format!("http://{address}:8080/orders"), 20, 0))?;
    let (_, twenty) = client(&cluster, "to-alone")?;
    let name = pod["metadata"]["name"].as_str().context("no name")?;
    let expect = [(["alone", name, "front"].map(str::to_owned), twenty)].into();
    let served = |received: &Received| {
        answered(received, SERVED, |point| {
            ["service.name", "k8s.pod.name", "k8s.container.name"]
                .map(|key| point.of(key).to_owned())
        })
    };
    let received = agent.told_when(|received| served(received) == expect)?;
    assert_eq!(served(&received), expect);
    let status = agent.page()?.status()?;
    assert_eq!(status["exchanges"]["lost"], Value::from(0));
    let rows = status["capture"]["probes"].as_array().context("no probes")?;
    let filter = rows.iter().find(|row| row["hook"] == "seccomp").context("no filter")?;
    assert_eq!(filter["state"], "active", "{filter}");
    cluster.clear()
}
