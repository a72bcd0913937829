//! Variables to configurations, case by case.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Error, Overrides, config};
use crate::export::config::{
    Aggregation, ClientIdentity, Compression, Config, Protocol, Target, Temporality,
};

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The variables named without `OTEL_EXPORTER_OTLP_` where they begin with `:`.
fn read(pairs: &[(&str, &str)]) -> Result<Config, Error> {
    let long: BTreeMap<String, String> = variables(pairs)
        .into_iter()
        .map(|(key, value)| match key.strip_prefix(':') {
            Some(short) => (format!("OTEL_EXPORTER_OTLP_{short}"), value),
            None => (key, value),
        })
        .collect();
    config(&long, &Overrides::default(), &Overrides::default())
}

fn metrics(pairs: &[(&str, &str)]) -> Target {
    read(pairs).unwrap().metrics.unwrap().target
}

#[test]
fn nothing_is_pushed_without_an_address_and_prometheus_is_on() {
    let config = read(&[]).unwrap();
    assert_eq!((config.metrics, config.traces, config.prometheus), (None, None, true));
    assert_eq!(config.interval, Duration::from_mins(1));
    assert!(config.warnings.is_empty());
}

#[test]
fn defaults_are_those_of_the_specification() {
    let target = metrics(&[("OTEL_METRICS_EXPORTER", "otlp")]);
    assert_eq!(target.endpoint, "http://localhost:4318/v1/metrics");
    assert_eq!(target.protocol, Protocol::HttpProtobuf);
    assert_eq!(target.timeout, Duration::from_secs(10));
    assert_eq!(target.compression, Compression::None);
    assert_eq!(target.headers, []);
    let target = metrics(&[("OTEL_METRICS_EXPORTER", "otlp"), (":PROTOCOL", "grpc")]);
    assert_eq!(target.endpoint, "http://localhost:4317");
    let config = read(&[(":ENDPOINT", "http://h")]).unwrap().metrics.unwrap();
    assert_eq!(config.temporality, Temporality::Cumulative);
    assert_eq!(config.histograms, Aggregation::Exponential);
    assert_eq!(config.max_age, Duration::from_mins(5));
}

#[test]
fn a_base_address_gets_the_path_of_the_signal_and_a_signal_address_none() {
    let check = |pairs: &[(&str, &str)], expect: Option<&str>, traces: Option<&str>| {
        let config = read(pairs).unwrap();
        let address = |target: Target| target.endpoint.to_string();
        let metrics = config.metrics.map(|metrics| address(metrics.target));
        assert_eq!(metrics.as_deref(), expect, "{pairs:?}");
        assert_eq!(
            config.traces.map(|traces| address(traces.target)).as_deref(),
            traces,
            "{pairs:?}"
        );
    };
    let both = |base: &str, metrics: &str, traces: &str| {
        check(&[(":ENDPOINT", base)], Some(metrics), Some(traces));
    };
    both("http://h:4318", "http://h:4318/v1/metrics", "http://h:4318/v1/traces");
    both("http://h:4318/", "http://h:4318/v1/metrics", "http://h:4318/v1/traces");
    both("https://h/a/b", "https://h/a/b/v1/metrics", "https://h/a/b/v1/traces");
    both("https://h/a/b/", "https://h/a/b/v1/metrics", "https://h/a/b/v1/traces");
    both("http://[::1]:4318", "http://[::1]:4318/v1/metrics", "http://[::1]:4318/v1/traces");
    check(&[(":METRICS_ENDPOINT", "http://m:1/x")], Some("http://m:1/x"), None);
    check(&[(":METRICS_ENDPOINT", "http://m:1")], Some("http://m:1/"), None);
    check(&[(":TRACES_ENDPOINT", "http://t:1/x")], None, Some("http://t:1/x"));
    check(
        &[(":METRICS_ENDPOINT", "http://m:1/x"), (":ENDPOINT", "http://h")],
        Some("http://m:1/x"),
        Some("http://h/v1/traces"),
    );
    check(&[(":ENDPOINT", "  "), (":METRICS_ENDPOINT", "")], None, None);
}

