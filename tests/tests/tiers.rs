//! Whichever tier captures, the same traffic gives the same exchanges, and a replay tells them.

use std::collections::BTreeMap;

use steth_tests::metrics::Metrics;
use steth_tests::program::Scratch;
use steth_tests::session;

/// What is compared: everything that is not a place, a time or a size.
const LABELS: &[&str] =
    &["job", "http_request_method", "http_response_status_code", "http_route", "error_type"];

fn exchanges(page: &str) -> BTreeMap<String, u64> {
    let metrics = Metrics::parse(page);
    let mut all = BTreeMap::new();
    for role in ["server", "client"] {
        let name = format!("http_{role}_request_duration_seconds_count");
        for sample in metrics.of(&name, &[]) {
            let label = |key: &&str| sample.labels.get(*key).cloned().unwrap_or_default();
            let labels: Vec<String> = LABELS.iter().map(label).collect();
            *all.entry(format!("{role} {}", labels.join(" ").trim_end())).or_insert(0) +=
                sample.value as u64;
        }
    }
    all
}

#[test]
fn every_tier_gives_the_same_exchanges() -> anyhow::Result<()> {
    let scratch = Scratch::new("tiers")?;
    let on = |tier: &str| -> anyhow::Result<BTreeMap<String, u64>> {
        let file = scratch.path().join(format!("{tier}.steth"));
        session::record(&file, &["--capture-tier", tier])?;
        Ok(exchanges(&session::replay(&file)?))
    };
    let (sockets, calls) = (on("1")?, on("3")?);
    assert_eq!(sockets, calls);
    let of = |role: &str, job: &str| -> u64 {
        let begins = format!("{role} {job} ");
        sockets.iter().filter(|(key, _)| key.starts_with(&begins)).map(|(_, n)| n).sum()
    };
    let counted = [
        ("server", "files", 3),
        ("server", "front", 7 + 3 + 1),
        ("client", "asker", 10),
        ("client", "pipeliner", 3),
        ("client", "quitter", 1),
    ];
    for (role, job, expect) in counted {
        assert_eq!(of(role, job), expect, "{role} {job}: {sockets:#?}");
    }
    Ok(())
}
