//! `/proc/stat` and `/proc/loadavg`, parsed.

/// Nanoseconds of a tick of `USER_HZ`.
const TICK: u64 = 10_000_000;
/// Processors that are believed.
const MOST: usize = 8192;

/// Names of soft interrupts, in the order of their columns; the same since Linux 4.
pub(super) const SOFTIRQS: [&str; 10] =
    ["hi", "timer", "net_tx", "net_rx", "block", "irq_poll", "tasklet", "sched", "hrtimer", "rcu"];

/// What a processor can do, as the conventions call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    User,
    Nice,
    System,
    Idle,
    Iowait,
    Interrupt,
    Steal,
}

impl Mode {
    pub(super) fn named(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Nice => "nice",
            Self::System => "system",
            Self::Idle => "idle",
            Self::Iowait => "iowait",
            Self::Interrupt => "interrupt",
            Self::Steal => "steal",
        }
    }
}

/// Ticks of one processor. Guests' time is part of `user` and `nice` already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) user: u64,
    pub(super) nice: u64,
    pub(super) system: u64,
    pub(super) idle: u64,
    pub(super) iowait: u64,
    pub(super) irq: u64,
    pub(super) softirq: u64,
    pub(super) steal: u64,
}

impl Times {
    /// In nanoseconds.
    pub(super) fn by_mode(&self) -> [(Mode, u64); 7] {
        let Self { user, nice, system, idle, iowait, irq, softirq, steal } = *self;
        [
            (Mode::User, user),
            (Mode::Nice, nice),
            (Mode::System, system),
            (Mode::Idle, idle),
            (Mode::Iowait, iowait),
            (Mode::Interrupt, irq.saturating_add(softirq)),
            (Mode::Steal, steal),
        ]
        .map(|(mode, ticks)| (mode, ticks.saturating_mul(TICK)))
    }
}

/// What `/proc/stat` tells. A line that is absent or makes no sense is a `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stat {
    /// Processors that are online, by their number.
    pub(super) cpus: Vec<(u32, Times)>,
    pub(super) irqs: Option<u64>,
    pub(super) switches: Option<u64>,
    pub(super) forks: Option<u64>,
    pub(super) running: Option<u64>,
    pub(super) blocked: Option<u64>,
    /// By kind; none if the kernel has other kinds than we know.
    pub(super) softirqs: Vec<u64>,
}

impl Stat {
    pub(super) fn parse(content: &[u8]) -> Self {
        let mut stat = Self::default();
        for line in content.split(|b| *b == b'\n') {
            let mut fields = line.split(|b| *b == b' ').filter(|field| !field.is_empty());
            let Some(name) = fields.next() else { continue };
            let mut first = || fields.next().and_then(number);
            match name {
                b"intr" => stat.irqs = first(),
                b"ctxt" => stat.switches = first(),
                b"processes" => stat.forks = first(),
                b"procs_running" => stat.running = first(),
                b"procs_blocked" => stat.blocked = first(),
                b"softirq" => {
                    let kinds: Option<Vec<u64>> = fields.skip(1).take(64).map(number).collect();
                    stat.softirqs =
                        kinds.filter(|kinds| kinds.len() == SOFTIRQS.len()).unwrap_or_default();
                }
                _ => {
                    let cpu = name.strip_prefix(b"cpu").and_then(number);
                    let Some(cpu) = cpu.and_then(|cpu| u32::try_from(cpu).ok()) else { continue };
                    let Some(times) = times(fields) else { continue };
                    if stat.cpus.len() < MOST && stat.cpus.iter().all(|(known, _)| *known != cpu) {
                        stat.cpus.push((cpu, times));
                    }
                }
            }
        }
        stat
    }

    /// Nanoseconds in hard and in soft interrupts, of all processors.
    pub(super) fn interrupts(&self) -> [u64; 2] {
        let sum = |of: fn(&Times) -> u64| {
            let ticks = self.cpus.iter().map(|(_, times)| of(times));
            ticks.fold(0u64, u64::saturating_add).saturating_mul(TICK)
        };
        [sum(|times| times.irq), sum(|times| times.softirq)]
    }
}

/// Older kernels have fewer columns; four there must be.
fn times<'a>(mut fields: impl Iterator<Item = &'a [u8]>) -> Option<Times> {
    let mut next = || fields.next().map(number);
    let mut times = Times {
        user: next()??,
        nice: next()??,
        system: next()??,
        idle: next()??,
        ..Times::default()
    };
    for column in [&mut times.iowait, &mut times.irq, &mut times.softirq, &mut times.steal] {
        *column = next().unwrap_or(Some(0))?;
    }
    Some(times)
}

/// The averages of one, five and fifteen minutes.
pub(super) fn loads(content: &[u8]) -> Option<[f64; 3]> {
    let mut fields = std::str::from_utf8(content).ok()?.split_ascii_whitespace();
    let mut next = || -> Option<f64> {
        let load: f64 = fields.next()?.parse().ok()?;
        (load.is_finite() && load >= 0.0).then_some(load)
    };
    Some([next()?, next()?, next()?])
}

/// A whole number and nothing else.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_line_by_line_and_what_makes_no_sense_is_left_out() {
        let check = |text: &str, expect: Stat| assert_eq!(Stat::parse(text.as_bytes()), expect);
        let times =
            Times { user: 1, nice: 2, system: 3, idle: 4, iowait: 5, irq: 6, softirq: 7, steal: 8 };
        check(
            "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu7 1 2 3 4\nintr 77 0 1 2\nctxt 5\n\
             btime 1\nprocesses 6\nprocs_running 2\nprocs_blocked 0\nsoftirq 55 1 2 3 4 5 6 7 8 9 10\n",
            Stat {
                cpus: vec![
                    (0, times),
                    (7, Times { iowait: 0, irq: 0, softirq: 0, steal: 0, ..times }),
                ],
                irqs: Some(77),
                switches: Some(5),
                forks: Some(6),
                running: Some(2),
                blocked: Some(0),
                softirqs: (1..=10).collect(),
            },
        );
        check("", Stat::default());
        check("cpu0 1 2 3\ncpux 1 2 3 4\ncpu99999999999 1 2 3 4", Stat::default());
        check("cpu0 1 2 3 -4\ncpu1 1 2 3 4 x", Stat::default());
        check("ctxt\nintr x\nsoftirq 1 2\n\0\u{fffd} 1", Stat::default());
        let twice = Stat::parse(b"cpu0 1 2 3 4\ncpu0 5 6 7 8");
        assert_eq!(twice.cpus.len(), 1);
        let huge = Times { user: u64::MAX, ..Times::default() };
        assert_eq!(huge.by_mode()[0], (Mode::User, u64::MAX));
    }

    #[test]
    fn averages_are_three_numbers() {
        let check = |text: &str, expect| assert_eq!(loads(text.as_bytes()), expect, "{text}");
        check("0.52 1.00 12.75 2/345 6789", Some([0.52, 1.0, 12.75]));
        check("0.52 1.00", None);
        check("NaN 1 1", None);
        check("-1 1 1", None);
        check("inf 1 1", None);
        check("", None);
    }
}
