//! The chart, as Helm reads it: sound, refused where it is filled in wrong, and the same as the plain manifests, which
//! are whole as well.
//!
//! `STETH_HELM` names the Helm; without one, what needs it is left out, which in CI is an error.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's own functions; what is not there fails the test"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Values that stand beside this file, each with what the chart makes of them.
const SETS: [&str; 3] = ["api-off", "host-network", "everything"];
/// The cluster that is rendered for: the oldest that the chart is for.
const CLUSTER: &str = "1.30.0";

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart").join(name)
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Helm with these words and the chart; none if there is no Helm and need not be.
fn helm(words: &[&str]) -> Option<Output> {
    let Some(path) = std::env::var_os("STETH_HELM").filter(|path| !path.is_empty()) else {
        assert!(std::env::var_os("CI").is_none(), "Helm is missing: STETH_HELM names it");
        eprintln!("left out: Helm is missing; STETH_HELM names it");
        return None;
    };
    // Whatever the user's own Helm knows does not count.
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(path);
    for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(name, home.path());
    }
    command.args(words).args(["--kube-version", CLUSTER]).env_remove("KUBECONFIG");
    Some(command.output().unwrap())
}

/// What Helm makes of the chart with more words; its complaint if it refuses.
fn rendered(more: &[&str]) -> Option<Result<String, String>> {
    rendered_from(&deploy().join("helm/steth"), more)
}

/// The same of a chart that stands elsewhere.
fn rendered_from(chart: &Path, more: &[&str]) -> Option<Result<String, String>> {
    let mut words = vec!["template", "steth", chart.to_str().unwrap(), "--namespace", "steth"];
    words.extend_from_slice(more);
    let Output { status, stdout, stderr } = helm(&words)?;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Some(if status.success() { Ok(text(stdout)) } else { Err(text(stderr)) })
}

/// What Helm tells whoever installs it with these values. It only does so of a cluster, unless it is a manifest itself.
fn notes(set: &str) -> Option<String> {
    let chart = tempfile::tempdir().unwrap();
    let from = deploy().join("helm/steth");
    std::fs::create_dir(chart.path().join("templates")).unwrap();
    for name in ["Chart.yaml", "values.yaml", "values.schema.json", "templates/_helpers.tpl"] {
        std::fs::copy(from.join(name), chart.path().join(name)).unwrap();
    }
    let told = text(&from.join("templates/NOTES.txt"));
    let template = format!(
        "{{{{- define \"notes\" }}}}{told}{{{{ end -}}}}\nnotes: {{{{ include \"notes\" . | quote }}}}\n"
    );
    std::fs::write(chart.path().join("templates/notes.yaml"), template).unwrap();
    let made = rendered_from(chart.path(), &["--set", set])?.unwrap();
    Some(documents(&made)[0]["notes"].as_str().unwrap().to_owned())
}

fn values(set: &str) -> String {
    golden(&format!("{set}.values.yaml")).to_str().unwrap().to_owned()
}

/// Compares with a file, or rewrites it when asked to.
fn check(path: &Path, made: &str) {
    if std::env::var_os("STETH_BLESS").is_some() {
        std::fs::write(path, made).unwrap();
    }
    let path = path.display();
    assert!(text(Path::new(&path.to_string())) == made, "{path} is stale: `cargo xtask bless`");
}

fn documents(yaml: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    all.into_iter().filter(|document| !document.is_null()).collect()
}

fn kinds(documents: &[Value]) -> Vec<&str> {
    documents.iter().map(|document| document["kind"].as_str().unwrap()).collect()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents.iter().find(|document| document["kind"] == kind).unwrap()
}

/// The container of a rendered chart.
fn container(documents: &[Value]) -> &Value {
    &of_kind(documents, "DaemonSet")["spec"]["template"]["spec"]["containers"][0]
}

