//! What a kernel would never write, to every family: no text makes one panic, hang or grow.

use super::sheet::fake::Host;
use super::{Families, Family, NoTables, Sink, probes};
use crate::host::Anchor;

/// Files with what a kernel does write in them.
const FILES: &[(&str, &str)] = &[
    ("/proc/meminfo", "MemTotal: 24684084 kB\nMemAvailable: 24192804 kB\nHugePages_Total: 1\n"),
    ("/proc/vmstat", "pgfault 408700200\npgmajfault 173409\nallocstall_normal 3\n"),
    ("/proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1000 10 -2\n"),
    (
        "/proc/diskstats",
        " 8 0 sda 10 1 80 5 20 2 160 7 3 9 12 0 0 0 0 4 1\n 8 1 sda1 10 1 80 5 20 2 160 7 3 9 12\n",
    ),
    (
        "/proc/pressure/io",
        "some avg10=3.29 avg60=5.13 avg300=2.31 total=166661123\nfull avg10=3.14 total=80831497\n",
    ),
    (
        "/proc/net/softnet_stat",
        "07052979 00000000 00000010 0 0 0 0 0 0 0 00000000 00000000 00000001\n",
    ),
    ("/proc/1/net/dev", "h\nh\neth0: 1686255501 81357 0 0 0 0 0 0 5176090 51916 0 0 0 0 0 0\n"),
    (
        "/proc/1/net/snmp",
        "Tcp: MaxConn ActiveOpens CurrEstab\nTcp: -1 118926 3\nUdp: InErrors\nUdp: 4\n",
    ),
    ("/proc/1/net/netstat", "TcpExt: ListenOverflows TCPTimeouts\nTcpExt: 1 2\n"),
    ("/proc/1/net/snmp6", "Udp6InErrors 3\nUdp6RcvbufErrors 4\n"),
    ("/proc/1/net/sockstat", "sockets: used 13\nTCP: inuse 1 orphan 0 tw 0 alloc 1 mem 99\n"),
    ("/proc/1/net/stat/nf_conntrack", "entries insert_failed drop\n0000000c 00000001 fffffffe\n"),
    (
        "/proc/1/mountinfo",
        "1 1 0:1 / /c rw - cgroup2 cgroup2 rw\n2 1 0:2 / /m rw - cgroup cgroup rw,memory\n27 1 254:0 / / rw - ext4 /dev/vda rw\n",
    ),
    ("/proc/sys/fs/file-nr", "448 0 2466170\n"),
    ("/proc/sys/net/netfilter/nf_conntrack_count", "12\n"),
    ("/proc/sys/net/ipv4/ip_local_port_range", "32768 60999\n"),
    ("/sys/class/net/eth0/speed", "10000\n"),
    ("/c/a.service/cpu.stat", "user_usec 1\nsystem_usec 2\nnr_periods 3\nthrottled_usec 4\n"),
    ("/c/a.service/cpu.max", "50000 100000\n"),
    ("/c/a.service/io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n"),
    ("/c/a.service/pids.events", "max 2\n"),
    (
        "/m/a.service/memory.stat",
        "total_rss 1\ntotal_pgfault 5\nhierarchical_memory_limit 9223372036854771712\n",
    ),
    ("/m/a.service/memory.oom_control", "oom_kill 4\n"),
];

/// The same row of numbers each time.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (sides as u64).max(1)).unwrap()
    }

    /// A text with a few bytes changed, left out, doubled or cut off.
    fn spoil(&mut self, text: &str) -> Vec<u8> {
        const BYTES: &[u8] = b"0 9-\n:=./\\\0\xff(m";
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=self.throw(6) {
            let at = self.throw(bytes.len());
            match self.throw(5) {
                0 if !bytes.is_empty() => bytes[at] = BYTES[self.throw(BYTES.len())],
                1 => bytes.truncate(at),
                2 => bytes.insert(at, BYTES[self.throw(BYTES.len())]),
                3 => bytes.extend_from_within(at..),
                // A number that is too long for any.
                _ => drop(bytes.splice(at..at, *b"99999999999999999999")),
            }
        }
        bytes
    }
}

#[test]
fn no_text_makes_a_family_panic() {
    let host = Host::new(FILES);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..50 {
        let mut families = probes(Families::from_iter(Family::ALL));
        for _ in 0..3 {
            for (path, text) in FILES {
                std::fs::write(host.root().path(path), dice.spoil(text)).unwrap();
            }
            for family in &mut families {
                let mut sink = Sink::default();
                // A reason is as good as any answer.
                let _ = family.collect(&host.root(), &mut NoTables, &Anchor::default(), &mut sink);
                assert!(sink.samples().len() < 1000);
            }
        }
    }
}
