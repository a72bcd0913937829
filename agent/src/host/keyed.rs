//! The forms that many files of the kernel share: a key and a number a line, a name and `key=number`
//! pairs a line, a line of keys above a line of numbers.
//!
//! Pure: bytes in, pairs out. What makes no sense is left out; nothing is ever refused as a whole.

use super::root::{Content, HostRoot, Unread};

/// A file's bytes, whole lines only: a number that was cut short would be another number.
pub fn lines_of(root: &HostRoot, path: &str, limit: usize) -> Result<Vec<u8>, Unread> {
    root.read(path, limit).map(whole)
}

/// The same of a file of the host's network namespace, as its first process sees it; where that is not
/// for us, as we see it.
pub fn lines_of_net(root: &HostRoot, name: &str, limit: usize) -> Result<Vec<u8>, Unread> {
    lines_of(root, &format!("/proc/1/net/{name}"), limit)
        .or_else(|_| lines_of(root, &format!("/proc/net/{name}"), limit))
}

/// Without a last line that was cut.
pub fn whole(content: Content) -> Vec<u8> {
    let Content { mut bytes, cut } = content;
    if cut {
        let end = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        bytes.truncate(end);
    }
    bytes
}

/// The lines that are text.
pub fn lines(content: &[u8]) -> impl Iterator<Item = &str> {
    content.split(|b| *b == b'\n').filter_map(|line| std::str::from_utf8(line).ok())
}

/// The number that is all of a file; `max` and what makes no sense is none.
pub fn number(content: &[u8]) -> Option<u64> {
    std::str::from_utf8(content).ok()?.trim().parse().ok()
}

/// `key value` and `key: value kB`, as in `vmstat`, `meminfo`, `memory.stat`; kilobytes are told as bytes.
pub fn flat(content: &[u8]) -> impl Iterator<Item = (&str, u64)> {
    lines(content).filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let key = words.next()?;
        let value: u64 = words.next()?.parse().ok()?;
        let value = if words.next() == Some("kB") { value.checked_mul(1024)? } else { value };
        Some((key.strip_suffix(':').unwrap_or(key), value))
    })
}

/// `name key=value ...`, as in `io.stat` and the pressure files.
pub fn nested(content: &[u8]) -> impl Iterator<Item = (&str, impl Iterator<Item = (&str, u64)>)> {
    lines(content).filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let name = words.next()?;
        let pairs = words.filter_map(|word| {
            let (key, value) = word.split_once('=')?;
            Some((key, value.parse().ok()?))
        });
        Some((name, pairs))
    })
}

/// `Tcp: A B` above `Tcp: 1 2`, as in `snmp` and `netstat`; numbers that are negative are left out.
pub fn paired<'a>(content: &'a [u8], mut each: impl FnMut(&'a str, &'a str, u64)) {
    let mut above: Option<&str> = None;
    for line in lines(content) {
        let Some(keys) = above.take() else {
            above = Some(line);
            continue;
        };
        let (Some((section, keys)), Some((same, values))) =
            (keys.split_once(':'), line.split_once(':'))
        else {
            above = Some(line);
            continue;
        };
        if section != same {
            above = Some(line);
            continue;
        }
        let values = values.split_ascii_whitespace();
        for (key, value) in keys.split_ascii_whitespace().zip(values) {
            if let Ok(value) = value.parse() {
                each(section, key, value);
            }
        }
    }
}

/// The total of a line of a pressure file, in nanoseconds, with the line's name (`some`, `full`).
pub fn stalls(content: &[u8]) -> impl Iterator<Item = (&str, u64)> {
    nested(content).filter_map(|(name, mut pairs)| {
        let (_, micros) = pairs.find(|(key, _)| *key == "total")?;
        Some((name, micros.checked_mul(1000)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_a_number_a_line() {
        let check = |text: &[u8], expect: &[(&str, u64)]| {
            assert_eq!(flat(text).collect::<Vec<_>>(), expect);
        };
        check(
            b"MemTotal:  24 kB\nHugePages_Total:  3\n",
            &[("MemTotal", 24576), ("HugePages_Total", 3)],
        );
        check(b"pgfault 18446744073709551615\n", &[("pgfault", u64::MAX)]);
        check(b"a 18446744073709551616\nb -1\nc\n\nd x\n\xff 1\ne 1 kB kB", &[("e", 1024)]);
        check(b"big: 18446744073709551615 kB\n", &[]);
        check(b"", &[]);
    }

    #[test]
    fn a_name_and_pairs_a_line() {
        let check = |text: &[u8], expect: &[(&str, &[(&str, u64)])]| {
            let got: Vec<_> =
                nested(text).map(|(name, pairs)| (name, pairs.collect::<Vec<_>>())).collect();
            let got: Vec<_> = got.iter().map(|(name, pairs)| (*name, pairs.as_slice())).collect();
            assert_eq!(got, expect);
        };
        check(
            b"8:0 rbytes=1 wbytes=2\n8:16 \n",
            &[("8:0", &[("rbytes", 1), ("wbytes", 2)]), ("8:16", &[])],
        );
        check(b"8:0 rbytes= =3 x=1.5 wios=4\n \n\xff a=1\n", &[("8:0", &[("", 3), ("wios", 4)])]);
    }

    #[test]
    fn keys_above_numbers() {
        let check = |text: &[u8], expect: &[(&str, &str, u64)]| {
            let mut got = Vec::new();
            paired(text, |section, key, value| got.push((section, key, value)));
            assert_eq!(got, expect);
        };
        check(
            b"Tcp: A B\nTcp: 1 2\nUdp: C\nUdp: 3\n",
            &[("Tcp", "A", 1), ("Tcp", "B", 2), ("Udp", "C", 3)],
        );
        // A line too few, values too few, values negative, values too many.
        check(b"Tcp: A\nUdp: C\nUdp: 3\n", &[("Udp", "C", 3)]);
        check(b"Tcp: A B C\nTcp: -1 2\n", &[("Tcp", "B", 2)]);
        check(b"Tcp: A\nTcp: 1 2 3\n", &[("Tcp", "A", 1)]);
        check(b"nothing\nTcp: A\nTcp: 7\n", &[("Tcp", "A", 7)]);
        check(b"Tcp: A\nTcp:", &[]);
    }

    #[test]
    fn stalls_are_nanoseconds() {
        let check = |text: &[u8], expect: &[(&str, u64)]| {
            assert_eq!(stalls(text).collect::<Vec<_>>(), expect);
        };
        check(
            b"some avg10=0.28 avg60=0.61 avg300=0.33 total=41\nfull avg10=0.00 total=2\n",
            &[("some", 41_000), ("full", 2000)],
        );
        check(b"some total=18446744073709551615\nfull avg10=0.0\n", &[]);
    }

    #[test]
    fn a_line_that_was_cut_does_not_count() {
        let cut = |text: &[u8]| whole(Content { bytes: text.to_vec(), cut: true });
        assert_eq!(cut(b"a 1\nb 12"), b"a 1\n");
        assert_eq!(cut(b"b 12"), b"");
        assert_eq!(number(b"12\n"), Some(12));
        assert_eq!(number(b"max\n"), None);
    }
}
