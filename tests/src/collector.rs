//! The real OpenTelemetry Collector: started by a test, and what it received, read back to the last
//! point from the file it writes. `cargo xtask test` builds it once into the user's cache.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::agent::free_port;
use crate::program::{Program, Scratch, command};
use crate::spans::{self, Span};

/// What it is made of.
const RECIPE: &str = include_str!("../collector/builder.yaml");
/// How long it may take until something is received.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running collector with both receivers.
pub struct Collector {
    program: Option<Program>,
    /// How often it was started: each time it writes another file, since the last one may be torn.
    starts: usize,
    service: String,
    address: IpAddr,
    grpc: u16,
    http: u16,
    scratch: Scratch,
}

/// Where it is: `STETH_OTELCOL`, else the user's cache. None if it was not built, which in CI is an error.
pub fn binary() -> anyhow::Result<Option<PathBuf>> {
    let path = std::env::var_os("STETH_OTELCOL").map_or_else(cached, |path| Some(path.into()));
    if let Some(path) = path.filter(|path| path.is_file()) {
        return Ok(Some(path));
    }
    if std::env::var_os("CI").is_some() {
        bail!("the Collector is missing: `cargo xtask test end-to-end` builds it");
    }
    eprintln!("left out: the Collector is missing; `cargo xtask test end-to-end` builds it");
    Ok(None)
}

fn cached() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
    let version = RECIPE.lines().find_map(|line| line.trim().strip_prefix("version: "))?;
    let place = cache.join(format!("steth/otelcol-{version}"));
    // One that was made of less would not know what it is asked for.
    let built_from = std::fs::read_to_string(place.join("builder.yaml")).unwrap_or_default();
    (built_from == RECIPE).then(|| place.join("otelcol"))
}

impl Collector {
    /// Starts one, known as the service `name`; none if it is not there and need not be.
    pub fn start(name: &str) -> anyhow::Result<Option<Self>> {
        Self::start_at(name, Ipv4Addr::LOCALHOST.into())
    }

    /// The same, listening at this address.
    pub fn start_at(name: &str, address: IpAddr) -> anyhow::Result<Option<Self>> {
        if binary()?.is_none() {
            return Ok(None);
        }
        let mut collector = Self {
            program: None,
            starts: 0,
            service: name.to_owned(),
            address,
            grpc: free_port()?,
            http: free_port()?,
            scratch: Scratch::new(name)?,
        };
        collector.come_back()?;
        Ok(Some(collector))
    }

    /// Starts it again at the same ports, with what it has received so far kept.
    pub fn come_back(&mut self) -> anyhow::Result<()> {
        self.starts += 1;
        let Self { address, grpc, http, scratch, .. } = &*self;
        let config = format!(
            "receivers:\n  otlp:\n    protocols:\n      grpc: {{endpoint: {address}:{grpc}}}\n      \
             http: {{endpoint: {address}:{http}}}\n\
             exporters:\n  file: {{path: {}, flush_interval: 50ms}}\n\
             service:\n  telemetry: {{metrics: {{level: none}}}}\n  pipelines:\n    \
             metrics: {{receivers: [otlp], exporters: [file]}}\n    \
             traces: {{receivers: [otlp], exporters: [file]}}\n",
            self.file(self.starts).display()
        );
        let config = scratch.file("collector.yaml", config)?;
        let mut command = command(binary()?.context("it was there")?, &self.service);
        command.arg("--config").arg(config);
        let program = Program::listening(command, SocketAddr::new(*address, *http))?;
        self.program = Some(program);
        Ok(())
    }

    /// Ends it at once.
    pub fn go_away(&mut self) {
        self.program = None;
    }

    /// URL of its gRPC receiver.
    pub fn grpc(&self) -> String {
        format!("http://{}:{}", self.address, self.grpc)
    }

    /// URL of its HTTP receiver.
    pub fn http(&self) -> String {
        format!("http://{}:{}", self.address, self.http)
    }

    fn file(&self, start: usize) -> PathBuf {
        self.scratch.path().join(format!("received-{start}.jsonl"))
    }

