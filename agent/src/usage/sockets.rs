//! Sockets by transport with the memory they hold, and the open files of the whole host.

use super::sheet::{self, fixed};
use super::{Amount, Family, Labels, Owner, Probe, Reason, Sink, Tables};
use crate::host::{Anchor, HostRoot, keyed};
use crate::metric::instrument::sockets as of;
use crate::metric::key;

const LIMIT: usize = 16 * 1024;
/// Transports as the files name them, with what a word of their lines is.
const STATES: [(&str, &str, &str); 6] = [
    ("TCP", "tcp", "in_use"),
    ("TCP", "tcp", "orphan"),
    ("TCP", "tcp", "time_wait"),
    ("UDP", "udp", "in_use"),
    ("UDPLITE", "udplite", "in_use"),
    ("RAW", "raw", "in_use"),
];

/// `TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 99`.
pub(crate) fn words(content: &[u8]) -> impl Iterator<Item = (&str, &str, u64)> {
    keyed::lines(content).flat_map(|line| {
        let (section, words) = line.split_once(':').unwrap_or(("", ""));
        let mut words = words.split_ascii_whitespace();
        std::iter::from_fn(move || Some((section, words.next()?, words.next()?)))
            .filter_map(|(section, key, value)| Some((section, key, value.parse().ok()?)))
    })
}

/// Reads sockets and files.
#[derive(Debug)]
pub struct Sockets {
    states: [Labels; 6],
    memory: [(&'static str, Labels, &'static str); 2],
    empty: Labels,
}

impl Default for Sockets {
    fn default() -> Self {
        let states = STATES.map(|(_, transport, state)| {
            fixed(&[(key::NETWORK_TRANSPORT, transport), (key::STETH_SOCKET_STATE, state)])
        });
        let of = |transport| fixed(&[(key::NETWORK_TRANSPORT, transport)]);
        let memory = [("TCP", of("tcp"), "tcp_mem"), ("UDP", of("udp"), "udp_mem")];
        Self { states, memory, empty: fixed(&[]) }
    }
}

impl Probe for Sockets {
    fn family(&self) -> Family {
        Family::Sockets
    }

    fn collect(
        &mut self,
        host: &HostRoot,
        _: &mut dyn Tables,
        _: &Anchor,
        into: &mut Sink,
    ) -> Result<(), Reason> {
        match host.read("/proc/sys/fs/file-nr", 256) {
            Ok(content) => {
                if let Some((used, limit)) = files(&content.bytes) {
                    let mut put = |instrument, value| {
                        into.put(&Owner::Host, instrument, &self.empty, Amount::now(value));
                    };
                    put(&of::STETH_SYSTEM_FILE_USAGE, used);
                    put(&of::STETH_SYSTEM_FILE_LIMIT, limit);
                }
            }
            Err(why) => into.lacks("open files", sheet::reason("/proc/sys/fs/file-nr", why)),
        }
        let four = keyed::lines_of_net(host, "sockstat", LIMIT)
            .map_err(|why| sheet::reason("/proc/net/sockstat", why))?;
        // A host may have no second version of the protocol.
        let six = keyed::lines_of_net(host, "sockstat6", LIMIT).unwrap_or_default();
        let mut sums = [None; 6];
        for (section, key, value) in words(&four).chain(words(&six)) {
            let section = section.strip_suffix('6').unwrap_or(section);
            let state = match key {
                "inuse" => "in_use",
                "tw" => "time_wait",
                other => other,
            };
            for (sum, (wanted, _, what)) in sums.iter_mut().zip(STATES) {
                if section == wanted && state == what {
                    *sum = Some(sum.unwrap_or(0u64).saturating_add(value));
                }
            }
        }
        for (sum, labels) in sums.iter().zip(&self.states) {
            if let Some(sum) = sum {
                let amount = Amount::now(*sum);
                into.put(&Owner::Host, &of::STETH_SYSTEM_SOCKET_USAGE, labels, amount);
            }
        }
        self.memory(host, &four, into);
        Ok(())
    }
}

impl Sockets {
    fn memory(&self, host: &HostRoot, sockstat: &[u8], into: &mut Sink) {
        for (section, labels, limits) in &self.memory {
            let pages = words(sockstat).find(|(s, key, _)| s == section && *key == "mem");
            let limit = host.read(format!("/proc/sys/net/ipv4/{limits}"), 256);
            let limit = limit.ok().and_then(|content| third(&content.bytes));
            let used = pages.map(|(_, _, pages)| pages);
            let both = [
                (&of::STETH_SYSTEM_SOCKET_MEMORY_USAGE, used),
                (&of::STETH_SYSTEM_SOCKET_MEMORY_LIMIT, limit),
            ];
            for (instrument, pages) in both {
                if let Some(bytes) =
                    pages.and_then(|pages| pages.checked_mul(rustix::param::page_size() as u64))
                {
                    into.put(&Owner::Host, instrument, labels, Amount::now(bytes));
                }
            }
        }
    }
}

/// Open and most, of `open  free  most`.
fn files(content: &[u8]) -> Option<(u64, u64)> {
    let mut words = std::str::from_utf8(content).ok()?.split_ascii_whitespace();
    let open: u64 = words.next()?.parse().ok()?;
    let free: u64 = words.next()?.parse().ok()?;
    Some((open.checked_sub(free)?, words.next()?.parse().ok()?))
}

/// The last of `low pressure high`.
fn third(content: &[u8]) -> Option<u64> {
    std::str::from_utf8(content).ok()?.split_ascii_whitespace().nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::sheet::fake::{HOSTILE, Host, told};
    use super::*;

    #[test]
    fn sockets_are_told_by_transport() {
        let host = Host::new(&[
            (
                "/proc/1/net/sockstat",
                "sockets: used 13\nTCP: inuse 1 orphan 2 tw 3 alloc 1 mem 9\nUDP: inuse 4 mem 0\n",
            ),
            ("/proc/1/net/sockstat6", "TCP6: inuse 10\nUDP6: inuse 20\n"),
            ("/proc/sys/net/ipv4/tcp_mem", "10 20 30\n"),
            ("/proc/sys/fs/file-nr", "448\t8\t2466170\n"),
        ]);
        let (lines, outcome, _) = told(&mut Sockets::default(), &host.root());
        assert_eq!(outcome, Ok(()));
        assert_eq!(
            lines,
            [
                "steth.system.file.limit{} =2466170",
                "steth.system.file.usage{} =440",
                "steth.system.socket.memory.limit{tcp} =122880",
                "steth.system.socket.memory.usage{tcp} =36864",
                "steth.system.socket.memory.usage{udp} =0",
                "steth.system.socket.usage{tcp,in_use} =11",
                "steth.system.socket.usage{tcp,orphan} =2",
                "steth.system.socket.usage{tcp,time_wait} =3",
                "steth.system.socket.usage{udp,in_use} =24",
            ]
        );
    }

    #[test]
    fn hostile_text_is_nothing() {
        for text in HOSTILE {
            let host = Host::new(&[
                ("/proc/1/net/sockstat", text),
                ("/proc/sys/net/ipv4/tcp_mem", text),
                ("/proc/sys/fs/file-nr", text),
            ]);
            assert_eq!(told(&mut Sockets::default(), &host.root()).1, Ok(()));
        }
        let (_, outcome, _) = told(&mut Sockets::default(), &Host::new(&[]).root());
        assert_eq!(outcome, Err(Reason::Disabled("/proc/net/sockstat is not there".into())));
    }
}