#[test]
fn grpc_takes_an_address_without_a_scheme_and_insecure_says_which_is_meant() {
    let check = |pairs: &[(&str, &str)], expect: &str| {
        let mut all = vec![(":PROTOCOL", "grpc")];
        all.extend(pairs);
        assert_eq!(metrics(&all).endpoint.to_string(), expect, "{pairs:?}");
    };
    check(&[(":ENDPOINT", "h:4317")], "https://h:4317/");
    check(&[(":ENDPOINT", "h:4317"), (":INSECURE", "true")], "http://h:4317/");
    check(&[(":ENDPOINT", "h:4317"), (":INSECURE", "TRUE")], "http://h:4317/");
    check(&[(":ENDPOINT", "h:4317"), (":METRICS_INSECURE", "true")], "http://h:4317/");
    check(
        &[(":ENDPOINT", "h:4317"), (":METRICS_INSECURE", "false"), (":INSECURE", "true")],
        "https://h:4317/",
    );
    check(&[(":ENDPOINT", "https://h:4317"), (":INSECURE", "true")], "https://h:4317/");
    check(&[(":ENDPOINT", "http://h:4317/ignored")], "http://h:4317/");
}

#[test]
fn the_variable_of_the_signal_wins_over_that_of_all() {
    let target = metrics(&[
        (":ENDPOINT", "http://h"),
        (":PROTOCOL", "grpc"),
        (":METRICS_PROTOCOL", "http/protobuf"),
        (":TIMEOUT", "1"),
        (":METRICS_TIMEOUT", "2500"),
        (":COMPRESSION", "gzip"),
        (":METRICS_COMPRESSION", "zstd"),
        (":CERTIFICATE", "/general"),
        (":METRICS_CERTIFICATE", "/own"),
        (":CLIENT_CERTIFICATE", "/chain"),
        (":CLIENT_KEY", "/general"),
        (":METRICS_CLIENT_KEY", "/key"),
    ]);
    assert_eq!(target.protocol, Protocol::HttpProtobuf);
    assert_eq!(target.timeout, Duration::from_millis(2500));
    assert_eq!(target.compression, Compression::Zstd);
    assert_eq!(target.tls.ca, Some("/own".into()));
    let identity = ClientIdentity { certificate: "/chain".into(), key: "/key".into() };
    assert_eq!(target.tls.client, Some(identity));
}

#[test]
fn headers_are_decoded_merged_and_hidden() {
    let target = metrics(&[
        (":ENDPOINT", "http://h"),
        (":HEADERS", "Api-Key=a%2Cb%20c, x=1 ,,y=%zz=2"),
        (":METRICS_HEADERS", "x=own"),
    ]);
    let texts: Vec<_> = target
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    assert_eq!(texts, ["api-key: a,b c", "x: own", "y: %zz=2"]);
    assert!(!format!("{target:?}").contains("a,b c"));
}

#[test]
fn exporters_are_chosen_by_name() {
    let check = |value, otlp, prometheus| {
        let config = read(&[("OTEL_METRICS_EXPORTER", value), (":ENDPOINT", "http://h")]).unwrap();
        assert_eq!((config.metrics.is_some(), config.prometheus), (otlp, prometheus), "{value}");
    };
    check("otlp", true, false);
    check("prometheus", false, true);
    check("otlp, prometheus", true, true);
    check("none", false, false);
    check("", true, true);
    let traces =
        |value| read(&[("OTEL_TRACES_EXPORTER", value), (":ENDPOINT", "http://h")]).unwrap().traces;
    assert!(traces("none").is_none());
    assert!(traces("otlp").is_some());
}

#[test]
fn a_disabled_sdk_exports_nothing() {
    let check = |value, off, warnings| {
        let config = read(&[("OTEL_SDK_DISABLED", value), (":ENDPOINT", "http://h")]).unwrap();
        let is_off = config.metrics.is_none() && config.traces.is_none() && !config.prometheus;
        assert_eq!((is_off, config.warnings.len()), (off, warnings), "{value}");
    };
    check("true", true, 1);
    check("True", true, 1);
    check("false", false, 0);
    check("1", false, 1);
}

