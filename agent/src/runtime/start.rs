//! Starts the agent and ends it in order: kernel side, pipeline, server, exporter, live view.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;

use super::live::{self, feed, model};
use super::log::{self, Ring, Sink};
use super::own::Own;
use super::bell;
use super::turnstile::{Ask, Moment, Outlets, Pace, Turnstile};
use super::views::Asked;
use super::{assemble, clock, probes};
use crate::cli::Flags;
use crate::config::{self, Loaded, Sources};
use crate::entity::Registry;
use crate::export::{self, Export, Exporter};
use crate::health::server::{Limits, Server};
use crate::host::{HostRoot, Machine, Processes};
use crate::kernel;
use crate::metric::key;
use crate::metric::snapshot::{Resource, Value};
use crate::pipeline::Pipeline;

/// Between two looks of the live view.
const SHOW: Duration = Duration::from_secs(1);
/// For the last push at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// The environment, as far as it is text.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The configuration of this process.
pub fn configuration(flags: &Flags) -> Result<Loaded, config::ConfigError> {
    let file = flags.config.clone();
    config::load(&Sources { file, environment: environment(), flags: flags.settings() })
}

/// Runs until it is told to stop.
pub fn agent(flags: &Flags, loaded: &Loaded) -> anyhow::Result<()> {
    let shows = flags.live || (!flags.no_live && std::io::stdout().is_terminal());
    let ring = Ring::default();
    let sink = if shows { Sink::Ring(ring.clone()) } else { Sink::Stderr };
    log::start(&loaded.config.log, sink).context("the log cannot be started")?;

    let variables: BTreeMap<String, String> = environment().into_iter().collect();
    let exports = assemble::export(loaded, &variables)?;
    for warning in loaded.warnings.iter().chain(&exports.warnings) {
        tracing::warn!("{warning}");
    }
    let mut options = assemble::kernel(&loaded.config, &exports);
    options.empty = flags.empty_programs;
    let mut kernel = kernel::load(crate::KERNEL_OBJECT, &options).map_err(probes::explain)?;
    if loaded.config.capture.statistics {
        kernel.count_cost().context("BPF run-time statistics cannot be turned on")?;
    }
    probes::log(&kernel);

    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("steth-io")
        .enable_all()
        .build()
        .context("no threads for input and output")?;
    let outcome = threads.block_on(serve(kernel, loaded, exports, shows, ring));
    threads.shutdown_timeout(FAREWELL);
    outcome
}

async fn serve(
    kernel: kernel::Kernel,
    loaded: &Loaded,
    exports: export::config::Config,
    shows: bool,
    ring: Ring,
) -> anyhow::Result<()> {
    let config = &loaded.config;
    let root = HostRoot::new(&config.host.root);
    let machine = Machine::read(&root);
    let host = machine.name.clone();
    let registry = Registry::new(
        assemble::entities(config, &exports.resource_attributes),
        machine,
        Box::new(Processes::new(root)),
    );
    let pipeline = Pipeline::new(assemble::pipeline(config)?, registry, &clock::anchor());

    let handle = exports.metrics.as_ref().map(Exporter::spawn).transpose().context("OTLP")?;
    let handle = handle.map(Arc::new);
    let (stop, stopped) = watch::channel(false);
    let (ringer, bell) = bell::hang()?;
    let mut tasks = Vec::new();
    if config.prometheus.enabled && exports.prometheus {
        let server = Server::bind(config.prometheus.listen.0, Limits::default()).await?;
        if let Some(address) = server.address() {
            tracing::info!("metrics at http://{address}/metrics");
        }
        let views = Arc::new(Asked { turnstile: ringer.clone() });
        tasks.push(tokio::spawn(server.run(views, stopped.clone())));
    }

    let resource = Resource {
        attributes: vec![
            (key::SERVICE_NAME, Value::Text(config.agent.service_name.as_str().into())),
            (key::SERVICE_VERSION, Value::Static(env!("CARGO_PKG_VERSION"))),
        ],
    };
    let tier = kernel.tier.number();
    let counted = handle.clone();
    let own = Own::new(
        &clock::anchor(),
        resource,
        probes::of(&kernel),
        loaded.warnings.clone(),
        Box::new(move || counted.as_ref().map(|handle| handle.counters())),
    );
    let (view, views) = watch::channel(Arc::new(model::View::default()));
    let mut showing = Showing::new(host, format!("tier {tier}"));
    let published = handle.clone();
    let outlets = Outlets {
        export: Box::new(move |moment| {
            if let Some(handle) = &published {
                handle.publish(Arc::clone(&moment.snapshot));
            }
        }),
        show: Box::new(move |moment| {
            view.send_replace(Arc::new(showing.view(moment)));
        }),
    };
    let pace = Pace { export: exports.interval, show: shows.then_some(SHOW) };
    let turnstile = Turnstile::new(kernel, pipeline, own, pace);
    // The pipeline has a thread of its own: nothing that waits for the network can hold it up.
    let pipeline = std::thread::Builder::new().name("steth-pipeline".to_owned()).spawn(move || turnstile.run(&bell, outlets))?;

    if shows {
        let shown = ring.clone();
        let screen = tokio::task::spawn_blocking(move || live::run(views, &shown));
        tokio::select! {
            ended = screen => ended.context("the live view ended badly")??,
            () = told_to_stop() => {}
        }
    } else {
        told_to_stop().await;
        tracing::info!("stopping");
    }
    stop.send_replace(true);
    ringer.ring(Ask::Stop);
    let outcome = tokio::task::spawn_blocking(move || pipeline.join()).await?;
    for task in tasks {
        task.await?;
    }
    if let Some(handle) = handle.and_then(Arc::into_inner) {
        handle.shutdown(FAREWELL).await;
    }
    if shows {
        ring.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    }
    match outcome {
        Ok(outcome) => outcome.context("the pipeline ended"),
        Err(_) => anyhow::bail!("the pipeline ended badly; its last words are above"),
    }
}

/// Until SIGINT or SIGTERM.
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::error!(%error, "signals cannot be waited for");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
    }
}

/// Moments to views.
struct Showing {
    feed: feed::Feed,
    host: String,
    capture: String,
    last: Option<(f64, f64)>,
}

impl Showing {
    fn new(host: String, capture: String) -> Self {
        let feed = feed::Feed::new(feed::Vocabulary {
            error: key::ERROR_TYPE,
            template: key::URL_TEMPLATE,
            active: Some(&crate::metric::instrument::HTTP_SERVER_ACTIVE_REQUESTS),
        });
        Self { feed, host, capture, last: None }
    }

    fn view(&mut self, moment: &Moment) -> model::View {
        let status = &moment.status;
        let (uptime, cpu) = (status.uptime_seconds, status.agent.cpu_seconds);
        let (before, spent) = self.last.replace((uptime, cpu)).unwrap_or((uptime - 1.0, cpu));
        let ring = status.queues.iter().find(|queue| queue.name == "ring");
        let header = model::Header {
            host: self.host.clone(),
            uptime: Duration::from_secs_f64(uptime.max(0.0)),
            capture: self.capture.clone(),
            seen: status.exchanges.seen,
            reported: status.exchanges.reported,
            lost: status.exchanges.lost,
            ring: ring.map_or(0.0, |ring| ring.size as f64 / ring.limit.max(1) as f64),
            cpu: ((cpu - spent) / (uptime - before).max(0.001)).max(0.0),
            rss: status.agent.rss_bytes,
        };
        self.feed.view(&moment.snapshot, header)
    }
}
