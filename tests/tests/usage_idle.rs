//! A host on which nothing happens costs no more memory at the end than at the beginning.
//!
//! `STETH_TEST_IDLE=600` looks for ten minutes; the ordinary run looks for one.

use std::time::Duration;

use steth_tests::agent::Agent;

/// What the allocator may keep of a busier moment.
const SLACK: u64 = 1 << 20;
/// What a series may take: a host that is not idle after all has more of them as services come.
const SERIES: u64 = 1 << 10;

struct Look {
    resident: u64,
    maps: u64,
    series: usize,
}

fn look(agent: &Agent) -> anyhow::Result<Look> {
    let series = agent.get("/metrics")?.lines().filter(|line| !line.starts_with('#')).count();
    let status = agent.status()?;
    let bytes = |name: &str| status["agent"][name].as_u64().unwrap_or_default();
    Ok(Look { resident: bytes("rss_bytes"), maps: bytes("map_bytes"), series })
}

#[test]
fn an_idle_host_makes_nothing_grow() -> anyhow::Result<()> {
    let seconds = std::env::var("STETH_TEST_IDLE").ok().and_then(|text| text.parse().ok());
    let part = Duration::from_secs(seconds.unwrap_or(60)) / 4;
    let agent = Agent::start(&[])?;
    let mut looks = Vec::new();
    for _ in 0..5 {
        // Intervals pass, and with them everything that is done once in each.
        looks.push(look(&agent)?);
        std::thread::sleep(part);
    }
    let said: Vec<_> = looks.iter().map(|l| (l.resident, l.maps, l.series)).collect();
    println!("resident, maps and series: {said:?}");
    // The first look is of a start.
    let (second, last) = (&looks[1], &looks[4]);
    assert!(last.resident > 0 && last.maps > 0, "{said:?}");
    let came = last.series.saturating_sub(second.series) as u64;
    assert!(
        last.resident <= second.resident + SLACK + came * SERIES,
        "resident memory grew: {said:?}"
    );
    assert_eq!(last.maps, second.maps, "maps grew: {said:?}");
    Ok(())
}
