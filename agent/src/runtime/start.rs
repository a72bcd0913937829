//! Starts the agent and ends it in order: kernel side, pipeline, server, exporter, live view.

use std::hash::{BuildHasher, RandomState};
use std::io::IsTerminal;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;

use super::bell::Ringer;
use super::conntrack::Conntrack;
use super::live::{self, feed, meter, model};
use super::log::{self, Ring, Sink};
use super::own::{Fixed, Own};
use super::pods::{self, Sources};
use super::privilege::Privileges;
use super::pushes::Pushes;
use super::told::told;
use super::traces::{self, Traces};
use super::turnstile::{Ask, Moment, Outlets, Pace, Turnstile};
use super::urgent::Urgent;
use super::usage::{Caller, Collector};
use super::views::Asked;
use super::{bell, check, clock, confine};
use crate::config::cli::Cli;
use crate::config::keys::Why;
use crate::config::{Config, Loaded, stage};
use crate::entity::{self, EntityId, Registry};
use crate::event::Nanos;
use crate::export;
use crate::health::probe::{Probe as Row, State};
use crate::health::server::{self, Server};
use crate::host::{Anchor, Facts, HostRoot, Machine, Processes};
use crate::kernel::{self, Kernel};
use crate::metric::key;
use crate::metric::snapshot::{Resource, Value};
use crate::pipeline::{self, Pipeline};
use crate::trace;
use crate::trace::sampling::Threshold;
use crate::usage::book::Config as UsageLimits;
use crate::usage::{Families, NoTables, Tables};

/// Between two looks of the live view.
const SHOW: Duration = Duration::from_secs(1);
/// Spans that wait to be shown, where none are sent.
const SHOWN: usize = 4096;
/// For how long the rest of a trace is waited for at most, while somebody looks on.
const HOLD: Nanos = Nanos(2_000_000_000);
/// Batches of them that do.
const BATCHES: usize = 16;
/// Traces that failed, and as many slow ones, in the list of the live view.
const LISTED: usize = 20;
/// Looks at what is in flight in the time after which it is said to hang.
const LOOKS: u32 = 4;
/// For the last pushes at the end, all at once.
const FAREWELL: Duration = Duration::from_secs(5);

/// What is asked of the kernel side.
pub fn options(cli: &Cli, loaded: &Loaded, export: &export::config::Config) -> kernel::Options {
    let config = &loaded.config;
    let mut options = kernel::Options::from(config);
    options.families = Families::from(config);
    options.empty = cli.flags.empty_programs;
    if export.traces.is_some() {
        ask_for_spans(&mut options, config);
    }
    options.own = if config.observe.itself { 0 } else { std::process::id() };
    if config.host.root != std::path::Path::new("/") {
        options.btf = Some(config.host.root.join("sys/kernel/btf/vmlinux")).filter(|p| p.exists());
    }
    // A receiver on this host is not observed at the port it takes our exports at.
    let receivers = [
        export.metrics.as_ref().map(|metrics| &metrics.target),
        export.traces.as_ref().map(|traces| &traces.target),
    ];
    let ports = receivers.into_iter().flatten().filter_map(|target| target.endpoint.port_u16());
    for port in ports.filter(|_| !config.observe.receivers) {
        if options.ports_only {
            options.ports.retain(|watched| *watched != port);
        } else if !options.ports.contains(&port) {
            options.ports.push(port);
        }
    }
    options
}

/// Looks whether there is a host below its root: without its `/proc`, every service would be nameless.
pub fn find_host(config: &crate::config::Config) -> anyhow::Result<()> {
    let root = &config.host.root;
    if HostRoot::find(root).has_processes() {
        return Ok(());
    }
    anyhow::bail!(
        "there is no host at {root}: {} is no /proc of it. `host.root` (--root) names the directory that \
         the host's /proc and /sys are mounted under (/sys alone in a pod with hostPID); leave it out to \
         watch from the host itself",
        root.join("proc").display(),
        root = root.display()
    )
}

/// Loads the kernel side, or says what is in the way and how to get it out of there.
pub fn load(options: &kernel::Options) -> anyhow::Result<Kernel> {
    kernel::load(crate::KERNEL_OBJECT, options).map_err(|error| {
        let advice = Privileges::of_this_thread().map(Privileges::advice).unwrap_or_default();
        let advice = if advice.is_empty() { advice } else { format!("\n{}", advice.trim_end()) };
        anyhow::anyhow!("nothing can be watched: {}{advice}", told(&error))
    })
}

/// How much the stages hold at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Series.
    pub series: u64,
    /// Connections that are followed.
    pub connections: u64,
}

