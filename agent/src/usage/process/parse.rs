//! Files of `/proc/PID`, parsed. A process chooses its own name: nothing before its end is trusted.

use crate::host::Ticks;

/// What a process does, as the conventions call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Running,
    Sleeping,
    Stopped,
    Defunct,
}

impl State {
    pub(super) const ALL: [Self; 4] = [Self::Running, Self::Sleeping, Self::Stopped, Self::Defunct];

    pub(super) fn named(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Sleeping => "sleeping",
            Self::Stopped => "stopped",
            Self::Defunct => "defunct",
        }
    }

    fn of(letter: &str) -> Option<Self> {
        Some(match letter {
            "R" => Self::Running,
            "S" | "D" | "I" | "K" | "W" | "P" => Self::Sleeping,
            "T" | "t" => Self::Stopped,
            "Z" | "X" | "x" => Self::Defunct,
            _ => return None,
        })
    }
}

/// `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) state: State,
    pub(super) minor: u64,
    pub(super) major: u64,
    pub(super) user: Ticks,
    pub(super) system: Ticks,
    pub(super) threads: u64,
    pub(super) started: Ticks,
    pub(super) vsize: u64,
    /// In pages.
    pub(super) rss: u64,
}

impl Stat {
    /// `pid (comm) state ppid ...`; `comm` may hold blanks, parentheses and newlines.
    pub(super) fn parse(content: &[u8]) -> Option<Self> {
        let close = content.iter().rposition(|b| *b == b')')?;
        let rest = std::str::from_utf8(content.get(close + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        // The fields of proc(5) count from one; the state is the third.
        let state = State::of(fields.next()?)?;
        let mut at = 3;
        let mut field = |number: usize| {
            let skip = number.checked_sub(at + 1)?;
            at = number;
            fields.nth(skip)?.parse::<u64>().ok()
        };
        Some(Self {
            state,
            minor: field(10)?,
            major: field(12)?,
            user: Ticks(field(14)?),
            system: Ticks(field(15)?),
            threads: field(20)?,
            started: Ticks(field(22)?),
            vsize: field(23)?,
            rss: field(24)?,
        })
    }
}

/// Voluntary and involuntary switches, of a `status`.
pub(super) fn switches(content: &[u8]) -> Option<(u64, u64)> {
    Some((
        field(content, b"voluntary_ctxt_switches:")?,
        field(content, b"nonvoluntary_ctxt_switches:")?,
    ))
}

/// Bytes that were read from disk and will be written to it, of an `io`.
pub(super) fn io(content: &[u8]) -> Option<(u64, u64)> {
    Some((field(content, b"read_bytes:")?, field(content, b"write_bytes:")?))
}

/// The soft limit of descriptors, of a `limits`; none if there is none.
pub(super) fn descriptors(content: &[u8]) -> Option<u64> {
    field(content, b"Max open files")
}

/// The first number of the line that begins with `name`. The last such line counts: what a process
/// puts into its name stands before.
fn field(content: &[u8], name: &[u8]) -> Option<u64> {
    let mut lines = content.split(|b| *b == b'\n').rev();
    let rest = lines.find_map(|line| line.strip_prefix(name))?;
    std::str::from_utf8(rest).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "S 1 2 3 4 -1 6 70 8 90 10 110 120 13 14 20 0 5 0 1234 4096 7 18446744073709551615";

    #[test]
    fn stat_is_read_behind_whatever_a_process_calls_itself() {
        let check = |text: &str, expect: Option<Stat>| {
            assert_eq!(Stat::parse(text.as_bytes()), expect, "{text:?}");
        };
        let stat = Stat {
            state: State::Sleeping,
            minor: 70,
            major: 90,
            user: Ticks(110),
            system: Ticks(120),
            threads: 5,
            started: Ticks(1234),
            vsize: 4096,
            rss: 7,
        };
        check(&format!("77 (a b) {LINE}"), Some(stat));
        check(&format!("77 (a) R 9 9 9\n(b)) {LINE}"), Some(stat));
        check(
            &format!("77 () {}", LINE.replacen('S', "Z", 1)),
            Some(Stat { state: State::Defunct, ..stat }),
        );
        check(&format!("77 (a) {}", LINE.replacen('S', "?", 1)), None);
        check("77 (a) S 1 2 3", None);
        check("77 (a)", None);
        check("", None);
        check(&format!("77 (a) {}", LINE.replace("110", "-110")), None);
    }

    #[test]
    fn other_files_are_searched_from_their_end() {
        let status = "Name:\tvoluntary_ctxt_switches:\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(switches(status.as_bytes()), Some((12, 3)));
        assert_eq!(switches(b"voluntary_ctxt_switches:\t12"), None);
        assert_eq!(
            io(b"rchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 1"),
            Some((4096, 8192))
        );
        assert_eq!(io(b"read_bytes: -1\nwrite_bytes: 1"), None);
        assert_eq!(
            descriptors(
                b"Max open files            1024                 4096                 files"
            ),
            Some(1024)
        );
        assert_eq!(
            descriptors(
                b"Max open files            unlimited            unlimited            files"
            ),
            None
        );
        assert_eq!(descriptors(b"\xff\xfe"), None);
    }
}
