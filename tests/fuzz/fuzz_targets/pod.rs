//! Any bytes as a pod that the API server sends: bounded facts or none, and badges made of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use steth::cluster::{Chosen, Cluster, Config, News, Source, Whose};
use steth::event::{Nanos, Timestamp};
use steth::runtime::server::facts;

fuzz_target!(|bytes: &[u8]| {
    let chosen =
        Chosen { labels: ["app".to_owned()].into(), annotations: ["tier".to_owned()].into() };
    let Some(news) = facts(&chosen, bytes) else { return };
    let News::Pod(_, pod, containers) = &news else { panic!("{news:?}") };
    assert!(pod.addresses.len() <= 4);
    assert!(containers.len() <= 256 && pod.labels.len() <= 64 && pod.annotations.len() <= 64);
    let texts =
        pod.labels.values().chain(pod.annotations.values()).chain([&pod.name, &pod.namespace]);
    assert!(texts.into_iter().all(|text| text.len() <= 255 && !text.chars().any(char::is_control)));
    let whose: Vec<Whose> =
        containers.iter().map(|of| Whose::Container(of.id.clone(), pod.uid.clone())).collect();
    let config = Config { wait: Nanos(0), sources: vec![Source::Server], ..Config::default() };
    let mut cluster = Cluster::new(config, Timestamp(1));
    cluster.learn(news);
    for whose in &whose {
        cluster.meet(whose);
        assert!(cluster.sheet(whose).is_some());
    }
});