/// What spans need beside what is counted.
pub fn ask_for_spans(options: &mut kernel::Options, config: &Config) {
    options.stretches = true;
    options.why = kernel::Why {
        time: config.traces.why != Why::Off,
        arrivals: config.traces.why == Why::Exact,
    };
}

/// The host, called as the node is where only that tells it from the agent's pod.
pub fn machine(config: &Config, root: &HostRoot) -> Machine {
    let node = config.agent.attributes.get(key::K8S_NODE_NAME.0);
    Machine::read(root, node.map(String::as_str))
}

/// The stages as they are configured: the same live, recorded and replayed.
pub fn pipeline(
    config: &Config,
    machine: Machine,
    facts: Box<dyn Facts + Send>,
    anchor: &Anchor,
    trace: Option<trace::Config>,
) -> (Pipeline, Limits) {
    let registry = Registry::new(entity::Config::from(config), machine, facts);
    let paths = stage::Paths::from(config);
    let mut http1 = crate::protocol::http1::Limits::from(config);
    http1.lines = trace.as_ref().map(|trace| trace.wanted);
    let mut red = crate::red::Config::from(config);
    red.why = trace.is_some() && config.traces.why != Why::Off;
    let stages = pipeline::Config {
        http1,
        red,
        usage: config.into(),
        paths: pipeline::Paths::new(paths.include, paths.exclude),
        trace,
    };
    let (series, connections) = (stages.red.series_total, stages.http1.connections);
    let limits = Limits { series: series as u64, connections: connections as u64 };
    (Pipeline::new(stages, registry, anchor), limits)
}

/// Runs until it is told to stop.
pub fn agent(cli: &Cli, loaded: &Loaded) -> anyhow::Result<()> {
    let shows = cli.flags.wants_live(std::io::stdout().is_terminal());
    let ring = Ring::default();
    let sink = if shows { Sink::Ring(ring.clone()) } else { Sink::Stderr };
    log::start(&loaded.config.log, sink).context("the log cannot be started")?;

    let exports = loaded.export()?;
    for warning in loaded.warnings.iter().chain(&exports.warnings) {
        tracing::warn!("{warning}");
    }
    find_host(&loaded.config)?;
    let mut options = options(cli, loaded, &exports);
    if looks_on(&loaded.config, shows) {
        ask_for_spans(&mut options, &loaded.config);
    }
    let mut kernel = load(&options)?;
    if loaded.config.capture.statistics {
        kernel.count_cost().context(
            "BPF run-time statistics cannot be turned on (that needs CAP_SYS_ADMIN; leave out --stats \
             without it)",
        )?;
    }
    tracing::info!(tier = kernel.tier.number(), "watching");
    kernel.reports.iter().map(check::probe).for_each(|probe| warn_of(&probe));

    let listens = loaded.config.prometheus.enabled && exports.prometheus;
    let listener =
        listens.then(|| server::listen(loaded.config.prometheus.listen.0)).transpose()?;
    let terminal = if shows && !std::io::stdin().is_terminal() {
        confine::Terminal::Opened
    } else {
        confine::Terminal::Inherited
    };
    let confined = || confine::confine(&loaded.config.confine, terminal, &mut kernel);
    // The pipeline has a thread of its own: nothing that waits for the network can hold it up.
    let (confined, pipeline) =
        Urgent::start("steth-pipeline", confined).context("no thread for the pipeline")?;
    confined.iter().for_each(warn_of);
    let begun = Begun { kernel, confined, pipeline, listener };
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("steth-io")
        .enable_all()
        .build()
        .context("no threads for input and output")?;
    let outcome = threads.block_on(serve(begun, loaded, exports, shows, ring));
    // All that has to end has been waited for. What may be left is a look-up of a collector's name, which
    // nothing can cut short and nobody needs any more.
    threads.shutdown_background();
    outcome
}

fn warn_of(probe: &Row) {
    if let (State::Failed { why }, Some(lost)) = (&probe.state, probe.lost) {
        tracing::warn!(probe = probe.name, hook = probe.hook, why, "lost: {lost}");
    }
}

/// Who looks on sees traces whether or not they are sent to anybody.
fn looks_on(config: &Config, shows: bool) -> bool {
    shows && config.traces.enabled != Some(false)
}

fn conntrack(root: HostRoot, ringer: &Ringer<Ask>) -> anyhow::Result<Conntrack> {
    Conntrack::start(root, ringer.clone()).context("no thread for translated connections")
}

/// What was made while the agent had its privileges.
struct Begun {
    kernel: Kernel,
    /// What it has given up since.
    confined: Vec<Row>,
    pipeline: Urgent,
    listener: Option<server::Listener>,
}

