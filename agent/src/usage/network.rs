//! Network interfaces, the queues before them, and what the kernel does with what they receive.
//!
//! The host's ends of containers' links are left out: a packet on them is on another interface too, and
//! there may be thousands. The container's end is told with the container.

use std::collections::HashMap;

use super::sheet::{self, fixed, labels, text};
use super::wrap::Wide;
use super::{Amount, Family, Labels, Owner, Probe, Reason, Sink, Tables};
use crate::host::{Anchor, HostRoot, keyed, netlink};
use crate::metric::instrument::network as of;
use crate::metric::key;
use crate::metric::snapshot::Value;

const LIMIT: usize = 1 << 20;
/// Interfaces that are told.
const INTERFACES: usize = 128;
/// Processors whose counts are kept.
const CPUS: usize = 8192;
/// Bytes a second in the unit of the speed's file.
const MEGABIT: u64 = 125_000;

/// Counts of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
    pub(crate) errors: u64,
    pub(crate) dropped: u64,
    pub(crate) overruns: u64,
}

/// The lines of `net/dev`: interface, received, sent.
pub(crate) fn interfaces(content: &[u8]) -> impl Iterator<Item = (&str, [Counts; 2])> {
    keyed::lines(content).filter_map(|line| {
        // A name may hold a colon; a number does not.
        let (name, numbers) = line.rsplit_once(':')?;
        let name = name.trim();
        let mut numbers = numbers.split_ascii_whitespace().map(|word| word.parse::<u64>().ok());
        let mut next = || numbers.next().flatten();
        let mut one = || {
            let (bytes, packets, errors) = (next()?, next()?, next()?);
            let (dropped, overruns) = (next()?, next()?);
            let _rest = (next()?, next()?, next()?);
            Some(Counts { bytes, packets, errors, dropped, overruns })
        };
        let counts = [one()?, one()?];
        let is_name = !name.is_empty() && name.len() < 16 && !name.contains(['/', '\0']);
        is_name.then_some((name, counts))
    })
}

/// The host's end of a container's link, as the usual plug-ins name it.
fn is_link(name: &str) -> bool {
    ["veth", "cali", "lxc", "nodelocaldns", "tunl0"].iter().any(|prefix| name.starts_with(prefix))
}

/// The attributes of an interface, by direction, as `net/dev` has them: received, sent.
pub(crate) fn directions(key: key::Key, name: &str) -> [Labels; 2] {
    ["receive", "transmit"].map(|direction| {
        labels([(key::NETWORK_IO_DIRECTION, Value::Static(direction)), (key, text(name))])
    })
}

#[derive(Debug)]
struct Interface {
    by_direction: [Labels; 2],
    /// The conventions have another key for packets.
    packets: [Labels; 2],
    whole: Labels,
    link: Labels,
    index: Option<u64>,
    /// Bytes a second, as of so many changes of the link.
    speed: Option<u64>,
    changes: Option<u64>,
    queue: [Wide; 2],
    seen: u64,
}

impl Interface {
    fn of(host: &HostRoot, name: &str) -> Self {
        let whole = labels([(key::NETWORK_INTERFACE_NAME, text(name))]);
        let link = labels([(key::HW_ID, text(name)), (key::NETWORK_INTERFACE_NAME, text(name))]);
        Self {
            by_direction: directions(key::NETWORK_INTERFACE_NAME, name),
            packets: directions(key::SYSTEM_DEVICE, name),
            whole,
            link,
            index: number(host, name, "ifindex"),
            speed: None,
            changes: None,
            queue: Default::default(),
            seen: 0,
        }
    }

    fn put(&mut self, name: &str, counts: &[Counts; 2], host: &HostRoot, into: &mut Sink) {
        for ((labels, packets), counts) in self.by_direction.iter().zip(&self.packets).zip(counts) {
            let mut put = |instrument, labels, count| {
                into.put(&Owner::Host, instrument, labels, Amount::total(count));
            };
            put(&of::SYSTEM_NETWORK_IO, labels, counts.bytes);
            put(&of::SYSTEM_NETWORK_PACKET_COUNT, packets, counts.packets);
            put(&of::SYSTEM_NETWORK_PACKET_DROPPED, labels, counts.dropped);
            put(&of::SYSTEM_NETWORK_ERRORS, labels, counts.errors);
            put(&of::STETH_SYSTEM_NETWORK_OVERRUNS, labels, counts.overruns);
        }
        let changes = number(host, name, "carrier_changes");
        if let Some(changes) = changes {
            let instrument = &of::STETH_SYSTEM_NETWORK_CARRIER_CHANGES;
            into.put(&Owner::Host, instrument, &self.whole, Amount::total(changes));
        }
        // Some drivers ask the card, slowly: once for each time the link came.
        if self.seen == 0 || changes != self.changes {
            self.changes = changes;
            self.speed = number(host, name, "speed").and_then(|speed| speed.checked_mul(MEGABIT));
        }
        if let Some(speed) = self.speed {
            let instrument = &of::HW_NETWORK_BANDWIDTH_LIMIT;
            into.put(&Owner::Host, instrument, &self.link, Amount::now(speed));
        }
    }
}

