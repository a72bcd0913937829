//! Which flag sets which key: read by the command line and by the reference page.

/// Which flag sets which key.
pub(crate) const FLAG_OF: &[(&str, &str)] = &[
    ("capture.tier", "--capture-tier"),
    ("capture.statistics", "--stats"),
    ("host.root", "--root"),
    ("prometheus.listen", "--listen"),
    ("otlp.endpoint", "--otlp-endpoint"),
    ("metrics.interval", "--interval"),
    ("log.level", "--log"),
    ("log.format", "--log-format"),
    ("filter.include.executables", "--include-executable"),
    ("filter.exclude.executables", "--exclude-executable"),
    ("filter.include.services", "--include-service"),
    ("filter.exclude.services", "--exclude-service"),
    ("filter.include.ports", "--include-port"),
    ("filter.exclude.ports", "--exclude-port"),
    ("filter.include.cgroups", "--include-cgroup"),
    ("filter.exclude.cgroups", "--exclude-cgroup"),
    ("filter.include.paths", "--include-path"),
    ("filter.exclude.paths", "--exclude-path"),
];

/// The flag that sets a key.
pub(crate) fn flag_of(path: &str) -> Option<&'static str> {
    FLAG_OF.iter().find(|(key, _)| *key == path).map(|(_, flag)| *flag)
}
