//! What the agent costs while nothing happens.

use std::time::{Duration, Instant};

use super::Plan;
use super::load::own_cpu;
use crate::agent::Agent;

pub(super) fn report(plan: &Plan) -> anyhow::Result<String> {
    let before = Instant::now();
    let agent = Agent::start(&[])?;
    let ready = before.elapsed();
    // What start-up leaves behind is not idleness.
    std::thread::sleep(Duration::from_secs(2));
    let (start, cpu) = (Instant::now(), own_cpu(&agent)?);
    std::thread::sleep(Duration::from_secs(plan.idle));
    let part = (own_cpu(&agent)? - cpu) as f64 / start.elapsed().as_nanos() as f64;
    let status = agent.status()?;
    let mb = |name: &str| status["agent"][name].as_f64().unwrap_or(0.0) / 1e6;
    Ok(format!(
        "\nIdle for {} s: {:.3} % of a core, {:.1} MB resident, {:.1} MB of kernel maps; \
         {:.2} s from start to the first answer.\n",
        plan.idle,
        part * 100.0,
        mb("rss_bytes"),
        mb("map_bytes"),
        ready.as_secs_f64(),
    ))
}