/// What is negative, or not there, is none: an interface without a link has no speed.
fn number(host: &HostRoot, interface: &str, file: &str) -> Option<u64> {
    let content = host.read(format!("/sys/class/net/{interface}/{file}"), 64).ok()?;
    keyed::number(&content.bytes)
}

/// A processor's line of `softnet_stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Softnet {
    cpu: usize,
    packets: u64,
    drops: u64,
    squeezes: u64,
    flow_limit: u64,
}

impl Softnet {
    /// Columns were added over time; the processor's number is the thirteenth, since Linux 5.10.
    fn parse(content: &[u8]) -> impl Iterator<Item = Self> {
        keyed::lines(content).enumerate().filter_map(|(at, line)| {
            let mut columns = [None; 13];
            for (column, word) in columns.iter_mut().zip(line.split_ascii_whitespace()) {
                *column = u64::from_str_radix(word, 16).ok();
            }
            let [packets, drops, squeezes, .., flow_limit, _, cpu] = columns;
            Some(Self {
                cpu: cpu.and_then(|cpu| usize::try_from(cpu).ok()).unwrap_or(at),
                packets: packets?,
                drops: drops?,
                squeezes: squeezes?,
                flow_limit: flow_limit.unwrap_or(0),
            })
        })
    }
}

/// Reads interfaces.
#[derive(Debug)]
pub struct Network {
    round: u64,
    known: HashMap<String, Interface>,
    /// By processor: one that goes offline takes its line with it, not its counts.
    softnet: Vec<[Wide; 4]>,
    empty: Labels,
    drops: [Labels; 2],
}

impl Default for Network {
    fn default() -> Self {
        let drops = ["queue_full", "flow_limit"].map(|why| fixed(&[(key::STETH_REASON, why)]));
        let (known, softnet) = (HashMap::new(), Vec::new());
        Self { round: 0, known, softnet, empty: fixed(&[]), drops }
    }
}

impl Probe for Network {
    fn family(&self) -> Family {
        Family::Network
    }

    fn collect(
        &mut self,
        host: &HostRoot,
        _: &mut dyn Tables,
        _: &Anchor,
        into: &mut Sink,
    ) -> Result<(), Reason> {
        // Of all network namespaces.
        match keyed::lines_of(host, "/proc/net/softnet_stat", LIMIT) {
            Ok(content) => self.softnet(&content, into),
            Err(why) => into.lacks("softnet", sheet::reason("/proc/net/softnet_stat", why)),
        }
        let content = keyed::lines_of_net(host, "dev", LIMIT)
            .map_err(|why| sheet::reason("/proc/net/dev", why))?;
        self.round += 1;
        let mut left_out = 0;
        for (name, counts) in interfaces(&content).filter(|(name, _)| !is_link(name)) {
            if !self.known.contains_key(name) {
                if self.known.len() >= INTERFACES {
                    left_out += 1;
                    continue;
                }
                self.known.insert(name.to_owned(), Interface::of(host, name));
            }
            let Some(interface) = self.known.get_mut(name) else { continue };
            interface.put(name, &counts, host, into);
            interface.seen = self.round;
        }
        let round = self.round;
        self.known.retain(|_, interface| interface.seen == round);
        if left_out > 0 {
            let why = format!("{left_out} of them beyond the {INTERFACES} that are told");
            into.lacks("interfaces", Reason::Failed(why.into()));
        }
        self.queues(host, into);
        Ok(())
    }
}

