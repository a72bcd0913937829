//! Whole configurations: what they mean, and how mistakes in them are told.

use std::path::Path;

use super::keys::{Compression, HistogramForm, LogLevel, Protocol, Temporality, Tier};
use super::{Config, Setting, Sources, load_text, show};

fn environment(pairs: &[(&str, &str)]) -> Sources {
    let environment =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { environment, ..Sources::default() }
}

/// For the tests of the stages' configurations.
pub(crate) fn loaded(file: &str, pairs: &[(&str, &str)]) -> super::Loaded {
    from(file, &environment(pairs)).unwrap()
}

fn from(text: &str, sources: &Sources) -> Result<super::Loaded, String> {
    load_text(Some(Path::new("steth.yaml")), text, sources).map_err(|error| error.to_string())
}

#[test]
fn nothing_at_all_is_the_default() {
    assert_eq!(from("", &Sources::default()).unwrap().config, Config::default());
    assert_eq!(
        from("capture:\notlp: {}\n", &Sources::default()).unwrap().config,
        Config::default()
    );
}

#[test]
fn mistakes_are_told_with_place_and_remedy() {
    let mistakes = [
        "capture:\n  teir: 2\n",
        "captur:\n  tier: 2\n",
        "capture:\n  tier: 4\n",
        "capture: 3\n",
        "metrics:\n  interval: 10\n",
        "metrics:\n  interval: 1ms\n",
        "metrics: {series_total: -5}\n",
        "metrics:\n  series_total: 99999999999999999999999\n",
        "filter:\n  include:\n    ports: 8080\n",
        "filter:\n  include:\n    ports: [80, 70000]\n",
        "filter:\n  exclude:\n    paths: [/a, [b]]\n",
        "routes:\n  patterns:\n    - /ok\n    - users/{id}\n",
        "services:\n  - name: shop\n    match: {exe: nginx}\n",
        "services:\n  - match: {command: x}\n",
        "services:\n  - name: shop\n    match: {}\n",
        "otlp:\n  endpoint: grpc://collector:4317\n",
        "otlp:\n  protocol: http/json\n",
        "otlp:\n  client_key: /k.pem\n",
        "prometheus:\n  listen: 9464\n",
        "log:\n  level: verbose\n",
        "a: [1\nb: 2\n",
        "agent: {service_name: \"\"}\n",
    ];
    let told: Vec<String> =
        mistakes.iter().map(|text| from(text, &Sources::default()).expect_err(text)).collect();
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn mistakes_outside_the_file_name_their_variable_or_flag() {
    let told = |sources: &Sources| from("", sources).unwrap_err();
    let flag = Setting { path: "metrics.interval", flag: "--interval", text: "soon".to_owned() };
    let flags = Sources { flags: vec![flag], ..Sources::default() };
    let told = [
        told(&environment(&[("STETH_CAPTURE_TIER", "9")])),
        told(&environment(&[("STETH_LIMITS_CONNECTIONS", "many")])),
        told(&environment(&[("STETH_SERVICES", "[{name: x, match: {exe: y}}]")])),
        told(&flags),
    ];
    insta::assert_snapshot!(told.join("\n\n"));
    let unknown = from("", &environment(&[("STETH_CAPTUR_TIER", "1")])).unwrap_err();
    assert!(unknown.contains("did you mean `STETH_CAPTURE_TIER`"), "{unknown}");
}

#[test]
fn stronger_sources_win() {
    let text = "otlp:\n  endpoint: http://file:1\nlog: {level: error}\n";
    let mut sources = environment(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel:2")]);
    let endpoint =
        |sources: &Sources| from(text, sources).unwrap().config.otlp.endpoint.unwrap().to_string();
    assert_eq!(endpoint(&Sources::default()), "http://file:1/");
    assert_eq!(endpoint(&sources), "http://otel:2/");
    sources.environment.push(("STETH_OTLP_ENDPOINT".to_owned(), "http://steth:3".to_owned()));
    assert_eq!(endpoint(&sources), "http://steth:3/");
    sources.flags.push(Setting {
        path: "otlp.endpoint",
        flag: "--otlp-endpoint",
        text: "http://flag:4".to_owned(),
    });
    assert_eq!(endpoint(&sources), "http://flag:4/");
}

#[test]
fn the_file_is_checked_even_where_something_stronger_hides_it() {
    let sources = environment(&[("STETH_CAPTURE_TIER", "1")]);
    assert!(from("capture: {tier: nine}\n", &sources).is_err());
}

#[test]
fn standard_variables_mean_what_the_specification_says() {
    let sources = environment(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc,x-tenant=7"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "LowMemory"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod,team=a%20b"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "9999"),
        ("OTEL_LOG_LEVEL", ""),
    ]);
    let loaded = from("", &sources).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let Config { otlp, metrics, agent, prometheus, log, .. } = loaded.config;
    assert_eq!(otlp.protocol, Some(Protocol::HttpProtobuf));
    assert_eq!(otlp.headers["authorization"].reveal(), "Bearer abc");
    assert_eq!(otlp.headers["x-tenant"].reveal(), "7");
    assert_eq!(otlp.timeout.to_string(), "1500ms");
    assert_eq!(otlp.compression, Compression::None);
    assert_eq!(otlp.temporality, Temporality::LowMemory);
    assert_eq!(otlp.histogram, HistogramForm::Explicit);
    assert_eq!(metrics.interval.to_string(), "5s");
    assert_eq!(agent.attributes["team"], "a b");
    assert_eq!(prometheus.listen.to_string(), "127.0.0.1:9999");
    assert_eq!(log.level, LogLevel::Info);
}

