//! Which series the keys of a file count into: one table a file, so that the arms of two kernels
//! stand side by side.

use std::collections::HashMap;

use super::{Amount, Labels, Owner, Reason, Sink};
use crate::host::Unread;
use crate::metric::instrument::{Instrument, Kind};
use crate::metric::key::Key;
use crate::metric::snapshot::{Number, Value};

/// What two readings of one moment may be apart; a source that begins anew falls further.
const SKEW: u64 = 4096;

/// Attributes in the order of their keys.
pub(crate) fn labels<const N: usize>(mut pairs: [(Key, Value); N]) -> Labels {
    pairs.sort_unstable_by_key(|(key, _)| *key);
    Labels::from(pairs)
}

/// Attributes from closed sets.
pub(crate) fn fixed(pairs: &[(Key, &'static str)]) -> Labels {
    let mut pairs: Vec<_> = pairs.iter().map(|(key, text)| (*key, Value::Static(text))).collect();
    pairs.sort_unstable_by_key(|(key, _)| *key);
    Labels::from(pairs)
}

/// Text from an open set that is bounded elsewhere.
pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// A fraction, as a state.
pub(crate) fn fraction(part: u64, whole: u64) -> Option<Amount> {
    (whole > 0).then(|| Amount::Now(Number::Double(part as f64 / whole as f64)))
}

/// One series and the keys whose numbers add up to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// What is added.
    pub(crate) keys: &'static [&'static str],
    /// What is taken off.
    pub(crate) less: &'static [&'static str],
    /// What a number is multiplied with.
    pub(crate) times: u64,
    /// Of what.
    pub(crate) instrument: &'static Instrument,
    /// By which attributes.
    pub(crate) attributes: &'static [(Key, &'static str)],
}

/// A series that one key counts.
pub(crate) const fn row(
    keys: &'static [&'static str],
    instrument: &'static Instrument,
    attributes: &'static [(Key, &'static str)],
) -> Row {
    Row { keys, less: &[], times: 1, instrument, attributes }
}

/// The series of a file.
#[derive(Debug)]
pub(crate) struct Sheet {
    rows: Vec<(Row, Labels)>,
    /// By key: which row, and whether it is taken off.
    keys: HashMap<&'static str, Vec<(usize, bool)>>,
}

/// What a sheet told before of one owner.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Vec<u64>);

impl Sheet {
    /// A sheet of these rows.
    pub(crate) fn new(rows: &[Row]) -> Self {
        let mut keys: HashMap<_, Vec<_>> = HashMap::new();
        for (at, row) in rows.iter().enumerate() {
            for key in row.keys {
                keys.entry(*key).or_default().push((at, false));
            }
            for key in row.less {
                keys.entry(*key).or_default().push((at, true));
            }
        }
        let rows = rows.iter().map(|row| (*row, fixed(row.attributes))).collect();
        Self { rows, keys }
    }

    /// Puts every series of which a key was there.
    pub(crate) fn put<'a>(
        &self,
        owner: &Owner,
        pairs: impl Iterator<Item = (&'a str, u64)>,
        told: &mut Told,
        into: &mut Sink,
    ) {
        let mut sums: Vec<(Option<u64>, u64)> = vec![(None, 0); self.rows.len()];
        for (key, value) in pairs {
            for (at, off) in self.keys.get(key).into_iter().flatten() {
                let Some((sum, less)) = sums.get_mut(*at) else { continue };
                if *off {
                    *less = less.saturating_add(value);
                } else {
                    *sum = Some(sum.unwrap_or(0).saturating_add(value));
                }
            }
        }
        told.0.resize(self.rows.len(), 0);
        for (((row, labels), (sum, less)), before) in self.rows.iter().zip(sums).zip(&mut told.0) {
            let Some(sum) = sum else { continue };
            let mut value = sum.saturating_sub(less);
            let amount = match row.instrument.kind {
                Kind::Counter => {
                    // The two were not read at one moment: a difference may step back a little.
                    if !row.less.is_empty() && value < *before && *before - value < SKEW {
                        value = *before;
                    }
                    *before = value;
                    Amount::total(value.saturating_mul(row.times))
                }
                _ => Amount::now(value.saturating_mul(row.times)),
            };
            into.put(owner, row.instrument, labels, amount);
        }
    }
}

