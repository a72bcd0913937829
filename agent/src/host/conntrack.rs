//! Connections whose addresses or ports are translated on the way, as the kernel's tracking of connections has
//! them: `nf_conntrack` below `/proc/PID/net`, one table a network namespace.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::{HostRoot, Unread};

/// Bytes of one table that are read.
const BYTES: usize = 8 << 20;
/// Translated connections that are kept.
const MOST: usize = 65_536;
/// Namespaces whose tables are read.
const SPACES: usize = 64;

/// What a client's socket says of a connection: its own port, and where it has connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dialled {
    /// The own port.
    pub port: u16,
    /// The address; IPv4 as v4-mapped.
    pub address: [u8; 16],
    /// The port there.
    pub to: u16,
}

/// What the server's socket says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The client's address as the server sees it.
    pub client: [u8; 16],
    /// The client's port as the server sees it.
    pub port: u16,
    /// The server's own address.
    pub address: [u8; 16],
    /// The server's own port.
    pub at: u16,
}

/// Translated TCP connections. None where two have been dialled alike: who is whose cannot be told.
#[derive(Clone, Debug, Default)]
pub struct Translations(HashMap<Dialled, Option<Taken>>);

impl Translations {
    /// How the server sees it, if it is translated and there is no other like it.
    pub fn get(&self, dialled: &Dialled) -> Option<Taken> {
        *self.0.get(dialled)?
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tables of the host's own namespace and of those of these processes. An error only if not even the first
    /// could be read.
    pub fn read(host: &HostRoot, pids: impl Iterator<Item = u32>) -> Result<Self, Unread> {
        let mut all = Self::default();
        all.take(&host.read("proc/1/net/nf_conntrack", BYTES)?.bytes);
        let space = |pid: u32| host.link(format!("proc/{pid}/ns/net")).ok();
        let mut seen: HashSet<_> = space(1).into_iter().collect();
        for pid in pids {
            // A process that is gone has taken its namespace along, or others have it.
            let Some(space) = space(pid).filter(|space| !seen.contains(space)) else { continue };
            if seen.len() >= SPACES {
                break;
            }
            seen.insert(space);
            if let Ok(table) = host.read(format!("proc/{pid}/net/nf_conntrack"), BYTES) {
                all.take(&table.bytes);
            }
        }
        Ok(all)
    }

    /// Takes the lines of a table. What makes no sense is left out.
    fn take(&mut self, table: &[u8]) {
        let lines = table.split_inclusive(|b| *b == b'\n').filter(|line| line.ends_with(b"\n"));
        for (dialled, taken) in lines.filter_map(line) {
            if self.0.len() >= MOST && !self.0.contains_key(&dialled) {
                continue;
            }
            let known = self.0.entry(dialled).or_insert(Some(taken));
            if *known != Some(taken) {
                *known = None;
            }
        }
    }
}

/// A TCP connection whose two directions are not each other's mirror image.
fn line(line: &[u8]) -> Option<(Dialled, Taken)> {
    let text = str::from_utf8(line).ok()?;
    let mut words = text.split_ascii_whitespace();
    if words.nth(2)? != "tcp" {
        return None;
    }
    let mut sides = [Side::default(); 2];
    for word in words {
        let Some((key, value)) = word.split_once('=') else { continue };
        let [asked, answered] = &mut sides;
        let side = if asked.is_whole() { &mut *answered } else { asked };
        match key {
            "src" => side.from = Some(address(value)?),
            "dst" => side.to = Some(address(value)?),
            "sport" => side.sport = Some(value.parse().ok()?),
            "dport" => side.dport = Some(value.parse().ok()?),
            _ => {}
        }
        if answered.is_whole() {
            break;
        }
    }
    let [asked, answered] = sides;
    let dialled = Dialled { port: asked.sport?, address: asked.to?, to: asked.dport? };
    let taken = Taken {
        client: answered.to?,
        port: answered.dport?,
        address: answered.from?,
        at: answered.sport?,
    };
    let mirrored = asked.from? == taken.client
        && dialled.port == taken.port
        && dialled.address == taken.address
        && dialled.to == taken.at;
    (!mirrored).then_some((dialled, taken))
}

/// One direction.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    from: Option<[u8; 16]>,
    to: Option<[u8; 16]>,
    sport: Option<u16>,
    dport: Option<u16>,
}

