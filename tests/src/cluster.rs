//! The one-node Kubernetes that `cargo xtask cluster` begins, from within its namespaces: kubectl, helm, the
//! node's own programs taken away and brought back, and the agent installed by its chart.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
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

    /// A file of its state.
    pub fn state(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// One of the programs that were built for it.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.env("KUBECONFIG", self.state.join("kubeconfig"));
        command.env("KUBECACHEDIR", self.state.join("cache"));
        command.env("HELM_CACHE_HOME", self.scratch.path());
        command.env("HELM_CONFIG_HOME", self.scratch.path());
        command.env("HELM_DATA_HOME", self.scratch.path());
        command.stdin(Stdio::null());
        command
    }

    /// What kubectl prints.
    pub fn kubectl(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = self.program("kubectl");
        command.args(words);
        Ok(String::from_utf8(run(command)?.stdout)?)
    }

    /// What kubectl prints in the pods' namespace.
    pub fn shop(&self, words: &[&str]) -> anyhow::Result<String> {
        self.kubectl(&[&["--namespace", SHOP], words].concat())
    }

    /// What helm prints.
    pub fn helm(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = self.program("helm");
        command.args(["--namespace", STETH]).args(words);
        Ok(String::from_utf8(run(command)?.stdout)?)
    }

    /// Creates or changes what the text describes.
    pub fn apply(&self, yaml: &str) -> anyhow::Result<()> {
        let file = self.scratch.file("apply.yaml", yaml)?;
        self.kubectl(&["apply", "--filename", &file.display().to_string()]).map(drop)
    }

    /// Creates what the text describes, in one go.
    pub fn create(&self, yaml: &str) -> anyhow::Result<()> {
        let file = self.scratch.file("create.yaml", yaml)?;
        self.kubectl(&["create", "--filename", &file.display().to_string()]).map(drop)
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

    /// Waits until a pod with this label is ready: who makes it may not have made it yet.
    pub fn ready(&self, app: &str) -> anyhow::Result<()> {
        let labels = format!("app={app}");
        until("the pod is made", || Ok(!self.pods(&labels)?.is_empty()))?;
        self.wait("condition=Ready", &["pod", "--selector", &labels])
    }

    /// The pods that have all these labels, which all must be of the same workload.
    pub fn pods(&self, labels: &str) -> anyhow::Result<Vec<Value>> {
        let list = self.object(&["pods", "--selector", labels])?;
        Ok(crate::collector::list(&list, "items").cloned().collect())
    }

    /// What a container that has ended said of itself at last; what it complained of may come behind it.
    pub fn said(&self, pod: &str, container: &str) -> anyhow::Result<Value> {
        let log = self.shop(&["logs", pod, "--container", container])?;
        let mut objects = log.lines().rev().filter_map(|line| serde_json::from_str(line).ok());
        objects.find(Value::is_object).with_context(|| format!("{pod} said {log:?}"))
    }

    /// Waits until there is an answer, by a path that those who serve do not count.
    pub fn answers(&self, address: &str, port: u16) -> anyhow::Result<()> {
        until(&format!("{address}:{port} answers"), || {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--fail", "--max-time", "5", "--output", "/dev/null"]);
            curl.arg(format!("http://{address}:{port}/served"));
            Ok(curl.status()?.success())
        })
    }

    /// Removes all pods of the tests and what makes them.
    pub fn clear(&self) -> anyhow::Result<()> {
        let kinds = "cronjob,job,deployment,statefulset,daemonset,service,pod";
        self.shop(&["delete", kinds, "--all", "--grace-period=1", "--timeout=60s"]).map(drop)
    }

    /// Takes a program of the node away: `apiserver`, `containerd`, `kubelet`. It comes back at the latest when this is
    /// dropped.
    pub fn without(&self, name: &'static str) -> anyhow::Result<Without<'_>> {
        let without = Without { cluster: self, name, back: false };
        self.stop(name)?;
        Ok(without)
    }

    fn stop(&self, name: &str) -> anyhow::Result<()> {
        let id = std::fs::read_to_string(self.state.join(format!("{name}.pid")))?;
        let mut kill = Command::new("kill");
        kill.arg(id.trim());
        run(kill)?;
        until(&format!("{name} ends"), || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", id.trim()));
            Ok(state.map_or(true, |state| state.contains(") Z ")))
        })
    }

    /// Ends the API server and begins it anew, and those that should not have missed anything meanwhile.
    pub fn restart_server(&self) -> anyhow::Result<()> {
        self.stop("apiserver")?;
        self.begin_server()
    }

    fn begin_server(&self) -> anyhow::Result<()> {
        self.begin("apiserver")?;
        until("the API server is back", || Ok(self.kubectl(&["get", "--raw", "/readyz"]).is_ok()))?;
        self.stop("controllers")?;
        self.begin("controllers")
    }

    fn begin(&self, name: &str) -> anyhow::Result<()> {
        let mut command = Command::new("setsid");
        command.arg("sh").arg(self.state.join(format!("{name}.sh")));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        std::fs::write(self.state.join(format!("{name}.pid")), child.id().to_string())?;
        Ok(())
    }
}

/// A node without one of its programs.
pub struct Without<'a> {
    cluster: &'a Cluster,
    name: &'static str,
    back: bool,
}

impl Without<'_> {
    /// Begins it anew; with the API server those that should not have missed anything meanwhile.
    pub fn begin(mut self) -> anyhow::Result<()> {
        self.again()
    }

    fn again(&mut self) -> anyhow::Result<()> {
        if std::mem::replace(&mut self.back, true) {
            return Ok(());
        }
        match self.name {
            "apiserver" => self.cluster.begin_server(),
            name => self.cluster.begin(name),
        }
    }
}

impl Drop for Without<'_> {
    fn drop(&mut self) {
        let _ = self.again();
    }
}

/// Asks again until it is so; an error where it never is.
pub fn until(what: &str, is: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    until_within(PATIENCE, what, is)
}

/// The same, with other patience.
pub fn until_within(
    patience: Duration,
    what: &str,
    mut is: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
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
            // Nodes of a crowd that an earlier run has left have nobody who would run it.
            "nodeSelector.kubernetes\\.io/hostname=n1",
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

    /// What it says of itself, where the API server need not be asked for where it is.
    pub fn page(&self) -> anyhow::Result<Page> {
        let pod = self.pod()?;
        let address = pod["status"]["podIP"].as_str().context("no address")?;
        Ok(Page(address.to_owned()))
    }

    /// Its pod; not the one before it, which may still be ending.
    pub fn pod(&self) -> anyhow::Result<Value> {
        let words = ["--namespace", STETH, "get", "pods", "--output", "json"];
        let list: Value = serde_json::from_str(&self.cluster.kubectl(&words)?)?;
        let mut pods = crate::collector::list(&list, "items");
        let pod = pods.find(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        pod.cloned().context("no pod of the agent")
    }

    /// Removes it and all that belongs to it, as its user would.
    pub fn uninstall(&self) -> anyhow::Result<()> {
        self.cluster.helm(&["uninstall", "steth", "--wait", "--ignore-not-found"]).map(drop)
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
        let _ = self.uninstall();
        // A garbage collector that was cut off from its API server may have missed that the owner is gone.
        let words = ["--namespace", STETH, "delete", "pods", "--all", "--grace-period=5"];
        let _ = self.cluster.kubectl(&words);
    }
}

/// The pages of one agent's pod.
pub struct Page(String);

impl Page {
    fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--max-time", "20"]);
        curl.arg(format!("http://{}:9464{path}", self.0));
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
}
