//! Every instrument the agent has, by its conventional name: one file and one list a family.

mod bounds;
mod define;

pub mod conntrack;
pub mod container;
pub mod cpu;
pub mod disk;
pub mod events;
pub mod filesystem;
pub mod http;
pub mod locks;
pub mod memory;
pub mod network;
pub mod offcpu;
pub mod own;
pub mod pressure;
pub mod process;
pub mod request;
pub mod scheduler;
pub mod sockets;
pub mod tcp;

pub use bounds::Bounds;

use super::key::Key;

/// How an instrument adds up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Grows and shrinks.
    UpDownCounter,
    /// A reading.
    Gauge,
    /// A distribution; its bounds in the exported unit.
    Histogram(&'static Bounds),
}

/// What the integers inside are multiplied with to give the exported unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As they are.
    One,
    /// Nanoseconds inside, seconds outside.
    NanosToSeconds,
}

impl Scale {
    /// A value in the exported unit.
    #[inline]
    pub fn apply(self, value: u64) -> f64 {
        match self {
            Self::One => value as f64,
            Self::NanosToSeconds => value as f64 / 1e9,
        }
    }
}

/// One instrument, with what its line in the reference says.
#[derive(Debug, PartialEq)]
pub struct Instrument {
    /// Its name by convention.
    pub name: &'static str,
    /// Its unit, UCUM.
    pub unit: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// How it adds up.
    pub kind: Kind,
    /// From what is kept inside to the unit: whole numbers are scaled, fractions are in the unit.
    pub scale: Scale,
    /// The keys that its series may have.
    pub attributes: &'static [Key],
    /// Where its values come from.
    pub source: &'static str,
    /// The question that it answers.
    pub question: &'static str,
}

impl Instrument {
    /// One that nothing is told of, to be filled in.
    pub const BLANK: Self = Self {
        name: "",
        unit: "1",
        description: "",
        kind: Kind::Gauge,
        scale: Scale::One,
        attributes: &[],
        source: "",
        question: "",
    };

    /// Upper bounds of its explicit buckets, in the exported unit; none if it is no histogram.
    #[inline]
    pub fn bounds(&self) -> &'static Bounds {
        match self.kind {
            Kind::Histogram(bounds) => bounds,
            Kind::Counter | Kind::UpDownCounter | Kind::Gauge => &NO_BOUNDS,
        }
    }

    /// Whether it only makes sense for one process by itself (`process.*`, and the limit of
    /// its descriptors beside their number): its series stand on the
    /// process's resource, those of all others on the service instance's.
    pub fn is_of_process(&self) -> bool {
        self.name.starts_with("process.") || self.name.starts_with("steth.process.unix.")
    }
}

/// Bounds in seconds advised for HTTP, RPC, messaging and DNS durations.
pub static SECONDS: Bounds =
    Bounds::new(&[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]);
/// Bounds in seconds for what the kernel does: from a microsecond to ten seconds.
pub static FINE_SECONDS: Bounds = Bounds::new(&[
    0.000_001,
    0.000_002_5,
    0.000_005,
    0.000_01,
    0.000_025,
    0.000_05,
    0.000_1,
    0.000_25,
    0.000_5,
    0.001,
    0.002_5,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
]);
/// Bounds for sizes in bytes; the conventions advise none.
pub static BYTES: Bounds = Bounds::new(&[
    0.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
]);
static NO_BOUNDS: Bounds = Bounds::new(&[]);

/// A family in the reference.
#[derive(Debug)]
pub struct Sheet {
    /// Its name: the switch under `usage`, where there is one, and the scope `steth/NAME`.
    pub family: &'static str,
    /// What it costs, measured.
    pub cost: &'static str,
    /// Its instruments.
    pub instruments: &'static [&'static Instrument],
}

const fn sheet(
    family: &'static str,
    cost: &'static str,
    instruments: &'static [&'static Instrument],
) -> Sheet {
    Sheet { family, cost, instruments }
}

/// All families, in the order of the reference.
pub static FAMILIES: &[Sheet] = &[
    sheet(
        "http",
        "at most 0.75 us of kernel time and 0.6 us of agent time an exchange (see the benchmarks)",
        http::ALL,
    ),
    sheet(
        "request",
        "spans on and `traces.why: on`: 30 ns of agent time an exchange (`cargo xtask bench spans`); `exact`: a program on every segment that arrives as well",
        request::ALL,
    ),
    sheet("cpu", "two files a round, one more for each processor where heat is counted", cpu::ALL),
    sheet("memory", "three files a round, 0.35 ms in a build without optimisation", memory::ALL),
    sheet(
        "disk",
        "one file a round, and one for each device that counts errors; 0.1 ms in a build without optimisation",
        disk::ALL,
    ),
    sheet(
        "filesystem",
        "one file a round and a question for each file system; 0.3 ms in a build without optimisation",
        filesystem::ALL,
    ),
    sheet(
        "network",
        "two files a round, one for each interface, one question over netlink; 0.3 ms in a build without optimisation",
        network::ALL,
    ),
    sheet(
        "tcp",
        "four files a round and a walk of the kernel over its table of connections; 1.5 ms in a build without optimisation, of which the walk is most",
        tcp::ALL,
    ),
    sheet("sockets", "five files a round, 0.15 ms in a build without optimisation", sockets::ALL),
    sheet(
        "events",
        "a request to a block device about 170 ns, each state that a connection takes about 90 ns, a dropped packet as much, nothing on the way of data; two calls for each row and one walk over all TCP sockets a round",
        events::ALL,
    ),
    sheet(
        "process",
        "a round of 1,088 processes took 4.6 to 8.2 ms, with 256 of them told by themselves 7.9 to 9.8 ms",
        process::ALL,
    ),
    sheet(
        "container",
        "about 18 files for each group, of which the kernel needs 5 to 15 us each; a round of 200 containers took 40 ms in a build without optimisation, on a thread of its own",
        container::ALL,
    ),
    sheet(
        "scheduler",
        "a program on each switch: 17 ns beyond the 30 ns of an empty one, 5 % of a storm of nothing but switches; 440 bytes and 1.4 us for each new thread",
        scheduler::ALL,
    ),
    sheet(
        "offcpu",
        "10 ns more on each switch that waits, 20 ns more in a read or write of a descriptor",
        offcpu::ALL,
    ),
    sheet(
        "locks",
        "200 bytes more for each thread, 20 ns more after each wait for a futex; off by default",
        locks::ALL,
    ),
    sheet("pressure", "four files a round, 0.1 ms in a build without optimisation", pressure::ALL),
    sheet(
        "conntrack",
        "three files a round, 0.1 ms in a build without optimisation",
        conntrack::ALL,
    ),
    sheet("own", "nothing worth naming", own::ALL),
];

/// All instruments.
pub fn all() -> impl Iterator<Item = &'static Instrument> {
    FAMILIES.iter().flat_map(|sheet| sheet.instruments.iter().copied())
}