#[test]
fn helm_finds_nothing_to_say_against_it() {
    let chart = deploy().join("helm/steth");
    for set in SETS {
        let words = ["lint", "--strict", chart.to_str().unwrap(), "--values", &values(set)];
        let Some(Output { status, stdout, .. }) = helm(&words) else { return };
        assert!(status.success(), "{set}: {}", String::from_utf8_lossy(&stdout));
    }
}

#[test]
fn the_plain_manifests_are_what_the_chart_makes_by_default() {
    let Some(made) = rendered(&[]) else { return };
    check(&deploy().join("kubernetes/steth.yaml"), &made.unwrap());
}

#[test]
fn values_make_what_they_made_before() {
    for set in SETS {
        let Some(made) = rendered(&["--values", &values(set)]) else { return };
        check(&golden(&format!("{set}.yaml")), &made.unwrap());
    }
}

#[test]
fn what_is_filled_in_wrong_is_refused_with_its_place() {
    let cases = [
        ("config.metrics.intervl=5s", "at '/config/metrics': additional properties 'intervl'"),
        ("config.metrics.interval=often", "at '/config/metrics/interval': 'often' does not match"),
        ("config.host.root=/x", "config.host.root: leave it out"),
        ("config.kubernetes.services=true", "config.kubernetes.services: leave it out"),
        ("kubernetes.services=true,kubernetes.api=false", "kubernetes.services: the API server"),
        ("config.prometheus.listen=0.0.0.0:1", "config.prometheus.listen: leave it out"),
        ("config.otlp.endpoint=http://x:4317", "config.otlp.endpoint: leave it out and set otlp"),
        (
            "config.kubernetes.api=false",
            "config.kubernetes.api: leave it out and set kubernetes.api",
        ),
        ("config.kubernetes.enabled=false", "config.kubernetes.enabled: nobody is asked"),
        (
            "config.kubernetes.enabled=false,kubernetes.api=false",
            "set kubernetes.api: false and runtime.enabled: false as well",
        ),
        (
            "serviceAccount.create=false",
            "serviceAccount.create: without it set serviceAccount.name",
        ),
        ("serviceAccount.name=a,kubernetes.api=false", "serviceAccount.name: with kubernetes.api"),
        (
            "serviceAccount.create=false,serviceAccount.name=a,serviceAccount.annotations.b=c",
            "serviceAccount.annotations: no account is made",
        ),
        ("serviceAccount.name=A", "at '/serviceAccount/name'"),
        ("seLinuxOptions.kind=spc_t", "at '/seLinuxOptions': additional properties 'kind'"),
        ("podLabels.app\\.kubernetes\\.io/name=x", "podLabels: app.kubernetes.io/name is what"),
        ("hostNetwork=yes", "at '/hostNetwork': got string, want boolean"),
        ("updateStrategy=Recreate", "additional properties 'updateStrategy' not allowed"),
        ("maxUnavailable=0", "at '/maxUnavailable'"),
        ("prometheus.port=80", "at '/prometheus/port'"),
        ("otlp.endpoint=collector:4317", "at '/otlp/endpoint'"),
        ("clusterName=a=b", "at '/clusterName'"),
        ("runtime.path=run", "at '/runtime/path'"),
        ("extraCapabilities={ALL}", "at '/extraCapabilities/0': value must be one of"),
        ("seccompProfile.type=Localhost", "missing property 'localhostProfile'"),
        ("podMonitor.enabled=true,hostNetwork=true", "podMonitor.enabled: with hostNetwork"),
        (
            "podMonitor.enabled=true,config.prometheus.enabled=false",
            "podMonitor.enabled: there is nothing to scrape",
        ),
    ];
    for (set, expect) in cases {
        let Some(made) = rendered(&["--set", set]) else { return };
        let told = made.expect_err(set);
        assert!(told.contains(expect), "{set}: {told}");
    }
}

