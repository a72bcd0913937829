//! What [`crate::export`] is given: the keys, and the variables that no key stands for.

use std::collections::BTreeMap;

use crate::config::keys::{self, Otlp};
use crate::config::{Config, Loaded};
use crate::export;
use crate::export::config::{Aggregation, Compression, Protocol, Temporality};
use crate::export::env::{self, Overrides};

/// The port that OTLP/gRPC has by convention.
const GRPC_PORT: u16 = 4317;

impl Loaded {
    /// The export stage's configuration.
    pub fn export(&self) -> Result<export::config::Config, env::Error> {
        let Config { otlp, metrics, traces, agent, prometheus, .. } = &self.config;
        let mut variables = self.keyless.clone();
        // Addresses go as variables: an address for metrics alone is used as it is, another is not.
        let mut set = |name: &str, text: Option<String>| {
            variables.extend(text.map(|text| (name.to_owned(), text)));
        };
        let text = |endpoint: &Option<_>| endpoint.as_ref().map(ToString::to_string);
        set("OTEL_EXPORTER_OTLP_ENDPOINT", text(&otlp.endpoint));
        set("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", text(&otlp.metrics_endpoint));
        set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", text(&otlp.traces_endpoint));
        set("OTEL_EXPORTER_OTLP_INSECURE", Some(otlp.insecure.to_string()));
        let overrides = overrides(otlp, metrics);
        let for_traces = for_traces(&overrides, otlp, &variables);
        let mut config = env::config(&variables, &overrides, &for_traces)?;
        let wanted = |asked| traces.enabled.unwrap_or(asked);
        config.traces = config.traces.filter(|traces| wanted(traces.asked));
        config.resource_attributes =
            agent.attributes.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        config.prometheus &= prometheus.enabled;
        if otlp.disabled {
            config.metrics = None;
            config.traces = None;
        }
        Ok(config)
    }
}

/// What the keys say of the push of spans: a variable for spans alone is stronger.
fn for_traces(
    overrides: &Overrides,
    otlp: &Otlp,
    variables: &BTreeMap<String, String>,
) -> Overrides {
    let port = otlp.traces_endpoint.as_ref().or(otlp.endpoint.as_ref());
    let port = port.and_then(|endpoint| endpoint.uri().port_u16());
    let by_port = if port == Some(GRPC_PORT) { Protocol::Grpc } else { Protocol::HttpProtobuf };
    let protocol = if otlp.protocol.is_some() { overrides.protocol } else { Some(by_port) };
    let own = |setting: &str| {
        let name = format!("OTEL_EXPORTER_OTLP_TRACES_{setting}");
        variables.get(&name).is_some_and(|value| !value.trim().is_empty())
    };
    let Overrides { headers, timeout, compression, .. } = overrides.clone();
    let Overrides { certificate, client_certificate, client_key, .. } = overrides.clone();
    Overrides {
        protocol: protocol.filter(|_| !own("PROTOCOL")),
        headers: if own("HEADERS") { BTreeMap::new() } else { headers },
        timeout: timeout.filter(|_| !own("TIMEOUT")),
        compression: compression.filter(|_| !own("COMPRESSION")),
        certificate: certificate.filter(|_| !own("CERTIFICATE")),
        client_certificate: client_certificate.filter(|_| !own("CLIENT_CERTIFICATE")),
        client_key: client_key.filter(|_| !own("CLIENT_KEY")),
        ..Overrides::default()
    }
}

