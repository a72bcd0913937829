//! Containers that live for a moment, beside others, or too greedily.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use steth_tests::cluster::{Cluster, Installed, SHOP};
use steth_tests::collector::Received;

use crate::comings::{answered, asks, client, orders_of, pod_name};
use crate::pods::{container, pod, service, spec};
use crate::tally::{ASKED, SERVED, workload};

#[test]
#[ignore = "needs a cluster: `cargo xtask cluster test`"]
fn what_is_over_in_a_second_and_what_is_deleted_under_load_have_their_names() -> anyhow::Result<()>
{
    let cluster = Cluster::here()?;
    cluster.clear()?;
    let agent = Installed::new(&cluster, &[])?;
    let server = pod("gone", &spec(&[container("front", &["serve", "8080"])], ""));
    cluster.apply(&(server.clone() + &service("gone", &[(80, 8080)])))?;
    cluster.wait("condition=Ready", &["pod", "gone"])?;
    let url = orders_of(&cluster, "gone")?;
    // Its whole life is these five requests.
    cluster.apply(&asks("quick", &url, 5, 200))?;
    let (quick, five) = client(&cluster, "quick")?;
    assert_eq!(five, 5);
    cluster.apply(&asks("busy", &url, 600, 20))?;
    cluster.ready("busy")?;
    cluster.shop(&["delete", "pod", "gone", "--grace-period=2", "--timeout=60s"])?;
    // Refusals of the node come one a second: without another one to answer the client would not end.
    cluster.apply(&server)?;
    let (busy, answers) = client(&cluster, "busy")?;
    assert!(answers < 600, "it was deleted after all was asked");
    let served = |received: &Received| answered(received, SERVED, pod_name);
    let asked = |received: &Received| answered(received, ASKED, pod_name);
    let expect = [("gone".to_owned(), 5 + answers)].into();
    let clients = [(quick, 5), (busy, answers)].into();
    let received = agent.told_when(|all| served(all) == expect && asked(all) == clients)?;
    assert_eq!(served(&received), expect);
    assert_eq!(asked(&received), clients);
    let whose: BTreeSet<String> = answered(&received, ASKED, workload).into_keys().collect();
    assert_eq!(whose, ["Job quick".to_owned(), "Job busy".to_owned()].into());
    cluster.clear()
}

#[test]
#[ignore = "needs a cluster: `cargo xtask cluster test`"]
fn init_sidecar_and_ephemeral_containers_are_themselves() -> anyhow::Result<()> {
    let cluster = Cluster::here()?;
    cluster.clear()?;
    let agent = Installed::new(&cluster, &[])?;
    let server = spec(&[container("front", &["serve", "8080"])], "");
    cluster.apply(&(pod("asked", &server) + &service("asked", &[(80, 8080)])))?;
    cluster.wait("condition=Ready", &["pod", "asked"])?;
    let url = orders_of(&cluster, "asked")?;
    let sidecar =
        container("beside", &["serve", "8081"]).replacen('{', "{restartPolicy: Always, ", 1);
    let init = container("before", &["ask", &url, "3", "300"]);
    let more = format!("initContainers: [{sidecar}, {init}], ");
    cluster.apply(&pod(
        "many",
        &spec(
            &[
                container("main", &["ask", &url, "4", "300"]),
                container("stays", &["serve", "8082"]),
            ],
            &more,
        ),
    ))?;
    cluster.wait("jsonpath={.status.phase}=Running", &["pod", "many"])?;
    let image = "--image=test.invalid/shop:1";
    cluster.shop(&[
        "debug",
        "many",
        image,
        "--image-pull-policy=Never",
        "--container",
        "looks",
        "--profile=general",
        "--",
        "/shop",
        "ask",
        &url,
        "5",
    ])?;
    let pod = cluster.object(&["pod", "many"])?;
    let address = pod["status"]["podIP"].as_str().context("no address")?.to_owned();
    let asks_beside = format!("http://{address}:8081/orders");
    cluster.apply(&asks("ask-beside", &asks_beside, 6, 0))?;
    client(&cluster, "ask-beside")?;
    let by_container = |received: &Received, metric: &str| {
        let mut counted = answered(received, metric, |point| {
            (pod_name(point), point.of("k8s.container.name").to_owned())
        });
        counted.retain(|(pod, _), _| pod == "many");
        counted
            .into_iter()
            .map(|((_, container), count)| (container, count))
            .collect::<BTreeMap<_, _>>()
    };
    // `main` ends and is begun anew, as often as the kubelet likes.
    let asked = |received: &Received| {
        let mut asked = by_container(received, ASKED);
        let main = asked.remove("main").unwrap_or(0);
        (asked, main > 0 && main % 4 == 0)
    };
    let expect = ([("before".to_owned(), 3), ("looks".to_owned(), 5)].into(), true);
    let beside = [("beside".to_owned(), 6)].into();
    let received =
        agent.told_when(|all| asked(all) == expect && by_container(all, SERVED) == beside)?;
    assert_eq!(asked(&received), expect);
    assert_eq!(by_container(&received, SERVED), beside);
    cluster.clear()
}

#[test]
#[ignore = "needs a cluster: `cargo xtask cluster test`"]
fn a_container_that_the_kernel_ends_for_its_memory_is_named() -> anyhow::Result<()> {
    let cluster = Cluster::here()?;
    cluster.clear()?;
    let agent = Installed::new(&cluster, &[])?;
    let limited = container("hog", &["hog", "96"]).replacen(
        '{',
        "{resources: {requests: {cpu: 10m}, limits: {memory: 32Mi, cpu: 500m}}, ",
        1,
    );
    cluster.apply(&pod("greedy", &spec(&[limited], "restartPolicy: Never,")))?;
    cluster.wait("jsonpath={.status.phase}=Failed", &["pod", "greedy"])?;
    let pod = cluster.object(&["pod", "greedy"])?;
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(ended["reason"], "OOMKilled", "{ended}");
    let kills = |received: &Received| {
        received
            .0
            .iter()
            .filter(|point| point.name == "steth.oom.kills" && point.of("k8s.pod.name") == "greedy")
            .map(|point| {
                (
                    point.of("k8s.container.name").to_owned(),
                    point.of("k8s.namespace.name").to_owned(),
                    point.count,
                )
            })
            .next_back()
    };
    let received = agent.told_when(|received| kills(received).is_some())?;
    let told: Vec<_> = received.0.iter().filter(|point| point.name == "steth.oom.kills").collect();
    let (container, namespace, count) =
        kills(&received).with_context(|| format!("nobody was named: {told:?}"))?;
    assert_eq!((container.as_str(), namespace.as_str()), ("hog", SHOP));
    assert_eq!(count, 1);
    cluster.clear()
}