    /// Everything received by now, in the order it came.
    pub fn received(&self) -> anyhow::Result<Received> {
        let mut received = Received::default();
        for start in 1..=self.starts {
            received.read(&self.file(start))?;
        }
        Ok(received)
    }

    /// Every span received by now.
    pub fn spans(&self) -> anyhow::Result<Vec<Span>> {
        let mut spans = Vec::new();
        for start in 1..=self.starts {
            for request in requests(&self.file(start))? {
                spans.extend(spans::of(&request));
            }
        }
        Ok(spans)
    }

    /// Asks again until there are so many; gives what there is either way.
    pub fn spans_when(&self, wanted: impl Fn(&[Span]) -> bool) -> anyhow::Result<Vec<Span>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let spans = self.spans()?;
            if wanted(&spans) || Instant::now() > deadline {
                return Ok(spans);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Asks again until `wanted` says yes; gives the last answer either way.
    pub fn received_when(&self, wanted: impl Fn(&Received) -> bool) -> anyhow::Result<Received> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let received = self.received()?;
            if wanted(&received) || Instant::now() > deadline {
                return Ok(received);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// How the points of a metric are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    UpDownCounter,
    /// A level.
    Gauge,
    /// Buckets with bounds.
    Explicit,
    /// Base-2 exponential buckets.
    Exponential,
}

/// One point as it was received, with all it stood under.
#[derive(Clone, Debug)]
pub struct Point {
    /// Attributes of the resource.
    pub resource: BTreeMap<String, Value>,
    /// The resource's schema.
    pub schema: String,
    /// The metric.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// What it is.
    pub kind: Kind,
    /// Whether it counts from the last report; not for gauges.
    pub delta: bool,
    /// Its own attributes.
    pub attributes: BTreeMap<String, Value>,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// The same.
    pub time: u64,
    /// Its number if that is whole, or a distribution's count.
    pub count: u64,
    /// A distribution's buckets, the one for zeroes first if there is one.
    pub buckets: Vec<u64>,
    /// The bounds of explicit ones.
    pub bounds: Vec<f64>,
    /// The series has ended and this says so.
    pub ended: bool,
}

impl Point {
    /// An attribute of the resource that is text.
    pub fn of(&self, key: &str) -> &str {
        self.resource.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// What makes it a point of the same series as another.
    fn series(&self) -> String {
        format!("{:?} {:?}", self.resource, self.attributes)
    }
}

/// All points received.
#[derive(Clone, Debug, Default)]
pub struct Received(pub Vec<Point>);

impl Received {
    fn read(&mut self, file: &Path) -> anyhow::Result<()> {
        for request in requests(file)? {
            self.take(&request);
        }
        Ok(())
    }

    fn take(&mut self, request: &Value) {
        for resource in list(request, "resourceMetrics") {
            let of = attributes(resource.get("resource").unwrap_or(&Value::Null));
            for metric in list(resource, "scopeMetrics").flat_map(|scope| list(scope, "metrics")) {
                let shapes = ["sum", "gauge", "histogram", "exponentialHistogram"];
                let Some((shape, data)) =
                    shapes.iter().find_map(|shape| Some((*shape, metric.get(shape)?)))
                else {
                    continue;
                };
                let kind = match shape {
                    "gauge" => Kind::Gauge,
                    "histogram" => Kind::Explicit,
                    "exponentialHistogram" => Kind::Exponential,
                    _ if data.get("isMonotonic") == Some(&Value::Bool(true)) => Kind::Counter,
                    _ => Kind::UpDownCounter,
                };
                self.0.extend(list(data, "dataPoints").map(|point| Point {
                    resource: of.clone(),
                    schema: text(resource, "schemaUrl"),
                    name: text(metric, "name"),
                    unit: text(metric, "unit"),
                    kind,
                    delta: data.get("aggregationTemporality").and_then(Value::as_u64) == Some(1),
                    attributes: attributes(point),
                    start: whole(point.get("startTimeUnixNano")),
                    time: whole(point.get("timeUnixNano")),
                    count: whole(point.get("count").or_else(|| point.get("asInt"))),
                    buckets: buckets(point),
                    bounds: list(point, "explicitBounds").filter_map(Value::as_f64).collect(),
                    ended: point.get("flags").and_then(Value::as_u64).unwrap_or(0) & 1 == 1,
                }));
            }
        }
    }

    /// Those whose resource has the attribute `key` as `value`.
    #[must_use]
    pub fn from(&self, key: &str, value: &str) -> Self {
        Self(self.0.iter().filter(|point| point.of(key) == value).cloned().collect())
    }

    /// Those of a service's metric.
    pub fn of<'a>(&'a self, service: &'a str, name: &'a str) -> impl Iterator<Item = &'a Point> {
        self.0.iter().filter(move |point| {
            point.of("service.name") == service && point.name == name && !point.ended
        })
    }

    /// What they say in the end: deltas together, or the last of each cumulative series.
    pub fn total(&self, service: &str, name: &str) -> u64 {
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for point in self.of(service, name) {
            let count = last.entry(point.series()).or_default();
            *count = if point.delta { *count + point.count } else { point.count };
        }
        last.values().sum()
    }

    /// The points of each series of a service's metric, in the order they came.
    pub fn series(&self, service: &str, name: &str) -> Vec<Vec<Point>> {
        let mut all: BTreeMap<String, Vec<Point>> = BTreeMap::new();
        for point in self.of(service, name) {
            all.entry(point.series()).or_default().push(point.clone());
        }
        all.into_values().collect()
    }
}

fn requests(file: &Path) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    // The last line may be half written.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .map(|line| {
            serde_json::from_str(line).with_context(|| format!("the collector wrote {line:.200}"))
        })
        .collect()
}