async fn serve(
    begun: Begun,
    loaded: &Loaded,
    exports: export::config::Config,
    shows: bool,
    ring: Ring,
) -> anyhow::Result<()> {
    let Begun { mut kernel, confined, pipeline: urgent, listener } = begun;
    let config = &loaded.config;
    let root = HostRoot::find(&config.host.root);
    let machine = machine(config, &root);
    let host = machine.name.clone();
    let facts = Box::new(Processes::new(root.clone()));
    let untaken = exports.traces.as_ref().map(|traces| traces.queue);
    let untaken = untaken.or(looks_on(config, shows).then_some(SHOWN));
    let makes_spans = untaken.is_some();
    let trace = untaken.map(|untaken| config.trace(seed(), untaken));
    let trace = if exports.traces.is_some() { trace } else { trace.map(|t| looked_at(config, t)) };
    let (mut pipeline, limits) = pipeline(config, machine, facts, &clock::anchor(), trace);

    let instance = machine_instance(&host);
    let pushes = Pushes::start(&exports, &instance)?;
    let (stop, stopped) = watch::channel(false);
    let (ringer, bell) = bell::hang()?;
    let families = Families::from(config);
    let host_root = root.clone();
    let collector = collector(root, kernel.take_tables(), families, &ringer)?;
    let Sources { asked, mut tasks } = pods::start(config, &mut pipeline, &ringer, &stopped);
    if let Some(listener) = listener {
        let server = Server::on(listener, server::Limits::default())?;
        if let Some(address) = server.address() {
            tracing::info!("metrics at http://{address}/metrics");
        }
        let views = Arc::new(Asked {
            turnstile: ringer.clone(),
            collector: collector.clone(),
            own: Arc::new(own_resource(config, &instance)),
        });
        tasks.push(tokio::spawn(server.run(views, stopped.clone())));
    }

    let tier = kernel.tier.number();
    let fixed = Fixed {
        families,
        usage: UsageLimits::from(config),
        warnings: loaded.warnings.clone(),
        confined,
        series: limits.series,
        connections: limits.connections,
        exported: pushes.points(),
        spans: pushes.spans(),
    };
    let own = Own::new(&clock::anchor(), fixed);
    let (view, views) = watch::channel(Arc::new(model::View::default()));
    let (kept, seen) = mpsc::sync_channel(BATCHES);
    let mut showing = Showing::new(host, format!("tier {tier}"), seen);
    let batches = pushes.batches();
    let outlets = Outlets {
        export: pushes.moments(),
        show: Box::new(move |moment, pipeline| {
            view.send_replace(Arc::new(showing.view(moment, pipeline)));
        }),
        spans: Box::new(move |batch| {
            if shows {
                // What nobody looks at in time is not shown.
                let _ = kept.try_send(batch.clone());
            }
            batches(batch);
        }),
    };
    let pace = Pace {
        export: exports.interval,
        show: shows.then_some(SHOW),
        spans: if shows { Some(SHOW) } else { exports.traces.as_ref().map(|traces| traces.delay) },
        look: makes_spans.then(|| look(config)),
    };
    let turnstile = Turnstile::new(kernel, pipeline, own, pace);
    let conntrack = exports.traces.is_some().then(|| conntrack(host_root, &ringer)).transpose()?;
    let turnstile = turnstile.collecting(collector).tracking(conntrack).naming(asked);
    let pipeline = urgent.run(move || turnstile.run(&bell, outlets));

    let told = until_told(shows.then_some(views), &ring).await;
    stop.send_replace(true);
    ringer.ring(Ask::Stop);
    let outcome = tokio::task::spawn_blocking(move || pipeline.join()).await?;
    for task in tasks {
        task.await?;
    }
    pushes.shutdown(FAREWELL).await;
    if let Some(screen) = told? {
        // It ends with the pipeline that fed it, and gives the terminal back: one that takes nothing is left as it is.
        if let Ok(ended) = tokio::time::timeout(FAREWELL, screen).await {
            ended.context("the live view ended badly")??;
        }
    }
    if shows {
        ring.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    }
    match outcome {
        Ok(outcome) => outcome.context("the pipeline ended"),
        Err(_) => anyhow::bail!("the pipeline ended badly; its last words are above"),
    }
}

/// A live view that goes on until nobody feeds it any more.
type Screen = tokio::task::JoinHandle<Result<(), live::LiveError>>;

/// Shows `views` and waits until the agent is told to stop, by a key or a signal.
async fn until_told(
    views: Option<watch::Receiver<Arc<model::View>>>,
    ring: &Ring,
) -> anyhow::Result<Option<Screen>> {
    let Some(views) = views else {
        told_to_stop().await;
        tracing::info!("stopping");
        return Ok(None);
    };
    let lines = ring.clone();
    let mut screen = tokio::task::spawn_blocking(move || live::run(views, &lines));
    tokio::select! {
        ended = &mut screen => {
            ended.context("the live view ended badly")??;
            Ok(None)
        }
        () = told_to_stop() => Ok(Some(screen)),
    }
}