fn overrides(otlp: &Otlp, metrics: &keys::Metrics) -> Overrides {
    let Otlp {
        endpoint,
        metrics_endpoint,
        traces_endpoint: _,
        disabled: _,
        protocol,
        headers,
        compression,
        timeout,
        certificate,
        client_key,
        client_certificate,
        insecure: _,
        temporality,
        histogram,
    } = otlp;
    let port = metrics_endpoint.as_ref().or(endpoint.as_ref()).and_then(|e| e.uri().port_u16());
    let protocol = match protocol {
        Some(keys::Protocol::Grpc) => Protocol::Grpc,
        None if port == Some(GRPC_PORT) => Protocol::Grpc,
        Some(keys::Protocol::HttpProtobuf) | None => Protocol::HttpProtobuf,
    };
    let headers = headers.iter().map(|(key, value)| (key.clone(), value.reveal().to_owned()));
    Overrides {
        endpoint: None,
        protocol: Some(protocol),
        headers: headers.collect(),
        timeout: Some(timeout.duration()),
        compression: Some(match compression {
            keys::Compression::None => Compression::None,
            keys::Compression::Gzip => Compression::Gzip,
            keys::Compression::Zstd => Compression::Zstd,
        }),
        certificate: certificate.clone(),
        client_certificate: client_certificate.clone(),
        client_key: client_key.clone(),
        interval: Some(metrics.interval.duration()),
        temporality: Some(match temporality {
            keys::Temporality::Cumulative => Temporality::Cumulative,
            keys::Temporality::Delta => Temporality::Delta,
            keys::Temporality::LowMemory => Temporality::LowMemory,
        }),
        histograms: Some(match histogram {
            keys::HistogramForm::Exponential => Aggregation::Exponential,
            keys::HistogramForm::Explicit => Aggregation::Explicit,
        }),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::loaded;
    use crate::export::config::{Compression, Config, Protocol};

    fn export(file: &str, environment: &[(&str, &str)]) -> Config {
        loaded(file, environment).export().unwrap()
    }

    #[test]
    fn nothing_is_pushed_unless_there_is_an_address() {
        assert_eq!(export("", &[]).metrics, None);
        assert!(export("", &[]).prometheus);
        assert!(!export("prometheus: {enabled: false}\n", &[]).prometheus);
        let file = "otlp: {endpoint: 'http://c:4318'}\n";
        assert!(export(file, &[]).metrics.is_some());
        assert_eq!(export(file, &[("OTEL_SDK_DISABLED", "true")]).metrics, None);
        assert_eq!(export(file, &[("OTEL_METRICS_EXPORTER", "none")]).metrics, None);
        assert_eq!(export(file, &[("STETH_OTLP_DISABLED", "true")]).metrics, None);
    }

    #[test]
    fn spans_are_pushed_only_if_somebody_asks_for_them() {
        let check = |file: &str, environment: &[(&str, &str)], expect: Option<(&str, Protocol)>| {
            let traces = export(file, environment).traces.map(|traces| traces.target);
            let told = traces.map(|target| (target.endpoint.to_string(), target.protocol));
            let expect = expect.map(|(uri, protocol)| (uri.to_owned(), protocol));
            assert_eq!(told, expect, "{file} {environment:?}");
        };
        let http = Protocol::HttpProtobuf;
        let both = "otlp: {endpoint: 'http://c:4318'}\n";
        let on = Some(("http://c:4318/v1/traces", http));
        check(both, &[], None);
        check(both, &[("STETH_TRACES_ENABLED", "true")], on);
        check(both, &[("OTEL_TRACES_EXPORTER", "otlp")], on);
        check(both, &[("OTEL_TRACES_EXPORTER", "otlp"), ("STETH_TRACES_ENABLED", "false")], None);
        check(both, &[("OTEL_TRACES_EXPORTER", "none"), ("STETH_TRACES_ENABLED", "true")], None);
        let own = "otlp: {endpoint: 'http://c:4318', traces_endpoint: 'http://t:4317'}\n";
        check(own, &[], Some(("http://t:4317/", Protocol::Grpc)));
        let variables = [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:1/as/is"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "77"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "7"),
        ];
        check("", &variables, Some(("http://t:1/as/is", http)));
        let traces = export("otlp: {headers: {x: y}}\n", &variables).traces.unwrap();
        assert_eq!(traces.target.timeout.as_millis(), 77);
        assert_eq!(traces.target.headers.len(), 1);
        assert_eq!((traces.batch, traces.queue), (7, 16_384));
    }

    #[test]
    fn addresses_are_completed_as_the_specification_says() {
        let check = |file: &str, environment: &[(&str, &str)], uri: &str, protocol: Protocol| {
            let target = export(file, environment).metrics.unwrap().target;
            assert_eq!((target.endpoint.to_string().as_str(), target.protocol), (uri, protocol));
        };
        let general = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let own = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
        let http = Protocol::HttpProtobuf;
        let file = "otlp: {endpoint: 'http://file:4318'}\n";
        check(file, &[], "http://file:4318/v1/metrics", http);
        check(file, &[(general, "http://c:4318/x")], "http://c:4318/x/v1/metrics", http);
        check(file, &[(own, "http://m:1/as/is")], "http://m:1/as/is", http);
        check("", &[(general, "http://c:4317")], "http://c:4317/", Protocol::Grpc);
        let insecure = [(general, "c:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")];
        check("", &insecure, "http://c:4317/", Protocol::Grpc);
    }

    #[test]
    fn headers_and_compression_arrive() {
        let file = "otlp:\n  endpoint: http://c\n  compression: zstd\n  headers: {x-tenant: 7}\n";
        let target = export(file, &[]).metrics.unwrap().target;
        assert_eq!(target.compression, Compression::Zstd);
        assert_eq!(target.headers.len(), 1);
        assert_eq!(target.headers[0].0.as_str(), "x-tenant");
    }
}
