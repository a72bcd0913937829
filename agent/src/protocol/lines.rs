//! The lines of a request's head, as they crossed: what a span says beyond what RED counts.
//!
//! Borrowed where the head still lies, so that nobody pays who does not read. Where a head has to
//! be kept until its answer is whole, only the lines that are [`Wanted`] are kept.

/// Names, in lower case, of lines that spans are made of; those that name a trace first.
const KNOWN: &[&str] = &[
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-b3-flags",
    "uber-trace-id",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "user-agent",
];

/// Which lines of a head are kept until its answer is whole, and how much of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Bytes of one head's lines, the first line included.
    pub bytes: usize,
    /// Names in lower case beside those that spans always need.
    pub more: &'static [&'static str],
}

/// How many of the known ones name a trace.
const TRACES: usize = 8;

/// Whether a line of this name may say which trace its request belongs to.
pub(super) fn may_name_a_trace(name: &[u8]) -> bool {
    // Most lines are told apart by their first letter.
    matches!(name.first(), Some(b't' | b'T' | b'b' | b'B' | b'x' | b'X' | b'u' | b'U'))
        && KNOWN.iter().take(TRACES).any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

impl Wanted {
    fn wants(&self, name: &[u8]) -> bool {
        let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
        KNOWN.iter().any(is) || self.more.iter().any(is)
    }
}

/// The lines of a head, the first one included, possibly cut short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lines<'a> {
    bytes: &'a [u8],
    cut: bool,
    /// None of them names a trace.
    bare: bool,
}

impl<'a> Lines<'a> {
    /// The lines in `bytes`; `cut` if the head goes on behind them.
    pub fn new(bytes: &'a [u8], cut: bool) -> Self {
        let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        Self { bytes: bytes.get(blank..).unwrap_or_default(), cut, bare: false }
    }

    /// The same; `bare` if somebody has seen that none of them names a trace.
    #[must_use]
    pub fn seen(self, bare: bool) -> Self {
        Self { bare, ..self }
    }

    /// Whether it is known that none of them names a trace.
    pub fn is_bare(&self) -> bool {
        self.bare
    }

    /// Whether lines may be missing.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// The bytes of all lines.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes of all lines.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is known of the head.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The words of the first line: method, target.
    fn first(&self) -> impl Iterator<Item = &'a [u8]> {
        let line = self.bytes.split(|b| *b == b'\n').next().unwrap_or_default();
        line.trim_ascii_end().split(|b| *b == b' ').filter(|word| !word.is_empty())
    }

    /// The method as it was written.
    pub fn method(&self) -> Option<&'a str> {
        str::from_utf8(self.first().next()?).ok()
    }

    /// The query behind the target's path, without `?` and fragment.
    pub fn query(&self) -> Option<&'a str> {
        let target = str::from_utf8(self.first().nth(1)?).ok()?;
        let (_, query) = target.split_once('?')?;
        Some(query.split_once('#').map_or(query, |(query, _)| query))
    }

    /// Name and value of each whole header line, in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        // The last piece is what stands behind the last line's end.
        let whole = self.bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let lines = self.bytes.get(..whole).unwrap_or_default().split(|b| *b == b'\n');
        lines.skip(1).filter_map(|line| {
            let colon = line.iter().position(|b| *b == b':')?;
            Some((line.get(..colon)?, line.get(colon + 1..)?.trim_ascii()))
        })
    }

    /// A copy of the first line and of those that are wanted, as far as there is room.
    pub fn kept(&self, wanted: &Wanted) -> Kept {
        let mut bytes = Vec::new();
        let mut cut = self.cut;
        for (place, line) in self.bytes.split_inclusive(|b| *b == b'\n').enumerate() {
            let name = line.split(|b| *b == b':').next().unwrap_or_default();
            if place > 0 && !wanted.wants(name) {
                continue;
            }
            if bytes.len() + line.len() > wanted.bytes {
                cut = true;
                break;
            }
            bytes.extend_from_slice(line);
        }
        Kept { bytes: bytes.into(), cut }
    }
}

/// Lines of a head, kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    bytes: Box<[u8]>,
    cut: bool,
}

impl Kept {
    /// The lines, to be read.
    pub fn lines(&self) -> Lines<'_> {
        Lines { bytes: &self.bytes, cut: self.cut, bare: false }
    }

    /// Whether both may be of one head: the same lines, as far as neither was cut.
    pub fn agrees(&self, other: &Self) -> bool {
        let (one, two) = (&*self.bytes, &*other.bytes);
        match (self.cut, other.cut) {
            (false, false) => one == two,
            (true, _) if one.len() <= two.len() => two.starts_with(one.trim_ascii_end()),
            (_, true) if two.len() <= one.len() => one.starts_with(two.trim_ascii_end()),
            // What was seen of a cut head is longer than the other: they only share a beginning.
            _ => false,
        }
    }

    /// Bytes of memory beside its own.
    pub fn weight(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] =
        b"\r\nGET /a?b=c#d HTTP/1.1\r\nHost: h\r\nTraceParent:  x \r\nCookie: s\r\n\r\n";

    fn names(lines: Lines<'_>) -> Vec<(&str, &str)> {
        let text = |bytes| str::from_utf8(bytes).unwrap();
        lines.headers().map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn reads_the_first_line_and_the_whole_lines_behind_it() {
        let lines = Lines::new(HEAD, false);
        assert_eq!((lines.method(), lines.query()), (Some("GET"), Some("b=c")));
        assert_eq!(names(lines), [("Host", "h"), ("TraceParent", "x"), ("Cookie", "s")]);
        let at = HEAD.len() - 8;
        assert_eq!(names(Lines::new(&HEAD[..at], true)).len(), 2);
        for cut in 0..HEAD.len() {
            let lines = Lines::new(&HEAD[..cut], true);
            let _ = (lines.method(), lines.query(), names(lines));
        }
    }

    #[test]
    fn keeps_what_is_wanted_and_no_more() {
        let check = |bytes, more, expect: &[(&str, &str)], cut| {
            let kept = Lines::new(HEAD, false).kept(&Wanted { bytes, more });
            assert_eq!((names(kept.lines()).as_slice(), kept.lines().is_cut()), (expect, cut));
        };
        check(4096, &[], &[("TraceParent", "x")], false);
        check(4096, &["host"], &[("Host", "h"), ("TraceParent", "x")], false);
        check(30, &[], &[], true);
        check(0, &[], &[], true);
    }
}
