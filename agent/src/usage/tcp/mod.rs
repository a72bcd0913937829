//! TCP and UDP of the host's network namespace: what the protocols count, the states of connections,
//! and how many of the ports for outgoing connections are used.
//!
//! A host with very many connections is not asked for each of them in every round: the established and
//! the waiting are then told from counters, and used ports not at all. Other namespaces' counters are
//! told with the containers that have them; their connections are not listed.

pub(crate) mod counts;

use self::counts::{Before, Counts};
use super::sheet::{self, fixed};
use super::{Amount, Family, Labels, Owner, Probe, Reason, Sink, Tables};
use crate::host::netlink::{self, Socket};
use crate::host::{Anchor, HostRoot, Unread, keyed};
use crate::metric::instrument::tcp as of;
use crate::metric::key;

const LIMIT: usize = 64 * 1024;
/// Connections that are listed in a round; ten thousand take about three milliseconds.
const LISTED: u64 = 20_000;
/// States by the kernel's number; none is not a state of a connection, or has the name of another.
const STATES: [Option<&str>; 13] = [
    None,
    Some("established"),
    Some("syn_sent"),
    Some("syn_received"),
    Some("fin_wait_1"),
    Some("fin_wait_2"),
    Some("time_wait"),
    Some("closed"),
    Some("close_wait"),
    Some("last_ack"),
    Some("listen"),
    Some("closing"),
    None,
];
const ESTABLISHED: usize = 1;
const SYN_RECEIVED: usize = 3;
const TIME_WAIT: usize = 6;
const CLOSE_WAIT: usize = 8;
const LISTEN: usize = 10;
/// The state of a connection that is still only a request.
const NEW_SYN_RECEIVED: usize = 12;

/// Lists the sockets in these states.
type List = fn(u32, &mut dyn FnMut(Socket)) -> Result<(), Unread>;

/// Reads TCP.
#[derive(Debug)]
pub struct Tcp {
    counts: Counts,
    before: Before,
    states: [Option<Labels>; 13],
    empty: Labels,
    sockets: List,
    ours: fn(&HostRoot) -> bool,
}

impl Default for Tcp {
    fn default() -> Self {
        let states = STATES.map(|state| {
            let state = (key::NETWORK_CONNECTION_STATE, state?);
            Some(fixed(&[state, (key::NETWORK_TRANSPORT, "tcp")]))
        });
        Self {
            counts: Counts::of_host(),
            before: Before::default(),
            states,
            empty: fixed(&[]),
            sockets: |states, each| netlink::sockets(states, each),
            ours: netlink::ours,
        }
    }
}

impl Probe for Tcp {
    fn family(&self) -> Family {
        Family::Tcp
    }

    fn collect(
        &mut self,
        host: &HostRoot,
        _: &mut dyn Tables,
        _: &Anchor,
        into: &mut Sink,
    ) -> Result<(), Reason> {
        let read = |name| keyed::lines_of_net(host, name, LIMIT);
        let netstat = read("netstat").unwrap_or_else(|why| {
            into.lacks("timeouts and overflows", sheet::reason("/proc/net/netstat", why));
            Vec::new()
        });
        let snmp = read("snmp").map_err(|why| sheet::reason("/proc/net/snmp", why))?;
        let snmp6 = read("snmp6").unwrap_or_default();
        let files: [&[u8]; 3] = [&snmp, &netstat, &snmp6];
        self.counts.put(&Owner::Host, files, &mut self.before, into);
        self.connections(host, &snmp, into);
        Ok(())
    }
}

/// Connections by state, and the used ports of a range.
struct Tally {
    states: [u64; 13],
    range: Option<std::ops::RangeInclusive<u16>>,
    used: Vec<u64>,
}

impl Tally {
    fn new(range: Option<std::ops::RangeInclusive<u16>>) -> Self {
        Self { states: [0; 13], range, used: vec![0; 1024] }
    }

