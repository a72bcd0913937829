//! Compares what a guest said with what it shall have said, and prints both.

use std::fmt::Write;

use serde_json::Value;

use super::load;
use super::report::{Agent, Kernel, Outcome, Report, Tally};
use super::suite::Tier;

/// What is asked of the guest besides the exact count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// The load alone, without an agent.
    Load,
    /// An agent, with this tier active.
    Agent(Tier),
}

/// All that is wrong with what a guest said; empty when nothing is.
pub fn problems(reports: &[Report], demand: Demand) -> Vec<String> {
    let (kernel, outcome) = parts(reports);
    let mut problems = Vec::new();
    let Some(kernel) = kernel else { return vec!["the kernel did not come up".to_owned()] };
    let Some(outcome) = outcome else { return vec!["the guest ended without a result".to_owned()] };
    if kernel.btf_bytes == 0 {
        problems.push("the kernel has no BTF".to_owned());
    }
    problems.extend(outcome.errors.iter().cloned());
    // After an error the load was perhaps not even begun: the error says enough.
    let cut_short = |tally: &Tally| tally.is_empty() && !outcome.errors.is_empty();
    for (who, tally) in
        [("the client's own log", &outcome.client), ("the server's own log", &outcome.server)]
    {
        if !cut_short(tally) {
            compare(who, tally, &mut problems);
        }
    }
    match (demand, &outcome.agent) {
        (Demand::Agent(tier), Some(agent)) => {
            of_agent(agent, tier, &mut problems);
            given_up(&kernel.release, &agent.status, &mut problems);
        }
        (Demand::Agent(_), None) => problems.push("no word of the agent".to_owned()),
        (Demand::Load, _) => {}
    }
    problems
}

fn of_agent(agent: &Agent, tier: Tier, problems: &mut Vec<String>) {
    if agent.tier() != Some(tier.number()) {
        problems.push(format!("the active tier is {:?}, not {}", agent.tier(), tier.number()));
    }
    let Agent { ready: _, server, client, lost, missed_runs, status, complaints, ended } = agent;
    // Kernels that preempt programs leave runs out; where a tier has no spare programs these are losses,
    // and the agent says so.
    let missed: u64 = missed_runs.values().sum();
    let explained = tier == Tier::Syscall && short(server) + short(client) <= missed;
    if !explained {
        compare("the agent on the server", server, problems);
        compare("the agent on the client", client, problems);
        if missed > 0 && (server != client || *server != load::expected()) {
            problems
                .push(format!("the kernel left out {missed} runs of programs: {missed_runs:?}"));
        }
    }
    let told = |series: &str| explained && series.contains("program_busy");
    problems.extend(
        lost.iter()
            .filter(|(series, _)| !told(series))
            .map(|(series, value)| format!("lost: {series} {value}")),
    );
    problems.extend(complaints.iter().map(|line| format!("logged: {line}")));
    failed_probes(status, problems);
    if ended != "exit status: 0" {
        problems.push(format!("the agent ended with: {ended}"));
    }
}

/// By how many requests a tally falls short; one that has others than expected is as wrong as can be, but
/// for those whose answer went unseen, or of whom the beginning did.
fn short(counted: &Tally) -> u64 {
    let expected = load::expected();
    let beyond = counted.iter().any(|(key, count)| {
        !key.ends_with(" -")
            && !key.starts_with("_OTHER ")
            && *count > expected.get(key).copied().unwrap_or(0)
    });
    let missing =
        expected.iter().map(|(key, shall)| shall - counted.get(key).unwrap_or(&0).min(shall)).sum();
    if beyond { u64::MAX / 2 } else { missing }
}

/// Every object of the status that has a text "failed" in it, whatever its key.
fn failed_probes(status: &Value, problems: &mut Vec<String>) {
    match status {
        Value::Array(values) => values.iter().for_each(|value| failed_probes(value, problems)),
        Value::Object(fields) => {
            let is_failed = |value: &Value| {
                value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("failed"))
            };
            if fields.values().any(is_failed) || fields.contains_key("failed") {
                problems.push(format!("failed: {status}"));
            } else {
                fields.values().for_each(|value| failed_probes(value, problems));
            }
        }
        _ => {}
    }
}