#[test]
fn standard_variables_that_make_no_sense_are_passed_over_with_a_warning() {
    let sources = environment(&[
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
    ]);
    let loaded = from("", &sources).unwrap();
    assert!(loaded.config.otlp.endpoint.is_some());
    assert_eq!(loaded.config.otlp.timeout, Config::default().otlp.timeout);
    insta::assert_snapshot!(loaded.warnings.join("\n"));
}

#[test]
fn lists_fit_in_one_variable() {
    let sources = environment(&[
        ("STETH_FILTER_INCLUDE_PORTS", "80, 8080"),
        ("STETH_FILTER_EXCLUDE_EXECUTABLES", "[a, \"b,c\"]"),
        ("STETH_SERVICES", "[{name: shop, match: {executable: java}}]"),
        ("STETH_LOG", "debug"),
        ("STETH_OBSERVE_SELF", "true"),
        ("STETH_CAPTURE_TIER", "3"),
    ]);
    let config = from("", &sources).unwrap().config;
    assert_eq!(config.filter.include.ports, [80, 8080]);
    assert_eq!(config.filter.exclude.executables[1].as_str(), "b,c");
    assert_eq!(config.services[0].name, "shop");
    assert!(config.services[0].matches.executable.is_some());
    assert_eq!(config.log.level, LogLevel::Debug);
    assert!(config.observe.itself);
    assert_eq!(config.capture.tier, Tier::Syscalls);
}

#[test]
fn what_kubernetes_sets_for_a_service_of_our_name_is_not_ours() {
    let sources = environment(&[
        ("STETH_SERVICE_HOST", "10.0.0.1"),
        ("STETH_SERVICE_PORT", "9464"),
        ("STETH_SERVICE_PORT_HTTP", "9464"),
        ("STETH_PORT", "tcp://10.0.0.1:9464"),
        ("STETH_PORT_9464_TCP_ADDR", "10.0.0.1"),
    ]);
    assert_eq!(from("", &sources).unwrap().config, Config::default());
}

#[test]
fn what_is_shown_says_where_it_came_from_reads_back_and_hides_secrets() {
    let text = "otlp:\n  endpoint: http://c:4318\n  headers:\n    authorization: Bearer abc\nlog:\n  level: \"off\"\n";
    let sources = environment(&[("STETH_METRICS_INTERVAL", "30s"), ("STETH_CAPTURE_TIER", "3")]);
    let loaded = from(text, &sources).unwrap();
    let shown = show::show(&loaded);
    assert!(!shown.contains("abc"), "{shown}");
    let again = from(&shown, &Sources::default()).unwrap().config;
    assert_eq!(again.metrics, loaded.config.metrics);
    assert_eq!(again.capture, loaded.config.capture);
    assert_eq!(again.log, loaded.config.log);
    insta::assert_snapshot!(shown);
}

#[test]
fn the_example_file_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/steth.yaml");
    super::validate(&path).map_err(|error| error.to_string()).unwrap();
}

#[test]
fn hostile_files_are_refused_in_bounded_time_and_memory() {
    let deep = "[".repeat(100_000);
    let deep_keys: String = (0..2_000).map(|depth| " ".repeat(depth) + "a:\n").collect();
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let inner = format!("*a{}, ", n - 1).repeat(10);
        let line = format!("a{n}: &a{n} [{inner}]\n");
        bomb.push_str(&line);
    }
    for text in [deep, deep_keys, bomb] {
        assert!(from(&text, &Sources::default()).is_err());
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(?s).{0,200}", yamlish in "[a-z:\\[\\]{}&*!|>'\"#,? \\n-]{0,80}") {
        let _ = from(&text, &Sources::default());
        let _ = from(&yamlish, &Sources::default());
        let _ = from("", &environment(&[("STETH_SERVICES", &text), ("STETH_OTLP_HEADERS", &yamlish)]));
    }
}