#[test]
fn forms_intervals_and_attributes_are_read() {
    let config = read(&[
        (":ENDPOINT", "http://h"),
        (":METRICS_TEMPORALITY_PREFERENCE", "Delta"),
        (":METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "7000"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=a%20b,k=v"),
    ])
    .unwrap();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        config.resource_attributes,
        [pair("deployment.environment.name", "a b"), pair("k", "v")]
    );
    assert_eq!(config.interval, Duration::from_secs(5));
    let metrics = config.metrics.unwrap();
    assert_eq!(metrics.temporality, Temporality::Delta);
    assert_eq!(metrics.histograms, Aggregation::Explicit);
    assert_eq!(metrics.max_age, Duration::from_secs(7));
}

#[test]
fn overrides_win() {
    let overrides = Overrides {
        endpoint: Some("http://typed:1".to_owned()),
        protocol: Some(Protocol::Grpc),
        headers: variables(&[("x", "typed")]),
        timeout: Some(Duration::from_secs(1)),
        compression: Some(Compression::Gzip),
        certificate: Some("/typed".into()),
        client_certificate: None,
        client_key: None,
        interval: Some(Duration::from_secs(2)),
        temporality: Some(Temporality::LowMemory),
        histograms: Some(Aggregation::Explicit),
    };
    let environment = variables(&[
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://h/x"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x=1,y=2"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1"),
    ]);
    let config = config(&environment, &overrides, &overrides).unwrap();
    assert_eq!(config.interval, Duration::from_secs(2));
    let metrics = config.metrics.unwrap();
    assert_eq!(metrics.target.endpoint, "http://typed:1/");
    assert_eq!(metrics.target.protocol, Protocol::Grpc);
    assert_eq!(metrics.target.headers[0].1, "typed");
    assert_eq!(metrics.target.headers[1].1, "2");
    assert_eq!(metrics.temporality, Temporality::LowMemory);
    assert_eq!(metrics.histograms, Aggregation::Explicit);
}

