//! The one-node Kubernetes that `cargo xtask cluster` begins, from within its namespaces: kubectl, helm, the
//! node's own programs taken away and brought back, and the agent installed by its chart.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::collector::{Collector, Received};
use crate::metrics::Metrics;
use crate::program::{Scratch, run};

/// Where the node is, for its pods and for the tests.
pub const NODE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));
/// The namespace of the tests' pods.
pub const SHOP: &str = "shop";
/// The agent's.
const STETH: &str = "steth";
/// How long anything in the cluster may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// Where the chart is.
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/helm/steth");

/// The cluster.
pub struct Cluster {
    state: PathBuf,
    programs: PathBuf,
    scratch: Scratch,
}

impl Cluster {
    /// The one that this test was started in, with a namespace for its pods.
    pub fn here() -> anyhow::Result<Self> {
        let place = |name: &str| {
            let place = std::env::var_os(name).map(PathBuf::from);
            place.context("no cluster. What to do: `cargo xtask cluster test`")
        };
        let (state, programs) = (place("STETH_CLUSTER")?, place("STETH_CLUSTER_PROGRAMS")?);
        let cluster = Self { state, programs, scratch: Scratch::new("cluster")? };
        cluster.apply(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {SHOP}}}\n"))?;
        Ok(cluster)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.env("KUBECONFIG", self.state.join("kubeconfig"));
        command.env("HELM_CACHE_HOME", self.scratch.path());
        command.env("HELM_CONFIG_HOME", self.scratch.path());
        command.env("HELM_DATA_HOME", self.scratch.path());
        command.stdin(Stdio::null());
        command
    }

    /// What kubectl prints.
    pub fn kubectl(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = self.command("kubectl");
        command.args(words);
        Ok(String::from_utf8(run(command)?.stdout)?)
    }

    /// What kubectl prints in the pods' namespace.
    pub fn shop(&self, words: &[&str]) -> anyhow::Result<String> {
        self.kubectl(&[&["--namespace", SHOP], words].concat())
    }

    /// What helm prints.
    pub fn helm(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = self.command("helm");
        command.args(["--namespace", STETH]).args(words);
        Ok(String::from_utf8(run(command)?.stdout)?)
    }

    /// Creates or changes what the text describes.
    pub fn apply(&self, yaml: &str) -> anyhow::Result<()> {
        let file = self.scratch.file("apply.yaml", yaml)?;
        self.kubectl(&["apply", "--filename", &file.display().to_string()]).map(drop)
    }

    /// One object, as it is now.
    pub fn object(&self, words: &[&str]) -> anyhow::Result<Value> {
        let text = self.shop(&[&["get", "--output", "json"], words].concat())?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Waits for a condition of `kubectl wait`.
    pub fn wait(&self, condition: &str, what: &[&str]) -> anyhow::Result<()> {
        let condition = format!("--for={condition}");
        let patience = format!("--timeout={}s", PATIENCE.as_secs());
        self.shop(&[&["wait", &condition, &patience], what].concat()).map(drop)
    }

    /// The pods that have all these labels, which all must be of the same workload.
    pub fn pods(&self, labels: &str) -> anyhow::Result<Vec<Value>> {
        let list = self.object(&["pods", "--selector", labels])?;
        Ok(crate::collector::list(&list, "items").cloned().collect())
    }

    /// What a container that has ended said of itself in the last line of its log.
    pub fn said(&self, pod: &str, container: &str) -> anyhow::Result<Value> {
        let log = self.shop(&["logs", pod, "--container", container, "--tail", "1"])?;
        serde_json::from_str(log.trim()).with_context(|| format!("{pod} said {log:?}"))
    }

    /// Removes all pods of the tests and what makes them.
    pub fn clear(&self) -> anyhow::Result<()> {
        let kinds = "cronjob,job,deployment,statefulset,daemonset,service,pod";
        self.shop(&["delete", kinds, "--all", "--grace-period=1", "--timeout=60s"]).map(drop)
    }

    /// Ends a program of the node: `apiserver`, `containerd`, `kubelet`.
    pub fn stop(&self, name: &str) -> anyhow::Result<()> {
        let id = std::fs::read_to_string(self.state.join(format!("{name}.pid")))?;
        let mut kill = Command::new("kill");
        kill.arg(id.trim());
        run(kill)?;
        until(&format!("{name} ends"), || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", id.trim()));
            Ok(state.map_or(true, |state| state.contains(") Z ")))
        })
    }

    /// Begins it anew.
    pub fn begin(&self, name: &str) -> anyhow::Result<()> {
        let mut command = Command::new("setsid");
        command.arg("sh").arg(self.state.join(format!("{name}.sh")));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        std::fs::write(self.state.join(format!("{name}.pid")), child.id().to_string())?;
        Ok(())
    }
}

