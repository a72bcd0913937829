//! From what was typed to what each stage is built with: the one place where the configuration's
//! keys meet the stages.

use std::collections::BTreeMap;
use std::path::Path;

use crate::config::{self, Loaded, Origin, keys};
use crate::entity::{self, filter, glob::Glob};
use crate::event::Nanos;
use crate::export;
use crate::export::config::{Aggregation, Compression, Protocol, Temporality};
use crate::kernel;
use crate::pipeline;
use crate::protocol::http1;
use crate::red;
use crate::red::route::Pattern;

/// Why a configuration that reads well cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A route pattern.
    #[error("routes.patterns: `{text}`: {source}")]
    Pattern {
        /// The pattern.
        text: String,
        /// What is wrong with it.
        source: crate::red::route::PatternError,
    },
    /// A variable or key of the export.
    #[error(transparent)]
    Export(#[from] export::env::Error),
}

fn globs(texts: &[config::unit::Glob]) -> Vec<Glob> {
    texts.iter().map(|text| Glob::new(text.as_str())).collect()
}

/// The stages of the pipeline.
pub fn pipeline(config: &keys::Config) -> Result<pipeline::Config, Error> {
    let keys::Config { filter, routes, metrics, limits, .. } = config;
    let patterns = routes.patterns.iter().map(|pattern| {
        let text = pattern.as_str();
        Pattern::parse(text).map_err(|source| Error::Pattern { text: text.to_owned(), source })
    });
    Ok(pipeline::Config {
        http1: http1::Limits {
            connections: limits.connections.number() as usize,
            bytes: usize::try_from(limits.stream_bytes.bytes()).unwrap_or(usize::MAX),
            ..http1::Limits::default()
        },
        red: red::Config {
            series_per_service: metrics.series_per_service.number() as usize,
            series_total: metrics.series_total.number() as usize,
            routes_per_service: routes.per_service.number() as usize,
            routes_total: routes.total.number() as usize,
            routes: patterns.collect::<Result<_, _>>()?,
            guessed_as_template: routes.guessed == keys::Guessed::Template,
            ..red::Config::default()
        },
        paths: pipeline::Paths::new(globs(&filter.include.paths), globs(&filter.exclude.paths)),
    })
}

/// The registry of processes.
pub fn entities(config: &keys::Config, resource_attributes: &[(String, String)]) -> entity::Config {
    let patterns = |selection: &keys::Selection| filter::Patterns {
        executables: globs(&selection.executables),
        services: globs(&selection.services),
        cgroups: globs(&selection.cgroups),
    };
    let rules = config.services.iter().map(|rule| entity::Rule {
        executable: rule.matches.executable.as_ref().map(|g| Glob::new(g.as_str())),
        command: rule.matches.command.as_ref().map(|g| Glob::new(g.as_str())),
        cgroup: rule.matches.cgroup.as_ref().map(|g| Glob::new(g.as_str())),
        name: rule.name.clone(),
    });
    entity::Config {
        rules: rules.collect(),
        filter: entity::Filter {
            include: patterns(&config.filter.include),
            exclude: patterns(&config.filter.exclude),
        },
        attributes: resource_attributes
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join(","),
        process_grace: Nanos(10_000_000_000),
        ..entity::Config::default()
    }
}

/// The kernel side. Ports of receivers on this host are left out unless they are asked for.
pub fn kernel(config: &keys::Config, export: &export::config::Config) -> kernel::Options {
    let filter = &config.filter;
    let ports_only = !filter.include.ports.is_empty();
    let mut ports = if ports_only {
        let out = &filter.exclude.ports;
        filter.include.ports.iter().copied().filter(|port| !out.contains(port)).collect()
    } else {
        filter.exclude.ports.clone()
    };
    if !config.observe.receivers
        && let Some(port) = export.metrics.as_ref().and_then(|m| receiver_port(&m.target.endpoint))
    {
        if ports_only {
            ports.retain(|named| *named != port);
        } else {
            ports.push(port);
        }
    }
    kernel::Options {
        tier: match config.capture.tier {
            keys::Tier::Auto => kernel::TierChoice::Auto,
            keys::Tier::Sockets => kernel::TierChoice::Only(kernel::Tier::Sockets),
            keys::Tier::Functions => kernel::TierChoice::Only(kernel::Tier::Protocols),
            keys::Tier::Syscalls => kernel::TierChoice::Only(kernel::Tier::Calls),
        },
        own: if config.observe.itself { 0 } else { std::process::id() },
        unix: config.capture.unix,
        ports,
        ports_only,
        empty: false,
        btf: (config.host.root != Path::new("/"))
            .then(|| config.host.root.join("sys/kernel/btf/vmlinux")),
    }
}

/// The port of a collector that may run on this host.
fn receiver_port(endpoint: &hyper::Uri) -> Option<u16> {
    let default = if endpoint.scheme_str() == Some("https") { 443 } else { 80 };
    let port = endpoint.port_u16().unwrap_or(default);
    // The common web ports belong to too many others to be left out.
    (port != 80 && port != 443).then_some(port)
}

/// The exporters: variables as the specification says, under what file, `STETH_*` and flags say.
pub fn export(
    loaded: &Loaded,
    variables: &BTreeMap<String, String>,
) -> Result<export::config::Config, Error> {
    let keys::Config { otlp, metrics, .. } = &loaded.config;
    let said = |path: &str| match loaded.origin(path) {
        Some(Origin::Env(name)) => !name.starts_with("OTEL_"),
        Some(_) => true,
        None => false,
    };
    let overrides = export::env::Overrides {
        endpoint: otlp.endpoint.as_ref().filter(|_| said("otlp.endpoint")).map(ToString::to_string),
        protocol: otlp.protocol.filter(|_| said("otlp.protocol")).map(|protocol| match protocol {
            keys::Protocol::Grpc => Protocol::Grpc,
            keys::Protocol::HttpProtobuf => Protocol::HttpProtobuf,
        }),
        headers: if said("otlp.headers") {
            let plain = |(name, value): (&String, &config::unit::Secret)| {
                (name.clone(), value.reveal().to_owned())
            };
            otlp.headers.iter().map(plain).collect()
        } else {
            BTreeMap::new()
        },
        timeout: said("otlp.timeout").then(|| otlp.timeout.duration()),
        compression: said("otlp.compression").then_some(match otlp.compression {
            keys::Compression::None => Compression::None,
            keys::Compression::Gzip => Compression::Gzip,
            keys::Compression::Zstd => Compression::Zstd,
        }),
        certificate: otlp.certificate.clone().filter(|_| said("otlp.certificate")),
        client_certificate: otlp
            .client_certificate
            .clone()
            .filter(|_| said("otlp.client_certificate")),
        client_key: otlp.client_key.clone().filter(|_| said("otlp.client_key")),
        interval: Some(metrics.interval.duration()),
        temporality: said("otlp.temporality").then_some(match otlp.temporality {
            keys::Temporality::Cumulative => Temporality::Cumulative,
            keys::Temporality::Delta => Temporality::Delta,
            keys::Temporality::LowMemory => Temporality::LowMemory,
        }),
        histograms: said("otlp.histogram").then_some(match otlp.histogram {
            keys::HistogramForm::Exponential => Aggregation::Exponential,
            keys::HistogramForm::Explicit => Aggregation::Explicit,
        }),
    };
    Ok(export::env::config(variables, &overrides)?)
}