/// Why a file gives nothing.
pub(crate) fn reason(path: &str, why: Unread) -> Reason {
    match why {
        Unread::Vanished => Reason::Disabled(format!("{path} is not there").into()),
        Unread::Denied => Reason::Failed(format!("{path} is not for us to read").into()),
        Unread::Malformed => Reason::Failed(format!("{path} makes no sense").into()),
        Unread::Failed => Reason::Failed(format!("{path} cannot be read").into()),
    }
}

#[cfg(test)]
pub(crate) mod fake {
    //! What the tests of all families need: a host made of files, and samples as text.

    use super::{Amount, Owner, Sink};
    use crate::host::{Anchor, HostRoot};
    use crate::metric::snapshot::{Number, Value};
    use crate::usage::{NoTables, Outcome, Probe};

    /// A host made of files, removed when dropped.
    pub(crate) struct Host(tempfile::TempDir);

    impl Host {
        /// With these files in it.
        pub(crate) fn new(files: &[(&str, &str)]) -> Self {
            let host = Self(tempfile::tempdir().unwrap());
            for (path, text) in files {
                host.write(path, text);
            }
            host
        }

        /// Writes a file.
        pub(crate) fn write(&self, path: &str, text: &str) {
            let path = self.root().path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        /// Removes a file, or a directory with all in it.
        pub(crate) fn remove(&self, path: &str) {
            let path = self.root().path(path);
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else {
                std::fs::remove_file(path).unwrap();
            }
        }

        /// Its root.
        pub(crate) fn root(&self) -> HostRoot {
            HostRoot::new(self.0.path())
        }
    }

    /// What a probe tells of a host, a line a sample, sorted; and what came of it.
    pub(crate) fn told(probe: &mut dyn Probe, host: &HostRoot) -> (Vec<String>, Outcome, Sink) {
        told_at(probe, host, &Anchor::default())
    }

    /// The same at a moment.
    pub(crate) fn told_at(
        probe: &mut dyn Probe,
        host: &HostRoot,
        now: &Anchor,
    ) -> (Vec<String>, Outcome, Sink) {
        let mut sink = Sink::default();
        let outcome = probe.collect(host, &mut NoTables, now, &mut sink);
        let mut lines: Vec<String> = sink
            .samples()
            .iter()
            .map(|sample| {
                assert!(sample.labels.is_sorted_by_key(|(key, _)| *key), "{sample:?}");
                for (key, _) in sample.labels.iter() {
                    assert!(sample.instrument.attributes.contains(key), "{sample:?}");
                }
                let owner = match &sample.owner {
                    Owner::Host => String::new(),
                    Owner::Cgroup(path) => format!("{path} "),
                    other => format!("{other:?} "),
                };
                let labels: Vec<String> = sample
                    .labels
                    .iter()
                    .map(|(_, value)| match value {
                        Value::Static(text) => (*text).to_owned(),
                        Value::Text(text) => text.to_string(),
                        other => format!("{other:?}"),
                    })
                    .collect();
                let (how, number) = match &sample.amount {
                    Amount::Total(number) => ("", number),
                    Amount::Add(number) => ("+", number),
                    Amount::Now(number) => ("=", number),
                    Amount::AddHistogram(_) => unreachable!(),
                };
                let number = match number {
                    Number::Int(int) => int.to_string(),
                    Number::Double(double) => format!("{double}"),
                };
                format!("{owner}{}{{{}}} {how}{number}", sample.instrument.name, labels.join(","))
            })
            .collect();
        lines.sort();
        (lines, outcome, sink)
    }

    /// Fails with both if a line is not there.
    pub(crate) fn has(lines: &[String], expect: &[&str]) {
        for line in expect {
            assert!(lines.iter().any(|l| l == line), "no {line} in\n{}", lines.join("\n"));
        }
    }

    /// Texts that no kernel writes.
    pub(crate) const HOSTILE: &[&str] = &[
        "",
        "\n\n\n",
        "a",
        "a b",
        "-1",
        "18446744073709551616",
        ":::::\n:::",
        "a: 18446744073709551615 kB\na: 18446744073709551615\n",
        "\u{0}\u{1}\u{7f}",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25\n",
        "Tcp: A\nTcp: 99999999999999999999\nTcp:",
        "some avg10=x total=\nfull total=-1\n",
        "0:0 a=b c= =d\n",
        "1 1 0:1 / /\\777\\1 rw - ext4 x rw\n1 1 0:1 / / rw\n- - -\n",
        "ffffffffffffffffffffffff 1 2 3 4 5 6 7 8 9 a b c d e f\n",
        "lo: 18446744073709551615 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n: 1\nx:\n",
    ];
}
