//! Any bytes as a container runtime's two lists: bounded facts or none. The first byte says where the second begins.
#![no_main]

use libfuzzer_sys::fuzz_target;
use steth::cluster::{Chosen, Cluster, Config, News, Source, Whose};
use steth::event::{Nanos, Timestamp};
use steth::runtime::cri::facts;

fuzz_target!(|bytes: &[u8]| {
    let Some((&at, bytes)) = bytes.split_first() else { return };
    let (containers, sandboxes) = bytes.split_at(usize::from(at).min(bytes.len()));
    let Some(news) = facts(&Chosen::default(), containers, sandboxes) else { return };
    let News::All(_, pods, all) = &news else { panic!("{news:?}") };
    assert!(pods.iter().all(|pod| pod.labels.len() <= 64 && pod.annotations.len() <= 64));
    assert!(all.is_sorted_by_key(|container| &container.id));
    let whose = all.iter().filter_map(|of| Some(Whose::Container(of.id.clone(), of.pod.clone()?)));
    let whose: Vec<Whose> = whose.collect();
    let config = Config { wait: Nanos(0), sources: vec![Source::Runtime], ..Config::default() };
    let mut cluster = Cluster::new(config, Timestamp(1));
    cluster.learn(news);
    for whose in &whose {
        cluster.meet(whose);
    }
});