    fn take(&mut self, socket: Socket) {
        let state = match usize::from(socket.state) {
            NEW_SYN_RECEIVED => SYN_RECEIVED,
            state => state,
        };
        if let Some(count) = self.states.get_mut(state) {
            *count += 1;
        }
        // A port that is listened at is not one that was given to a connect.
        if state != LISTEN
            && self.range.as_ref().is_some_and(|range| range.contains(&socket.port))
            && let Some(word) = self.used.get_mut(usize::from(socket.port / 64))
        {
            *word |= 1 << (socket.port % 64);
        }
    }

    fn ports(&self) -> u64 {
        self.used.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

impl Tcp {
    fn connections(&self, host: &HostRoot, snmp: &[u8], into: &mut Sink) {
        const PART: &str = "connections by state";
        let range = range(host);
        if let Some(range) = &range {
            let ports = u64::from(range.end() - range.start()) + 1;
            let instrument = &of::STETH_SYSTEM_TCP_EPHEMERAL_PORT_LIMIT;
            into.put(&Owner::Host, instrument, &self.empty, Amount::now(ports));
        }
        if !(self.ours)(host) {
            let why = "the agent is not in the host's network namespace";
            into.lacks(PART, Reason::Disabled(why.into()));
            return;
        }
        let mut established = 0;
        keyed::paired(snmp, |section, key, value| {
            if (section, key) == ("Tcp", "CurrEstab") {
                established = value;
            }
        });
        let sockstat = keyed::lines_of_net(host, "sockstat", LIMIT).unwrap_or_default();
        let waiting = super::sockets::words(&sockstat)
            .find(|(section, key, _)| (*section, *key) == ("TCP", "tw"))
            .map_or(0, |(_, _, value)| value);
        let many = established.saturating_add(waiting) > LISTED;
        let listed = if many { !(1 << ESTABLISHED | 1 << TIME_WAIT) } else { u32::MAX };
        let mut tally = Tally::new(range.clone());
        if let Err(why) = (self.sockets)(listed, &mut |socket| tally.take(socket)) {
            into.lacks(PART, sheet::reason("sock_diag", why));
            return;
        }
        if many {
            // The kernel counts the half-closed among the established.
            tally.states[ESTABLISHED] = established.saturating_sub(tally.states[CLOSE_WAIT]);
            tally.states[TIME_WAIT] = waiting;
            let why = format!("more than {LISTED} connections: used ports are not counted");
            into.lacks("ephemeral ports", Reason::Disabled(why.into()));
        } else if range.is_some() {
            let instrument = &of::STETH_SYSTEM_TCP_EPHEMERAL_PORT_USAGE;
            into.put(&Owner::Host, instrument, &self.empty, Amount::now(tally.ports()));
        }
        for (labels, count) in self.states.iter().zip(tally.states) {
            let Some(labels) = labels else { continue };
            let instrument = &of::SYSTEM_NETWORK_CONNECTION_COUNT;
            into.put(&Owner::Host, instrument, labels, Amount::now(count));
        }
    }
}

/// The ports that connects are given.
fn range(host: &HostRoot) -> Option<std::ops::RangeInclusive<u16>> {
    let content = host.read("/proc/sys/net/ipv4/ip_local_port_range", 64).ok()?;
    let mut words = std::str::from_utf8(&content.bytes).ok()?.split_ascii_whitespace();
    let (low, high): (u16, u16) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (low <= high).then_some(low..=high)
}

#[cfg(test)]
mod tests {
    use super::super::sheet::fake::{HOSTILE, Host, has, told};
    use super::*;

    const SNMP: &str = "\
Tcp: RtoAlgorithm MaxConn ActiveOpens PassiveOpens EstabResets CurrEstab InSegs OutSegs RetransSegs
Tcp: 1 -1 11 12 13 30000 14 15 16
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors
Udp: 1 2 9 4 5 6 1
";

    fn host() -> Host {
        Host::new(&[
            ("/proc/1/net/snmp", SNMP),
            ("/proc/1/net/netstat", "TcpExt: ListenOverflows TCPTimeouts\nTcpExt: 7 8\n"),
            ("/proc/1/net/snmp6", "Udp6InDatagrams 3\nUdp6InErrors 2\nUdp6RcvbufErrors 2\n"),
            ("/proc/1/net/sockstat", "TCP: inuse 5 orphan 0 tw 400 alloc 9 mem 3\n"),
            ("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
        ])
    }

    fn probe() -> Tcp {
        let sockets = |states: u32, each: &mut dyn FnMut(Socket)| {
            for (state, port) in
                [(1, 40000), (1, 40000), (8, 40001), (10, 40002), (12, 80), (6, 40003), (255, 1)]
            {
                if states.checked_shr(state).is_some_and(|bits| bits & 1 == 1) {
                    each(Socket { state: u8::try_from(state).unwrap(), port });
                }
            }
            Ok(())
        };
        Tcp { sockets, ours: |_| true, ..Tcp::default() }
    }

    #[test]
    fn counters_are_told_as_the_namespace_has_them() {
        let (lines, outcome, _) = told(&mut probe(), &host().root());
        assert_eq!(outcome, Ok(()));
        has(
            &lines,
            &[
                "steth.system.tcp.segments{receive} 14",
                "steth.system.tcp.segments{transmit} 15",
                "steth.system.tcp.retransmits{} 16",
                "steth.system.tcp.connections{client} 11",
                "steth.system.tcp.connections{server} 12",
                "steth.system.tcp.connection.resets{} 13",
                "steth.system.tcp.listen.overflows{} 7",
                "steth.system.tcp.timeouts{} 8",
                "steth.system.udp.datagrams{transmit,ipv4} 4",
                "steth.system.udp.errors{ipv4,receive_buffer} 5",
                "steth.system.udp.errors{ipv4,other} 3",
                "steth.system.udp.errors{ipv6,receive_buffer} 2",
                "steth.system.udp.errors{ipv6,other} 0",
                "steth.system.tcp.ephemeral_port.limit{} =28232",
            ],
        );
    }

    #[test]
    fn connections_are_listed_while_they_are_few() {
        let host = host();
        let (lines, _, _) = told(&mut probe(), &host.root());
        has(
            &lines,
            &[
                "system.network.connection.count{established,tcp} =29999",
                "system.network.connection.count{time_wait,tcp} =400",
                "system.network.connection.count{close_wait,tcp} =1",
            ],
        );
        assert!(!lines.iter().any(|line| line.contains("port.usage")));
        host.write("/proc/1/net/snmp", &SNMP.replace("30000", "3"));
        let (lines, _, _) = told(&mut probe(), &host.root());
        has(
            &lines,
            &[
                "system.network.connection.count{established,tcp} =2",
                "system.network.connection.count{listen,tcp} =1",
                "system.network.connection.count{syn_received,tcp} =1",
                "system.network.connection.count{time_wait,tcp} =1",
                "steth.system.tcp.ephemeral_port.usage{} =3",
            ],
        );
    }

    #[test]
    fn hostile_text_is_nothing_and_another_namespace_a_reason() {
        for text in HOSTILE {
            let host = Host::new(&[
                ("/proc/1/net/snmp", text),
                ("/proc/1/net/netstat", text),
                ("/proc/1/net/snmp6", text),
                ("/proc/sys/net/ipv4/ip_local_port_range", text),
            ]);
            let (_, outcome, sink) = told(&mut Tcp::default(), &host.root());
            assert_eq!((outcome, sink.lacks.len()), (Ok(()), 1));
        }
        let (_, outcome, _) = told(&mut Tcp::default(), &Host::new(&[]).root());
        assert_eq!(outcome, Err(Reason::Disabled("/proc/net/snmp is not there".into())));
    }
}