impl Side {
    fn is_whole(&self) -> bool {
        self.from.is_some() && self.to.is_some() && self.sport.is_some() && self.dport.is_some()
    }
}

fn address(text: &str) -> Option<[u8; 16]> {
    Some(match text.parse().ok()? {
        IpAddr::V4(four) => four.to_ipv6_mapped().octets(),
        IpAddr::V6(six) => six.octets(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "ipv4     2 tcp      6 431999 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=40000 \
        dport=80 src=10.0.0.2 dst=10.0.0.1 sport=80 dport=40000 [ASSURED] mark=0 zone=0 use=2\n";
    const PUBLISHED: &str = "ipv4     2 tcp      6 86 TIME_WAIT src=10.0.0.1 dst=10.0.0.9 sport=40000 \
        dport=8080 src=172.17.0.2 dst=10.0.0.1 sport=80 dport=40000 [ASSURED] mark=0 zone=0 use=2\n";
    const BOTH: &str = "ipv4 2 tcp 6 86 SYN_SENT src=10.0.0.1 dst=10.0.0.9 sport=40001 dport=8080 [UNREPLIED] \
        src=172.17.0.2 dst=172.17.0.1 sport=80 dport=1024 mark=0 use=2\n";
    const SIX: &str = "ipv6     10 tcp      6 9 CLOSE_WAIT src=fd00::1 dst=fd00::9 sport=40000 dport=8080 \
        packets=4 bytes=300 src=fd00::2 dst=fd00::1 sport=80 dport=40000 packets=3 bytes=200 use=1\n";

    fn read(text: &str) -> Translations {
        let mut all = Translations::default();
        all.take(text.as_bytes());
        all
    }

    fn dialled(address: &str, port: u16, to: u16) -> Dialled {
        Dialled { port, address: super::address(address).unwrap(), to }
    }

    fn taken(client: &str, port: u16, address: &str, at: u16) -> Taken {
        let of = |text| super::address(text).unwrap();
        Taken { client: of(client), port, address: of(address), at }
    }

    #[test]
    fn what_is_translated_is_told_as_both_ends_see_it() {
        let all = read(&[PLAIN, PUBLISHED, BOTH, SIX].concat());
        assert_eq!(all.len(), 3);
        let check = |dialled, taken| assert_eq!(all.get(&dialled), taken, "{dialled:?}");
        check(dialled("10.0.0.2", 40000, 80), None);
        check(dialled("10.0.0.9", 40000, 8080), Some(taken("10.0.0.1", 40000, "172.17.0.2", 80)));
        check(dialled("10.0.0.9", 40001, 8080), Some(taken("172.17.0.1", 1024, "172.17.0.2", 80)));
        check(dialled("fd00::9", 40000, 8080), Some(taken("fd00::1", 40000, "fd00::2", 80)));
    }

    #[test]
    fn two_that_were_dialled_alike_are_nobodys() {
        let other = PUBLISHED.replace("10.0.0.1", "10.0.0.3").replace("172.17.0.2", "172.17.0.4");
        let at = dialled("10.0.0.9", 40000, 8080);
        assert_eq!(read(&[PUBLISHED, &other].concat()).get(&at), None);
        assert_eq!(read(&[PUBLISHED, &other, PUBLISHED].concat()).get(&at), None);
        assert!(read(&[PUBLISHED, PUBLISHED].concat()).get(&at).is_some());
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        for text in [
            "",
            "\n",
            "ipv4 2 udp 17 src=1.1.1.1 dst=2.2.2.2 sport=1 dport=2 src=3.3.3.3 dst=1.1.1.1 sport=2 dport=1\n",
            "ipv4 2 tcp 6 src=1.1.1.1 dst=2.2.2.2 sport=1 dport=2\n",
            "ipv4 2 tcp 6 src=x dst=2.2.2.2 sport=1 dport=2 src=3.3.3.3 dst=1.1.1.1 sport=2 dport=1\n",
            "ipv4 2 tcp 6 src=1.1.1.1 dst=2.2.2.2 sport=70000 dport=2 src=3.3.3.3 dst=1.1.1.1 sport=2 dport=1\n",
        ] {
            assert!(read(text).is_empty(), "{text}");
        }
        // The last line may have been cut.
        assert!(read(PUBLISHED.trim_end()).is_empty());
    }
}