/// What the agent keeps: kernels before 5.19 ask for `CAP_BPF` with every look into a map, as Debian sets them up.
fn given_up(release: &str, status: &Value, problems: &mut Vec<String>) {
    let asks = ["5.10.", "5.15."].iter().any(|old| release.starts_with(old));
    let rows = status.pointer("/capture/probes").and_then(Value::as_array);
    for (name, shall) in [
        ("no_new_privs", "active"),
        ("capabilities", "active"),
        ("seccomp", "active"),
        ("CAP_BPF", if asks { "active" } else { "disabled" }),
        ("CAP_PERFMON", "disabled"),
        ("CAP_SYS_PTRACE", "active"),
        ("CAP_DAC_READ_SEARCH", "active"),
    ] {
        let named = |row: &&Value| row.get("name").and_then(Value::as_str) == Some(name);
        let row = rows.and_then(|rows| rows.iter().find(named));
        let state = row.and_then(|row| row.get("state")).and_then(Value::as_str);
        if state != Some(shall) {
            problems.push(format!("{name} is {state:?}, not {shall}"));
        }
    }
}

/// One problem for each row whose count differs.
fn compare(who: &str, counted: &Tally, problems: &mut Vec<String>) {
    let expected = load::expected();
    let mut keys: Vec<_> = expected.keys().chain(counted.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let (count, shall) =
            (counted.get(key).copied().unwrap_or(0), expected.get(key).copied().unwrap_or(0));
        if count != shall {
            problems.push(format!("{who}: {key} is {count}, not {shall}"));
        }
    }
}

/// The kernel and the outcome among reports.
pub fn parts(reports: &[Report]) -> (Option<&Kernel>, Option<&Outcome>) {
    let kernel = reports.iter().find_map(|report| match report {
        Report::Booted(kernel) => Some(kernel),
        Report::Done(_) => None,
    });
    let outcome = reports.iter().find_map(|report| match report {
        Report::Done(outcome) => Some(&**outcome),
        Report::Booted(_) => None,
    });
    (kernel, outcome)
}

/// One line about a guest, under [`HEADING`].
pub fn row(suite: &str, tier: &str, times: (f64, f64), reports: &[Report], passed: bool) -> String {
    let (kernel, outcome) = parts(reports);
    let agent = outcome.and_then(|outcome| outcome.agent.as_ref());
    let sum = |tally: Option<&Tally>| {
        tally.map_or("-".to_owned(), |tally| tally.values().sum::<u64>().to_string())
    };
    let mut line = String::new();
    let _ = write!(
        line,
        "{suite:<9} {tier:<5} {:<6} {:<26} {:>6.1}s {:>6} {:>6.1}s {:>6} {:>6} {:>6} {:>6}  {}",
        agent.and_then(Agent::tier).map_or("-".to_owned(), |tier| tier.to_string()),
        kernel.map_or("-", |kernel| kernel.release.as_str()),
        times.0,
        agent.map_or("-".to_owned(), |agent| format!("{:.1}s", agent.ready)),
        times.1,
        sum(outcome.map(|outcome| &outcome.client)),
        sum(outcome.map(|outcome| &outcome.server)),
        sum(agent.map(|agent| &agent.client)),
        sum(agent.map(|agent| &agent.server)),
        if passed { "ok" } else { "FAILED" },
    );
    line
}