impl Network {
    fn softnet(&mut self, content: &[u8], into: &mut Sink) {
        for line in Softnet::parse(content).filter(|line| line.cpu < CPUS) {
            if line.cpu >= self.softnet.len() {
                self.softnet.resize(line.cpu + 1, <[Wide; 4]>::default());
            }
            let Some(counts) = self.softnet.get_mut(line.cpu) else { continue };
            let now = [line.packets, line.drops, line.squeezes, line.flow_limit];
            for (count, now) in counts.iter_mut().zip(now) {
                count.take(now);
            }
        }
        let mut sums = [0u64; 4];
        for counts in &self.softnet {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum = sum.saturating_add(count.sum());
            }
        }
        let [packets, drops, squeezes, flow_limit] = sums;
        let [full, flow] = &self.drops;
        let mut put = |instrument, labels, sum| {
            into.put(&Owner::Host, instrument, labels, Amount::total(sum));
        };
        put(&of::STETH_SYSTEM_NETWORK_SOFTNET_PACKETS, &self.empty, packets);
        put(&of::STETH_SYSTEM_NETWORK_SOFTNET_SQUEEZES, &self.empty, squeezes);
        put(&of::STETH_SYSTEM_NETWORK_SOFTNET_DROPS, full, drops);
        put(&of::STETH_SYSTEM_NETWORK_SOFTNET_DROPS, flow, flow_limit);
    }

    fn queues(&mut self, host: &HostRoot, into: &mut Sink) {
        const PART: &str = "queues of interfaces";
        if !netlink::ours(host) {
            let why = "the agent is not in the host's network namespace";
            into.lacks(PART, Reason::Disabled(why.into()));
            return;
        }
        let mut queues = HashMap::new();
        if let Err(why) = netlink::queues(|queue| {
            if queues.len() < 4096 {
                queues.insert(u64::from(queue.interface), queue);
            }
        }) {
            into.lacks(PART, sheet::reason("rtnetlink", why));
            return;
        }
        for interface in self.known.values_mut() {
            let Some(queue) = interface.index.and_then(|index| queues.get(&index)) else {
                continue;
            };
            let mut put = |instrument, amount| {
                into.put(&Owner::Host, instrument, &interface.whole, amount);
            };
            let [drops, overlimits] = &mut interface.queue;
            put(&of::STETH_SYSTEM_NETWORK_QUEUE_USAGE, Amount::now(queue.packets.into()));
            put(&of::STETH_SYSTEM_NETWORK_QUEUE_BACKLOG, Amount::now(queue.bytes.into()));
            let drops = Amount::total(drops.take(queue.drops.into()));
            put(&of::STETH_SYSTEM_NETWORK_QUEUE_DROPS, drops);
            let overlimits = Amount::total(overlimits.take(queue.overlimits.into()));
            put(&of::STETH_SYSTEM_NETWORK_QUEUE_OVERLIMITS, overlimits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sheet::fake::{HOSTILE, Host, has, told};
    use super::*;

    const DEV: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 100 10 0 0 0 0 0 0 100 10 0 0 0 0 0 0
  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
eth0:1: 7 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
vethab: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
  bad1: 1 2 3
../../x: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
";

    #[test]
    fn interfaces_are_told_by_direction() {
        let host = Host::new(&[
            ("/proc/net/dev", "not this one"),
            ("/proc/1/net/dev", DEV),
            ("/sys/class/net/eth0/speed", "1000\n"),
            ("/sys/class/net/eth0/carrier_changes", "2\n"),
            ("/sys/class/net/lo/speed", "-1\n"),
        ]);
        let (lines, outcome, sink) = told(&mut Network::default(), &host.root());
        assert_eq!(outcome, Ok(()));
        has(
            &lines,
            &[
                "system.network.io{eth0,receive} 1",
                "system.network.io{eth0,transmit} 9",
                "system.network.packet.count{receive,eth0} 2",
                "system.network.errors{eth0,receive} 3",
                "system.network.packet.dropped{eth0,transmit} 12",
                "steth.system.network.overruns{eth0,transmit} 13",
                "system.network.io{eth0:1,receive} 7",
                "hw.network.bandwidth.limit{eth0,eth0} =125000000",
                "steth.system.network.carrier.changes{eth0} 2",
            ],
        );
        let left_out = ["veth", "bad1", "..", "limit{lo"];
        assert!(!lines.iter().any(|line| left_out.iter().any(|name| line.contains(name))));
        // No softnet, and a directory is no network namespace.
        assert_eq!(sink.lacks.len(), 2);
    }

    #[test]
    fn softnet_is_the_sum_of_processors_that_come_and_go() {
        let host = Host::new(&[("/proc/1/net/dev", "")]);
        let mut probe = Network::default();
        let mut check = |text: &str, expect: [&str; 3]| {
            host.write("/proc/net/softnet_stat", text);
            has(&told(&mut probe, &host.root()).0, &expect);
        };
        let told = |packets, squeezes: &'static str, drops| {
            let _: (&str, &str) = (packets, drops);
            [packets, squeezes, drops]
        };
        check(
            "ffffffff 00000001 00000010 0 0 0 0 0 0 0 00000002 00000000 00000000\n\
             00000005 00000001 00000010 0 0 0 0 0 0 0 00000002 00000000 00000003\n",
            told(
                "steth.system.network.softnet.packets{} 4294967300",
                "steth.system.network.softnet.squeezes{} 32",
                "steth.system.network.softnet.drops{flow_limit} 4",
            ),
        );
        // The first wraps; the other is offline.
        check(
            "00000001 00000001 00000011 0 0 0 0 0 0 0 00000002 00000000 00000000\n",
            told(
                "steth.system.network.softnet.packets{} 4294967302",
                "steth.system.network.softnet.squeezes{} 33",
                "steth.system.network.softnet.drops{queue_full} 2",
            ),
        );
    }

    #[test]
    fn hostile_text_is_nothing() {
        for text in HOSTILE {
            let host = Host::new(&[("/proc/1/net/dev", text), ("/proc/net/softnet_stat", text)]);
            assert_eq!(told(&mut Network::default(), &host.root()).1, Ok(()));
        }
        let (_, outcome, _) = told(&mut Network::default(), &Host::new(&[]).root());
        assert_eq!(outcome, Err(Reason::Disabled("/proc/net/dev is not there".into())));
    }
}
