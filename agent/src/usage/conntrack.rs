//! The table of tracked connections: how full it is, and what it could not take.

use super::sheet::{self, fixed};
use super::wrap::Wide;
use super::{Amount, Family, Labels, Owner, Probe, Reason, Sink, Tables};
use crate::host::{Anchor, HostRoot, Unread, keyed};
use crate::metric::instrument::Instrument;
use crate::metric::instrument::conntrack as of;
use crate::metric::key::STETH_REASON;

const PLACE: &str = "/proc/sys/net/netfilter";
const LIMIT: usize = 512 * 1024;
/// Rows, one for each processor that there may be.
const CPUS: usize = 8192;

/// The columns that are told, and as what.
const COLUMNS: [(&str, &Instrument, Option<&str>); 4] = [
    ("insert_failed", &of::STETH_SYSTEM_CONNTRACK_DROPS, Some("insert_failed")),
    ("drop", &of::STETH_SYSTEM_CONNTRACK_DROPS, Some("table_full")),
    ("early_drop", &of::STETH_SYSTEM_CONNTRACK_DROPS, Some("early_drop")),
    ("invalid", &of::STETH_SYSTEM_CONNTRACK_INVALID, None),
];

/// Reads connection tracking.
#[derive(Debug)]
pub struct Conntrack {
    labels: [Labels; 4],
    empty: Labels,
    /// By row; in 32 bits at the kernel.
    counts: Vec<[Wide; 4]>,
}

impl Default for Conntrack {
    fn default() -> Self {
        let labels = COLUMNS.map(|(_, _, reason)| match reason {
            Some(reason) => fixed(&[(STETH_REASON, reason)]),
            None => fixed(&[]),
        });
        Self { labels, empty: fixed(&[]), counts: Vec::new() }
    }
}

impl Probe for Conntrack {
    fn family(&self) -> Family {
        Family::Conntrack
    }

    fn collect(
        &mut self,
        host: &HostRoot,
        _: &mut dyn Tables,
        _: &Anchor,
        into: &mut Sink,
    ) -> Result<(), Reason> {
        let number = |name: &str| {
            let content = host.read(format!("{PLACE}/{name}"), 64)?;
            keyed::number(&content.bytes).ok_or(Unread::Malformed)
        };
        let usage = number("nf_conntrack_count").map_err(|why| match why {
            Unread::Vanished => Reason::Disabled("no connections are tracked on this host".into()),
            why => sheet::reason(PLACE, why),
        })?;
        let put = Amount::now(usage);
        into.put(&Owner::Host, &of::STETH_SYSTEM_CONNTRACK_USAGE, &self.empty, put);
        match number("nf_conntrack_max") {
            Ok(limit) => {
                let put = Amount::now(limit);
                into.put(&Owner::Host, &of::STETH_SYSTEM_CONNTRACK_LIMIT, &self.empty, put);
            }
            Err(why) => into.lacks("the size of the table", sheet::reason(PLACE, why)),
        }
        match keyed::lines_of_net(host, "stat/nf_conntrack", LIMIT) {
            Ok(content) => self.drops(&content, into),
            Err(why) => {
                into.lacks("what was dropped", sheet::reason("/proc/net/stat/nf_conntrack", why));
            }
        }
        Ok(())
    }
}

impl Conntrack {
    fn drops(&mut self, content: &[u8], into: &mut Sink) {
        let Some(columns) = columns(content) else { return };
        let rows: Vec<[Option<u64>; 4]> = rows(content, columns).take(CPUS).collect();
        if rows.len() > self.counts.len() {
            self.counts.resize(rows.len(), <[Wide; 4]>::default());
        }
        let mut sums = [None; 4];
        for (row, counts) in rows.iter().zip(&mut self.counts) {
            for ((sum, value), count) in sums.iter_mut().zip(row).zip(counts) {
                if let Some(value) = value {
                    *sum = Some(sum.unwrap_or(0u64).saturating_add(count.take(*value)));
                }
            }
        }
        for ((sum, labels), (_, instrument, _)) in sums.iter().zip(&self.labels).zip(COLUMNS) {
            if let Some(sum) = sum {
                into.put(&Owner::Host, instrument, labels, Amount::total(*sum));
            }
        }
    }
}

/// Where the columns stand: kernels have more or fewer of them.
fn columns(content: &[u8]) -> Option<[Option<usize>; 4]> {
    let head: Vec<&str> = keyed::lines(content).next()?.split_ascii_whitespace().collect();
    Some(COLUMNS.map(|(name, _, _)| head.iter().position(|column| *column == name)))
}

fn rows(content: &[u8], columns: [Option<usize>; 4]) -> impl Iterator<Item = [Option<u64>; 4]> {
    keyed::lines(content).skip(1).filter(|line| !line.trim().is_empty()).map(move |line| {
        let words: Vec<&str> = line.split_ascii_whitespace().take(64).collect();
        columns.map(|at| u64::from_str_radix(words.get(at?)?, 16).ok())
    })
}

#[cfg(test)]
mod tests {
    use super::super::sheet::fake::{HOSTILE, Host, told};
    use super::*;

    #[test]
    fn what_the_table_holds_and_drops() {
        let host = Host::new(&[
            ("/proc/sys/net/netfilter/nf_conntrack_count", "12\n"),
            ("/proc/sys/net/netfilter/nf_conntrack_max", "262144\n"),
            (
                "/proc/net/stat/nf_conntrack",
                "entries  clashres invalid insert_failed drop early_drop\n\
                 0000000c  00000000 00000001 fffffffe 00000003 00000000\n\
                 0000000c  00000000 00000001 00000002 00000003 00000010\n",
            ),
        ]);
        let mut probe = Conntrack::default();
        let (lines, outcome, _) = told(&mut probe, &host.root());
        assert_eq!(outcome, Ok(()));
        assert_eq!(
            lines,
            [
                "steth.system.conntrack.drops{early_drop} 16",
                "steth.system.conntrack.drops{insert_failed} 4294967296",
                "steth.system.conntrack.drops{table_full} 6",
                "steth.system.conntrack.invalid{} 2",
                "steth.system.conntrack.limit{} =262144",
                "steth.system.conntrack.usage{} =12",
            ]
        );
        // One of them wraps, and a column is gone.
        host.write("/proc/net/stat/nf_conntrack", "insert_failed x\n00000001\n00000002\n");
        let (lines, _, _) = told(&mut probe, &host.root());
        assert_eq!(
            lines.first().unwrap(),
            "steth.system.conntrack.drops{insert_failed} 4294967299"
        );
    }

    #[test]
    fn a_host_without_it_is_a_reason() {
        let (lines, outcome, _) = told(&mut Conntrack::default(), &Host::new(&[]).root());
        let why = "no connections are tracked on this host";
        assert_eq!((lines.len(), outcome), (0, Err(Reason::Disabled(why.into()))));
    }

    #[test]
    fn hostile_text_is_nothing() {
        for text in HOSTILE {
            let host = Host::new(&[
                ("/proc/sys/net/netfilter/nf_conntrack_count", "1"),
                ("/proc/net/stat/nf_conntrack", text),
            ]);
            let (lines, outcome, _) = told(&mut Conntrack::default(), &host.root());
            assert_eq!((lines.len(), outcome), (1, Ok(())), "{text}");
        }
    }
}
