//! What far ends are known by: addresses of pods; Services that are listed and followed, refused, too many.

use super::*;
use crate::runtime::server::services;

const SERVICES: &str = "/api/v1/services";

fn service(uid: &str, name: &str, addresses: &[&str]) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": uid, "resourceVersion": "7",
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        },
        "spec": {
            "type": "ClusterIP", "clusterIP": addresses.first(), "clusterIPs": addresses,
            "ports": [{"port": 80, "targetPort": "http"}], "selector": {"app": name},
        },
        "status": {"loadBalancer": {}},
    })
}

fn list(services: &[Value]) -> Answer {
    let list = json!({
        "apiVersion": "v1", "kind": "ServiceList", "metadata": {"resourceVersion": "7"},
        "items": services,
    });
    Answer::Now(200, list.to_string())
}

/// What comes of following until something is wrong.
async fn followed(fake: &Fake) -> (Vec<String>, services::Broken) {
    let config = config_of("http", fake.listen(None).await);
    let (mut news, patience) = (Vec::new(), Duration::from_secs(20));
    let following = services::follow(config, patience, |said| news.push(told_of(&said)));
    let broken = timeout(patience, following).await.expect("an end");
    (news, broken)
}

#[tokio::test]
async fn services_are_listed_from_the_cache_and_followed() {
    let fake = Fake::default();
    let external = json!({
        "metadata": {"name": "out", "namespace": "shop", "uid": "s0"},
        "spec": {"type": "ExternalName", "externalName": "example.com"},
    });
    let all = [
        service("s1", "cart", &["10.96.0.7", "fd00::7"]),
        service("s2", "headless", &["None"]),
        external,
    ];
    fake.says_of(SERVICES, list(&all));
    let (send, lines) = mpsc::unbounded_channel();
    let whole = |kind: &str, mut object: Value| {
        object["apiVersion"] = json!("v1");
        object["kind"] = json!("Service");
        line(kind, &object)
    };
    send.send(whole("ADDED", service("s3", "pay", &["10.96.0.8"]))).unwrap();
    send.send(whole("MODIFIED", service("s3", "pay", &[]))).unwrap();
    send.send(whole("DELETED", service("s1", "cart", &["10.96.0.7"]))).unwrap();
    let expired = json!({"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old"});
    send.send(line("ERROR", &expired)).unwrap();
    fake.says_of(SERVICES, Answer::Lines(lines));
    let (news, broken) = followed(&fake).await;
    let expect = [
        "Services cart and 0 more",
        "Services: Ok(())",
        "Service pay [10.96.0.8]",
        "Service pay []",
        "no Service s1",
    ];
    assert_eq!(news, expect);
    assert!(broken.why.contains("too old") && !broken.refused, "{broken:?}");
    let asked = fake.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|uri| uri.starts_with(SERVICES)), "{asked:?}");
    let from_cache = asked[0].contains("resourceVersion=0") && !asked[0].contains("limit=");
    assert!(from_cache && asked[1].contains("watch=true"), "{asked:?}");
}

#[tokio::test]
async fn what_is_refused_is_told_apart_from_what_is_broken() {
    let check = async |answer: Answer, expect: &str, refused: bool| {
        let fake = Fake::default();
        fake.says_of(SERVICES, answer);
        let (news, broken) = followed(&fake).await;
        assert_eq!(news, [""; 0]);
        assert!(broken.why.contains(expect) && broken.refused == refused, "{expect}: {broken:?}");
    };
    check(Answer::Now(403, status(403, "Forbidden")), "Forbidden it is", true).await;
    check(Answer::Now(500, String::new()), "500", false).await;
    check(Answer::Now(200, "{\"items\": 7}".to_owned()), "deserializ", false).await;
    let long = "x".repeat(33 << 20);
    check(Answer::Now(200, long), "the answer is longer than 33554432 bytes", false).await;
}

#[tokio::test]
async fn there_are_so_many_and_what_makes_no_sense_is_left_out() {
    let fake = Fake::default();
    let mut all: Vec<Value> = (0..8200_u32)
        .map(|i| service(&format!("s{i}"), "x", &[&std::net::Ipv4Addr::from_bits(i).to_string()]))
        .collect();
    all.push(service("", "nobody", &["10.96.0.1"]));
    all.push(service("odd", "odd", &["here", "300.1.1.1"]));
    fake.says_of(SERVICES, list(&all));
    fake.says_of(SERVICES, Answer::Now(500, String::new()));
    let (news, _) = followed(&fake).await;
    assert!(news[0].ends_with(" and 8 more"), "{}", news[0].len());
    assert_eq!(news[0].matches('x').count(), 8192);
}

#[test]
fn a_refusal_is_a_reason_and_the_pods_are_watched_all_the_same() {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let fake = Fake::default();
    fake.says_of(SERVICES, Answer::Now(403, status(403, "Forbidden")));
    let address = threads.block_on(fake.listen(None));
    let (ringer, bell) = bell::hang().unwrap();
    let (stop, stopped) = watch::channel(false);
    let config = move || async move { Ok(config_of("http", address)) };
    let of_services = services::watch(config, ringer.clone(), stopped.clone());
    let of_services = threads.spawn(of_services);
    let refused = next(&bell);
    assert!(refused.starts_with("Services: Err(") && refused.contains("Forbidden"), "{refused}");
    fake.says(super::list(&[pod("u1", "cart-6d4-a")]));
    let of_pods = threads.spawn(super::super::watch(config, wanted(&[]), ringer, stopped));
    assert_eq!(next(&bell), "Server has cart-6d4-a and 3 containers");
    stop.send_replace(true);
    threads.block_on(of_services).unwrap();
    threads.block_on(of_pods).unwrap();
    // Refused once, asked for once: again only after minutes.
    let asked = fake.asked.lock().unwrap().clone();
    assert_eq!(asked.iter().filter(|uri| uri.starts_with(SERVICES)).count(), 1, "{asked:?}");
}

#[test]
fn addresses_are_a_pods_own() {
    let check = |spec: Value, status: Value, expect: &[&str], is_over: bool| {
        let mut one = pod("u1", "one");
        (one["spec"], one["status"]) = (spec, status);
        let one = serde_json::from_value(one).unwrap();
        let (one, _) = fact::facts(&one, &Chosen::default()).unwrap();
        let addresses: Vec<String> = one.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(
            (addresses, one.is_over),
            (expect.iter().map(ToString::to_string).collect(), is_over)
        );
    };
    let (of_pod, of_node) =
        (json!({"containers": []}), json!({"containers": [], "hostNetwork": true}));
    let both = json!({"podIP": "10.0.0.7", "podIPs": [{"ip": "10.0.0.7"}, {"ip": "fd00::7"}], "phase": "Running"});
    check(of_pod.clone(), both.clone(), &["10.0.0.7", "fd00::7"], false);
    check(of_node, both, &[], false);
    check(of_pod.clone(), json!({"podIP": "10.0.0.7", "phase": "Succeeded"}), &["10.0.0.7"], true);
    check(
        of_pod.clone(),
        json!({"podIP": "", "podIPs": [{"ip": "x"}], "phase": "Failed"}),
        &[],
        true,
    );
    let many = (0..99).map(|i| json!({"ip": format!("10.0.0.{i}")})).collect::<Vec<_>>();
    let first = ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"];
    check(of_pod.clone(), json!({"podIPs": many}), &first, false);
    check(of_pod, json!({}), &[], false);
}