#[test]
fn variables_of_the_charts_own_are_not_given_twice() {
    let plain = text(&deploy().join("kubernetes/steth.yaml"));
    let sets = SETS.map(|set| text(&golden(&format!("{set}.yaml"))));
    let mut names = BTreeSet::new();
    for made in sets.into_iter().chain([plain]) {
        let documents = documents(&made);
        let variables = container(&documents)["env"].as_array().unwrap();
        names.extend(variables.iter().map(|one| one["name"].as_str().unwrap().to_owned()));
    }
    // It is not the chart's, but of everything.values.yaml.
    assert!(names.remove("OTEL_EXPORTER_OTLP_HEADERS"));
    // These are stronger than those.
    let stronger = ["STETH_AGENT_ATTRIBUTES", "STETH_OTLP_ENDPOINT", "STETH_PROMETHEUS_LISTEN"];
    for name in names.iter().map(String::as_str).chain(stronger) {
        let set = format!("extraEnv[0].name={name},extraEnv[0].value=x");
        let Some(made) = rendered(&["--set", &set]) else { return };
        let told = made.expect_err(name);
        assert!(told.contains(&format!("extraEnv: {name} is the chart's to say: ")), "{told}");
    }
}

#[test]
fn annotations_and_labels_that_are_given_win() {
    let words = [
        "--set-string",
        "podAnnotations.prometheus\\.io/scrape=false,podLabels.app\\.kubernetes\\.io/version=mine",
    ];
    let Some(made) = rendered(&words) else { return };
    let documents = documents(&made.unwrap());
    let set = of_kind(&documents, "DaemonSet");
    let pod = &set["spec"]["template"]["metadata"];
    assert_eq!(pod["annotations"]["prometheus.io/scrape"], "false");
    assert_eq!(pod["annotations"]["prometheus.io/port"], "9464");
    assert_eq!(pod["labels"]["app.kubernetes.io/version"], "mine");
    for (name, value) in set["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(pod["labels"][name], *value);
    }
}