pub(crate) fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice).iter()
}

pub(crate) fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// 64-bit whole numbers are texts in OTLP's JSON.
pub(crate) fn whole(value: Option<&Value>) -> u64 {
    match value {
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        Some(value) => value.as_u64().unwrap_or(0),
        None => 0,
    }
}

/// The attributes, each as what it is in its one-field wrapper; whole numbers as numbers.
pub(crate) fn attributes(of: &Value) -> BTreeMap<String, Value> {
    list(of, "attributes")
        .map(|attribute| {
            let wrapped = attribute.get("value").and_then(Value::as_object);
            let value = match wrapped.and_then(|wrapped| wrapped.iter().next()) {
                Some((kind, value)) if kind == "intValue" => Value::from(whole(Some(value))),
                Some((_, value)) => value.clone(),
                None => Value::Null,
            };
            (text(attribute, "key"), value)
        })
        .collect()
}

fn buckets(point: &Value) -> Vec<u64> {
    if point.get("scale").is_some() || point.get("positive").is_some() {
        let zero = whole(point.get("zeroCount"));
        let positive = point.get("positive").unwrap_or(&Value::Null);
        return std::iter::once(zero)
            .chain(list(positive, "bucketCounts").map(Some).map(whole))
            .collect();
    }
    list(point, "bucketCounts").map(Some).map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_deltas_and_takes_the_last_of_what_accumulates() {
        let line = |temporality: u8, count: u8| {
            format!(
                r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"service.name",
                "value":{{"stringValue":"s"}}}}]}},"scopeMetrics":[{{"metrics":[{{"name":"m",
                "sum":{{"aggregationTemporality":{temporality},"isMonotonic":true,
                "dataPoints":[{{"asInt":"{count}"}}]}}}}]}}]}}]}}"#
            )
        };
        let check = |temporality, counts: &[u8], expect| {
            let mut received = Received::default();
            for count in counts {
                received.take(&serde_json::from_str(&line(temporality, *count)).unwrap());
            }
            assert_eq!(received.total("s", "m"), expect, "{temporality} {counts:?}");
        };
        check(1, &[1, 2, 3], 6);
        check(2, &[1, 2, 3], 3);
        check(2, &[], 0);
    }
}