/// Asks again until it is so; an error where it never is.
pub fn until(what: &str, mut is: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is()? {
        if Instant::now() > deadline {
            bail!("in vain waited until {what}");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// The agent as its chart installs it, and the Collector that it sends to.
pub struct Installed<'a> {
    cluster: &'a Cluster,
    /// Where all it tells goes.
    pub collector: Collector,
}

impl<'a> Installed<'a> {
    /// Installs it with `more` values, and waits until it watches.
    pub fn new(cluster: &'a Cluster, more: &[&str]) -> anyhow::Result<Self> {
        let collector =
            Collector::start_at("gateway", NODE)?.context("the Collector is missing")?;
        let installed = Self { cluster, collector };
        installed.upgrade(more)?;
        Ok(installed)
    }

    /// Installs it with other values.
    pub fn upgrade(&self, more: &[&str]) -> anyhow::Result<()> {
        let endpoint = format!("otlp.endpoint={}", self.collector.http());
        let mut words = vec!["upgrade", "--install", "steth", CHART, "--create-namespace"];
        let fixed = [
            "image.repository=test.invalid/steth",
            "image.tag=test",
            "image.pullPolicy=Never",
            "config.metrics.interval=1s",
            &endpoint,
        ];
        for value in fixed.iter().chain(more) {
            words.extend(["--set", value]);
        }
        self.cluster.helm(&words)?;
        let kubectl =
            |words: &[&str]| self.cluster.kubectl(&[&["--namespace", STETH], words].concat());
        kubectl(&["rollout", "status", "daemonset/steth", "--timeout=90s"]).map(drop).map_err(
            |error| {
                let pods = kubectl(&["describe", "pods"]).unwrap_or_default();
                let logs =
                    kubectl(&["logs", "daemonset/steth", "--tail", "30"]).unwrap_or_default();
                error.context(format!("the agent does not start\n{pods}\n{logs}"))
            },
        )
    }

    /// The address of its pod.
    pub fn address(&self) -> anyhow::Result<String> {
        let words = [
            "--namespace",
            STETH,
            "get",
            "pods",
            "--output",
            "jsonpath={.items[?(@.status.phase=='Running')].status.podIP}",
        ];
        Ok(self.cluster.kubectl(&words)?.trim().to_owned())
    }

    /// A page of it.
    pub fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--max-time", "20"]);
        curl.arg(format!("http://{}:9464{path}", self.address()?));
        Ok(String::from_utf8(run(curl)?.stdout)?)
    }

    /// `/status`.
    pub fn status(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.get("/status")?)?)
    }

    /// Everything counted at this moment.
    pub fn metrics(&self) -> anyhow::Result<Metrics> {
        Ok(Metrics::parse(&self.get("/metrics")?))
    }

    /// What the Collector has when it has all that is wanted of it, or when that took too long.
    pub fn told_when(&self, wanted: impl Fn(&Received) -> bool) -> anyhow::Result<Received> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let received = self.collector.received()?;
            if wanted(&received) || Instant::now() > deadline {
                return Ok(received);
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

impl Drop for Installed<'_> {
    fn drop(&mut self) {
        // What is left would disturb the next test; that it is gone is a test of its own.
        let _ = self.cluster.helm(&["uninstall", "steth", "--wait", "--ignore-not-found"]);
    }
}

/// A path of the chart, for those who look at it.
pub fn chart() -> &'static Path {
    Path::new(CHART)
}