/// How often what is in flight is looked at, to say in time that it hangs.
pub(super) fn look(config: &Config) -> Duration {
    config.traces.hanging.duration() / LOOKS
}

/// Spans that somebody looks at and nobody else: all there is, as far as the budgets allow, and soon.
pub(super) fn looked_at(config: &Config, mut trace: trace::Config) -> trace::Config {
    if config.traces.sampler.is_none() && config.traces.ratio.is_none() {
        trace.sampler.threshold = Threshold::ALL;
    }
    trace.hold = trace.hold.min(HOLD);
    trace
}

/// Where the ids of this run's spans begin: the standard library's hash keys are random.
pub(super) fn seed() -> [u64; 4] {
    let random = RandomState::new();
    [0_u8, 1, 2, 3].map(|place| random.hash_one(place))
}

/// The thread that reads USE; none if nothing of it is wanted.
fn collector(
    root: HostRoot,
    tables: Option<kernel::UsageTables>,
    families: Families,
    turnstile: &Ringer<Ask>,
) -> anyhow::Result<Option<Caller>> {
    if families == Families::NONE {
        return Ok(None);
    }
    let tables: Box<dyn Tables + Send> = match tables {
        Some(tables) => Box::new(tables),
        None => Box::new(NoTables),
    };
    let collector = Collector::new(root, tables, families);
    Ok(Some(collector.start(turnstile.clone()).context("no thread for USE")?))
}

/// Until SIGINT or SIGTERM.
pub(super) async fn told_to_stop() {
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

/// Who the agent itself is, on the page it serves.
fn own_resource(config: &Config, instance: &str) -> Resource {
    let text = |text: &str| Value::Text(text.into());
    Resource {
        attributes: vec![
            (key::SERVICE_INSTANCE_ID, text(instance)),
            (key::SERVICE_NAME, text(&config.agent.service_name)),
            (key::SERVICE_VERSION, Value::Static(env!("CARGO_PKG_VERSION"))),
        ],
    }
}

/// One agent a host.
fn machine_instance(host: &str) -> String {
    if host.is_empty() { "localhost".to_owned() } else { host.to_owned() }
}

/// Moments to views.
struct Showing {
    feed: feed::Feed,
    meter: meter::Meter,
    host: String,
    capture: String,
    last: Option<(f64, f64)>,
    traces: Traces,
    kept: mpsc::Receiver<trace::Batch>,
}

impl Showing {
    fn new(host: String, capture: String, kept: mpsc::Receiver<trace::Batch>) -> Self {
        let (feed, meter) = (feed::Feed::default(), meter::Meter::default());
        Self { feed, meter, host, capture, last: None, traces: Traces::default(), kept }
    }

    fn view(&mut self, moment: &Moment, pipeline: &Pipeline) -> model::View {
        let status = &moment.status;
        let (uptime, cpu) = (status.uptime_seconds, status.agent.cpu_seconds);
        let (before, spent) = self.last.replace((uptime, cpu)).unwrap_or((uptime - 1.0, cpu));
        let elapsed = (uptime - before).max(0.001);
        let ring = status.queues.iter().find(|queue| queue.name == "ring");
        let header = model::Header {
            host: self.host.clone(),
            uptime: Duration::from_secs_f64(uptime.max(0.0)),
            capture: self.capture.clone(),
            seen: status.exchanges.seen,
            reported: status.exchanges.reported,
            lost: status.exchanges.lost,
            ring: ring.map_or(0.0, |ring| ring.size as f64 / ring.limit.max(1) as f64),
            cpu: ((cpu - spent) / elapsed).max(0.0),
            rss: status.agent.rss_bytes,
        };
        let rows = pipeline.red().rows();
        let mut open: Vec<(EntityId, u64)> = rows
            .iter()
            .map(|row| row.entity)
            .map(|entity| (entity, u64::try_from(pipeline.red().in_flight(entity)).unwrap_or(0)))
            .collect();
        open.dedup();
        let name = |entity| traces::service(&pipeline.resource(entity));
        let read = pipeline.book().read().map(|read| read.monotonic);
        let used = self.meter.look(&moment.snapshot, read);
        for batch in self.kept.try_iter() {
            self.traces.take(&batch);
        }
        let view =
            self.feed.view(rows, &open, name, used, Duration::from_secs_f64(elapsed), header);
        let (errors, slowest) = (self.traces.errors(LISTED), self.traces.slowest(LISTED));
        model::View { errors, slowest, ..view }
    }
}
