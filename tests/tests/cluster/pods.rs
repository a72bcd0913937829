//! The tests' pods in YAML: each a container or several of the one program that serves and asks.

use std::fmt::Write as _;

/// A container that is called `name`, and what its program is told.
pub fn container(name: &str, words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!(
        "{{name: {name}, image: \"test.invalid/shop:1\", imagePullPolicy: Never, args: [{}]}}",
        words.join(", ")
    )
}

/// What a pod is, whoever makes it.
pub fn spec(containers: &[String], more: &str) -> String {
    format!(
        "{{automountServiceAccountToken: false, terminationGracePeriodSeconds: 3, {more} containers: [{}]}}",
        containers.join(", ")
    )
}

/// Something that makes pods for as long as it is there: a `Deployment`, `StatefulSet` or `DaemonSet`.
pub fn makes(kind: &str, name: &str, more: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{selector: {{matchLabels: {{app: {name}}}}}, {more} template: {{metadata: {{labels: {{app: {name}}}}}, \
         spec: {spec}}}}}\n"
    )
}

/// A pod that nobody makes.
pub fn pod(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {{app: {name}}}}}\n\
         spec: {spec}\n"
    )
}

/// A pod that runs to its end.
pub fn job(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{backoffLimit: 0, template: {{metadata: {{labels: {{app: {name}}}}}, spec: {spec}}}}}\n"
    )
}

/// One such pod every minute.
pub fn cron_job(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{schedule: \"* * * * *\", jobTemplate: {{spec: {{backoffLimit: 0, template: {{metadata: \
         {{labels: {{app: {name}}}}}, spec: {spec}}}}}}}}}\n"
    )
}

/// An address for what serves at these ports.
pub fn service(name: &str, ports: &[(u16, u16)]) -> String {
    let mut list = String::new();
    for (port, target) in ports {
        let _ = write!(list, "{{name: p{port}, port: {port}, targetPort: {target}}}, ");
    }
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{selector: {{app: {name}}}, ports: [{list}]}}\n"
    )
}