/// What stands above the rows.
pub const HEADING: &str = "suite     tier  active kernel                        boot   agent   total client server  seen-c seen-s";

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(agent: Agent) -> Vec<Report> {
        let kernel = Kernel { btf_bytes: 1, ..Kernel::default() };
        let outcome = Outcome {
            client: load::expected(),
            server: load::expected(),
            agent: Some(agent),
            ..Outcome::default()
        };
        vec![Report::Booted(kernel), Report::Done(Box::new(outcome))]
    }

    /// With these rows beside those that every agent has.
    fn status(tier: u8, more: &[(&str, &str)]) -> Value {
        let usual = [
            ("no_new_privs", "active"),
            ("capabilities", "active"),
            ("seccomp", "active"),
            ("CAP_BPF", "disabled"),
            ("CAP_PERFMON", "disabled"),
            ("CAP_SYS_PTRACE", "active"),
            ("CAP_DAC_READ_SEARCH", "active"),
        ];
        let rows = usual.iter().chain(more);
        let rows: Vec<Value> =
            rows.map(|(name, state)| serde_json::json!({"name": name, "state": state})).collect();
        serde_json::json!({"capture": {"tier": tier, "probes": rows}})
    }

    #[test]
    fn kernels_that_ask_for_it_leave_the_agent_its_capability() {
        let check = |release: &str, expect: &[&str]| {
            let mut problems = Vec::new();
            given_up(release, &status(1, &[]), &mut problems);
            assert_eq!(problems, expect, "{release}");
        };
        check("6.1.0-30-amd64", &[]);
        check("5.10.0-32-amd64", &["CAP_BPF is Some(\"disabled\"), not active"]);
    }

    fn perfect() -> Agent {
        Agent {
            server: load::expected(),
            client: load::expected(),
            ended: "exit status: 0".to_owned(),
            status: status(1, &[]),
            ..Agent::default()
        }
    }

    #[test]
    fn says_nothing_of_an_exact_count_and_names_each_row_that_differs() {
        let check = |agent: Agent, expect: &[&str]| {
            assert_eq!(problems(&reports(agent), Demand::Agent(Tier::Socket)), expect);
        };
        check(perfect(), &[]);
        let mut short = perfect();
        short.server.insert("GET 200".to_owned(), 24);
        short.client.insert("GET -".to_owned(), 1);
        let expect = [
            "the agent on the server: GET 200 is 24, not 25",
            "the agent on the client: GET - is 1, not 0",
        ];
        check(short, &expect);
    }

    #[test]
    fn runs_that_the_kernel_left_out_explain_a_short_count_where_there_are_no_spare_programs() {
        let mut short = perfect();
        short.server.insert("GET 200".to_owned(), 24);
        short.missed_runs.insert("sys_exit".to_owned(), 1);
        short.status = status(3, &[]);
        assert_eq!(problems(&reports(short.clone()), Demand::Agent(Tier::Syscall)), [""; 0]);
        short.server.insert("GET 200".to_owned(), 23);
        assert_eq!(problems(&reports(short.clone()), Demand::Agent(Tier::Syscall)).len(), 2);
        short.server.insert("GET 200".to_owned(), 26);
        assert_eq!(problems(&reports(short), Demand::Agent(Tier::Syscall)).len(), 2);
    }

    #[test]
    fn counts_a_failed_probe_a_loss_and_a_complaint_as_problems() {
        let status = status(1, &[("a", "active"), ("b", "failed")]);
        let agent = Agent {
            status,
            lost: [("steth_lost".to_owned(), 2.0)].into(),
            complaints: vec!["WARN x".to_owned()],
            ..perfect()
        };
        let found = problems(&reports(agent), Demand::Agent(Tier::Socket));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().any(|problem| problem.contains("\"b\"")));
    }

    #[test]
    fn another_tier_than_the_one_expected_is_a_problem() {
        let found = problems(&reports(perfect()), Demand::Agent(Tier::Syscall));
        assert_eq!(found, ["the active tier is Some(1), not 3"]);
    }

    #[test]
    fn an_error_is_not_repeated_as_a_hundred_missing_requests() {
        let outcome =
            Outcome { errors: vec!["the agent ended by itself".to_owned()], ..Outcome::default() };
        let kernel = Kernel { btf_bytes: 1, ..Kernel::default() };
        let reports = [Report::Booted(kernel), Report::Done(Box::new(outcome))];
        let expect = ["the agent ended by itself", "no word of the agent"];
        assert_eq!(problems(&reports, Demand::Agent(Tier::Socket)), expect);
    }

    #[test]
    fn a_guest_that_says_nothing_has_not_come_up() {
        assert_eq!(problems(&[], Demand::Load), ["the kernel did not come up"]);
    }
}