#[test]
fn the_role_is_bound_to_the_account_that_is_named() {
    let words = ["--set", "serviceAccount.create=false,serviceAccount.name=watcher"];
    let Some(made) = rendered(&words) else { return };
    let documents = documents(&made.unwrap());
    assert_eq!(kinds(&documents), ["ClusterRole", "ClusterRoleBinding", "DaemonSet"]);
    assert_eq!(of_kind(&documents, "ClusterRoleBinding")["subjects"][0]["name"], "watcher");
    let pod = &of_kind(&documents, "DaemonSet")["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "watcher");
    assert_eq!(pod["automountServiceAccountToken"], true);
}

#[test]
fn notes_tell_what_becomes_of_these_values() {
    const NOTHING: &str = "Nothing is pushed: set otlp.endpoint";
    const OFF: &str = "spans nowhere: config.traces.enabled=true switches them on.";
    const HONOR: &str = "`honor_labels: true`";
    const IMAGE: &str = "image.repository to where you pushed";
    // Values, what is told, what is not.
    let cases = [
        ("runtime.enabled=true", vec![NOTHING, HONOR, IMAGE], vec![]),
        ("image.repository=a/steth,podMonitor.enabled=true", vec![NOTHING], vec![HONOR, IMAGE]),
        ("otlp.endpoint=http://a", vec!["Metrics are pushed to http://a, ", OFF], vec![NOTHING]),
        (
            "otlp.endpoint=http://a,config.traces.enabled=true",
            vec!["Metrics are pushed to http://a, spans to http://a."],
            vec![],
        ),
        (
            "otlp.endpoint=http://a,config.otlp.traces_endpoint=http://b",
            vec!["Metrics are pushed to http://a, spans to http://b."],
            vec![],
        ),
        (
            "config.otlp.metrics_endpoint=http://a",
            vec!["Metrics are pushed to http://a, ", OFF],
            vec![NOTHING],
        ),
        (
            "otlp.endpoint=http://a,config.otlp.disabled=true",
            vec!["Nothing is pushed: config.otlp.disabled says so."],
            vec!["http://a", NOTHING],
        ),
    ];
    for (set, told, not_told) in cases {
        let Some(notes) = notes(set) else { return };
        for expect in told {
            assert!(notes.contains(expect), "{set}: no {expect:?} in:\n{notes}");
        }
        for strange in not_told {
            assert!(!notes.contains(strange), "{set}: {strange:?} in:\n{notes}");
        }
    }
}

#[test]
fn no_token_and_no_role_where_the_api_server_is_not_asked() {
    let made = text(&golden("api-off.yaml"));
    let documents = documents(&made);
    assert_eq!(kinds(&documents), ["DaemonSet"]);
    let pod = &documents[0]["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["serviceAccountName"], Value::Null);
    assert_eq!(pod["volumes"].as_array().unwrap().len(), 1);
    assert_eq!(pod["volumes"][0]["hostPath"]["path"], "/sys");
}

#[test]
fn services_are_asked_for_only_where_that_is_switched_on() {
    let may = |made: &str| made.contains("resources: [services]");
    let asks = |made: &str| made.contains("STETH_KUBERNETES_SERVICES");
    let plain = text(&deploy().join("kubernetes/steth.yaml"));
    assert!(!may(&plain) && !asks(&plain));
    let everything = text(&golden("everything.yaml"));
    assert!(may(&everything) && asks(&everything));
}

#[test]
fn on_the_nodes_network_nothing_listens_for_others() {
    let made = text(&golden("host-network.yaml"));
    let documents = documents(&made);
    let pod = &of_kind(&documents, "DaemonSet")["spec"]["template"]["spec"];
    assert_eq!(pod["hostNetwork"], true);
    let container = container(&documents);
    let listens = "OTEL_EXPORTER_PROMETHEUS_HOST";
    let variables = container["env"].as_array().unwrap();
    let host = variables.iter().find(|variable| variable["name"] == listens).unwrap();
    assert_eq!(host["value"], "127.0.0.1");
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["host"], "127.0.0.1");
    }
}