#[test]
fn errors_name_the_variable_what_is_wrong_and_what_would_be_right() {
    let check = |pairs: &[(&str, &str)], expect: &str| {
        let mut all = vec![(":TRACES_ENDPOINT", "http://h:4318"), (":ENDPOINT", "http://h:4318")];
        all.extend(pairs);
        assert_eq!(read(&all).unwrap_err().to_string(), expect);
    };
    let http = "give an address such as http://collector:4318";
    let grpc = "give an address such as http://collector:4317, or collector:4317";
    let pairs = "give key=value pairs with commas between, values percent-encoded, \
                 such as api-key=abc,tenant=a%2Cb";
    check(
        &[(":METRICS_ENDPOINT", "collector:4318")],
        &format!("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `collector:4318` has no scheme; {http}"),
    );
    check(
        &[(":ENDPOINT", "ftp://h")],
        &format!("OTEL_EXPORTER_OTLP_ENDPOINT: the scheme `ftp` is not http(s); {http}"),
    );
    check(
        &[(":ENDPOINT", "http://a b")],
        &format!(
            "OTEL_EXPORTER_OTLP_ENDPOINT: it is not an address (invalid uri character); {http}"
        ),
    );
    check(
        &[(":ENDPOINT", "unix:///run/x"), (":PROTOCOL", "grpc")],
        &format!("OTEL_EXPORTER_OTLP_ENDPOINT: it is not an address (invalid format); {grpc}"),
    );
    check(
        &[(":ENDPOINT", "http://me:secret@h")],
        "OTEL_EXPORTER_OTLP_ENDPOINT: it holds a user or password; \
         put credentials into OTEL_EXPORTER_OTLP_HEADERS",
    );
    check(
        &[(":PROTOCOL", "http/json")],
        "OTEL_EXPORTER_OTLP_PROTOCOL: `http/json` is not known; use one of http/protobuf, grpc",
    );
    check(
        &[(":METRICS_COMPRESSION", "lz4")],
        "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION: `lz4` is not known; use one of gzip, zstd, none",
    );
    for value in ["10s", "0", "-5", "1.5", "99999999999999999999"] {
        check(
            &[(":TIMEOUT", value)],
            &format!(
                "OTEL_EXPORTER_OTLP_TIMEOUT: `{value}` is not a duration; \
                 give whole milliseconds of at least 1, such as 10000"
            ),
        );
    }
    check(
        &[(":HEADERS", "a=b,secret")],
        &format!("OTEL_EXPORTER_OTLP_HEADERS: entry 2 has no `=`; {pairs}"),
    );
    check(
        &[(":HEADERS", "=secret")],
        &format!("OTEL_EXPORTER_OTLP_HEADERS: entry 1 has no key; {pairs}"),
    );
    check(
        &[(":HEADERS", "a=%ff")],
        &format!("OTEL_EXPORTER_OTLP_HEADERS: the value of `a` is not UTF-8 once decoded; {pairs}"),
    );
    check(
        &[(":HEADERS", "a b=1")],
        "OTEL_EXPORTER_OTLP_HEADERS: `a b` cannot be the name of a header; \
         use letters, digits and hyphens",
    );
    check(
        &[(":HEADERS", "a=b%0Ac")],
        "OTEL_EXPORTER_OTLP_HEADERS: the value of `a` cannot be that of a header; \
         use printable ASCII, percent-encoded where a comma or a space stands",
    );
    check(
        &[(":CLIENT_KEY", "/key")],
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: it is not set, yet \
         OTEL_EXPORTER_OTLP_CLIENT_KEY is; set both or neither",
    );
    check(
        &[("OTEL_METRICS_EXPORTER", "otlp,console")],
        "OTEL_METRICS_EXPORTER: there is no exporter `console` here; \
         use otlp, prometheus, both with a comma, or none",
    );
    check(
        &[(":METRICS_TEMPORALITY_PREFERENCE", "monthly")],
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: `monthly` is not known; \
         use one of cumulative, delta, lowmemory",
    );
}

proptest::proptest! {
    #[test]
    fn no_value_of_any_variable_is_a_panic(
        values in proptest::collection::vec((0..8_usize, ".{0,40}"), 0..8),
    ) {
        let names = [
            ":ENDPOINT", ":METRICS_ENDPOINT", ":PROTOCOL", ":HEADERS", ":TIMEOUT", ":INSECURE",
            "OTEL_RESOURCE_ATTRIBUTES", "OTEL_METRICS_EXPORTER",
        ];
        let pairs: Vec<(&str, &str)> =
            values.iter().map(|(name, value)| (names[*name], value.as_str())).collect();
        if let Err(error) = read(&pairs) {
            assert!(error.variable.starts_with("OTEL_"), "{error}");
        }
        for grpc in ["http/protobuf", "grpc"] {
            let address = values.first().map_or("", |(_, value)| value);
            drop(read(&[(":ENDPOINT", address), (":PROTOCOL", grpc), (":HEADERS", address)]));
        }
    }
}

#[test]
fn a_port_of_the_other_protocol_is_warned_of() {
    let warnings = |pairs: &[(&str, &str)]| read(pairs).unwrap().warnings;
    assert_eq!(
        warnings(&[(":ENDPOINT", "http://h:4317")]),
        ["OTEL_EXPORTER_OTLP_ENDPOINT: port 4317 is that of grpc by convention; \
          set OTEL_EXPORTER_OTLP_PROTOCOL=grpc if the collector does not answer"]
    );
    assert_eq!(warnings(&[(":ENDPOINT", "http://h:4318"), (":PROTOCOL", "grpc")]).len(), 1);
    assert!(warnings(&[(":ENDPOINT", "http://h:4317"), (":PROTOCOL", "grpc")]).is_empty());
}
