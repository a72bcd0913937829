//! What a Java virtual machine runs: a jar, a module, a main class, or what it calls itself.

use super::{Command, Found, basename, stem};

const WITH_VALUE: &[&str] = &[
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--upgrade-module-path",
    "--add-modules",
    "--add-opens",
    "--add-exports",
    "--add-reads",
    "--limit-modules",
    "--patch-module",
    "--enable-native-access",
    "--source",
];
/// Properties by which a program says its own name.
const PROPERTIES: &[&str] = &["-Dotel.service.name=", "-Dspring.application.name="];
/// Main classes that every user of a product has.
const KNOWN: &[(&str, &str)] = &[
    ("org.apache.catalina.", "tomcat"),
    ("kafka.Kafka", "kafka"),
    ("org.apache.zookeeper.", "zookeeper"),
    ("org.elasticsearch.", "elasticsearch"),
    ("org.opensearch.", "opensearch"),
    ("org.apache.cassandra.", "cassandra"),
    ("org.jboss.modules.", "wildfly"),
    ("org.eclipse.jetty.start.", "jetty"),
];

pub(super) fn of(command: &Command) -> Found {
    let args = command.rest();
    let said = PROPERTIES.iter().find_map(|key| args.iter().find_map(|a| a.strip_prefix(key)));
    if let Some(name) = said.filter(|name| !name.is_empty()) {
        return Found::Name(name.to_owned());
    }
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "-jar" => return rest.next().map_or(Found::Nothing, |path| Found::Name(jar(path))),
            "-m" | "--module" => {
                return rest.next().map_or(Found::Nothing, |module| Found::Name(main(module)));
            }
            with if WITH_VALUE.contains(&with) => {
                rest.next();
            }
            option if option.starts_with(['-', '@']) => {
                if let Some(module) = option.strip_prefix("--module=") {
                    return Found::Name(main(module));
                }
            }
            class => return of_class(command, class),
        }
    }
    Found::Nothing
}

fn of_class(command: &Command, class: &str) -> Found {
    if class.starts_with("org.springframework.boot.loader.") {
        // An unpacked archive: the same launcher for everybody.
        let directory = super::project("x", command.cwd());
        return Found::Project(directory, "spring-boot".to_owned());
    }
    if class.contains('/') || super::ends(class, ".java") {
        return Found::Name(stem(class, &[".java"]).to_owned());
    }
    let known = KNOWN.iter().find(|(prefix, _)| class.starts_with(prefix));
    Found::Name(known.map_or(class, |(_, name)| name).to_owned())
}

/// `com.foo.app/com.foo.Main` by its class, `com.foo.app` by itself.
fn main(module: &str) -> String {
    module.rsplit('/').next().unwrap_or(module).to_owned()
}

/// `app-1.2-SNAPSHOT.jar` is `app`.
fn jar(path: &str) -> String {
    let stem = stem(path, &[".jar", ".war", ".ear"]);
    let mut cuts = stem.match_indices(['-', '_']).filter(|(at, _)| {
        let version = stem.get(at + 1..).unwrap_or_default();
        let version = version.strip_prefix('v').unwrap_or(version);
        *at > 0 && version.starts_with(|c: char| c.is_ascii_digit())
    });
    let name = match cuts.next() {
        Some((at, _)) => stem.get(..at).unwrap_or(stem),
        None => stem,
    };
    basename(name).to_owned()
}