/// Names of the files of a directory.
fn files(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn strings(value: &Value) -> impl Iterator<Item = String> {
    value.as_array().into_iter().flatten().map(|one| one.as_str().unwrap().to_owned())
}

#[test]
fn plain_manifests_are_objects_of_kubernetes() {
    let (kubernetes, collector) = (deploy().join("kubernetes"), deploy().join("collector"));
    let mut manifests: Vec<PathBuf> =
        files(&kubernetes).iter().map(|name| kubernetes.join(name)).collect();
    manifests.push(collector.join("kubernetes.yaml"));
    for path in manifests {
        let documents = documents(&text(&path));
        assert!(!documents.is_empty(), "{}", path.display());
        for document in documents {
            let named = ["/apiVersion", "/kind", "/metadata/name"];
            let is_whole =
                named.iter().all(|at| document.pointer(at).is_some_and(Value::is_string));
            assert!(is_whole, "{}: {document}", path.display());
        }
    }
}

#[test]
fn the_kustomization_has_all_that_stands_beside_it() {
    let directory = deploy().join("collector");
    let kustomization = &documents(&text(&directory.join("kustomization.yaml")))[0];
    let mut named = BTreeSet::from(["kustomization.yaml".to_owned()]);
    named.extend(strings(&kustomization["resources"]));
    let mut configurations = BTreeSet::new();
    for map in kustomization["configMapGenerator"].as_array().unwrap() {
        let name = map["name"].as_str().unwrap();
        configurations.extend(strings(&map["files"]).map(|file| (name.to_owned(), file)));
    }
    named.extend(configurations.iter().map(|(_, file)| file.clone()));
    assert_eq!(named, files(&directory));
    for (_, file) in &configurations {
        let configuration = &documents(&text(&directory.join(file)))[0];
        assert!(configuration["service"]["pipelines"].is_object(), "{file}");
    }
    // What the Collectors are started with is what they are given.
    let manifests = documents(&text(&directory.join("kubernetes.yaml")));
    let deployments = manifests.iter().filter(|document| document["kind"] == "Deployment");
    let read = deployments.map(|deployment| {
        let pod = &deployment["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let place =
            format!("--config={}/", container["volumeMounts"][0]["mountPath"].as_str().unwrap());
        let file = strings(&container["args"])
            .find_map(|word| word.strip_prefix(&place).map(str::to_owned));
        let map = pod["volumes"][0]["configMap"]["name"].as_str().unwrap();
        (map.to_owned(), file.unwrap())
    });
    assert_eq!(read.collect::<BTreeSet<_>>(), configurations);
}

#[test]
fn the_schema_knows_the_agents_configuration() {
    let path = deploy().join("helm/steth/values.schema.json");
    let mut schema: Value = serde_json::from_str(&text(&path)).unwrap();
    let reference = text(&deploy().join("reference/config.schema.json"));
    let mut config: Value = serde_json::from_str(&reference).unwrap();
    config.as_object_mut().unwrap().remove("$schema");
    schema["properties"]["config"] = config;
    check(&path, &(serde_json::to_string_pretty(&schema).unwrap() + "\n"));
}

#[test]
fn every_value_is_known_to_the_schema() {
    let schema = text(&deploy().join("helm/steth/values.schema.json"));
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let values = documents(&text(&deploy().join("helm/steth/values.yaml")));
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let mut known = names(&schema["properties"]);
    // Of Helm itself.
    known.remove("global");
    assert_eq!(names(&values[0]), known);
}

#[test]
fn chart_and_agent_are_of_one_version() {
    let chart = documents(&text(&deploy().join("helm/steth/Chart.yaml")));
    assert_eq!(chart[0]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart[0]["appVersion"], env!("CARGO_PKG_VERSION"));
}

/// The words of an expression that are names, with what stands in braces behind them.
fn names(expression: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    expression.split(|c| !is_part(c)).map(str::to_owned).collect()
}

#[test]
fn alerts_are_about_metrics_that_there_are() {
    let made = text(&golden("everything.yaml"));
    let documents = documents(&made);
    let rule = of_kind(&documents, "PrometheusRule");
    let reference = text(&deploy().join("reference/metrics.md"));
    let between = |line: &str| -> Vec<String> {
        line.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut metrics: Vec<(String, Vec<String>)> = Vec::new();
    for line in reference.lines() {
        if line.starts_with("- Prometheus:") {
            metrics.push((between(line)[0].clone(), Vec::new()));
        } else if line.starts_with("- Attributes:") {
            let labels = between(line).into_iter().map(|label| label.replace('.', "_"));
            metrics.last_mut().unwrap().1.extend(labels);
        }
    }
    // What scraping adds.
    let scraped = ["node", "job"];
    let rules = rule["spec"]["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 4);
    for rule in rules {
        let expression = rule["expr"].as_str().unwrap();
        let words = names(expression);
        let used: Vec<_> = metrics
            .iter()
            .filter(|(name, _)| words.contains(name) || words.contains(&format!("{name}_count")))
            .collect();
        assert!(!used.is_empty(), "{expression}: of no metric in deploy/reference/metrics.md");
        let known = |word: &str| {
            let functions = ["sum", "by", "rate", "some", "count", ""];
            functions.contains(&word)
                || scraped.contains(&word)
                || word.starts_with(|c: char| c.is_ascii_digit())
                || used.iter().any(|(name, labels)| {
                    word == name
                        || word == format!("{name}_count")
                        || labels.iter().any(|label| label == word)
                })
        };
        let strange: Vec<_> = words.iter().filter(|word| !known(word)).collect();
        assert!(strange.is_empty(), "{expression}: {strange:?}");
    }
}
