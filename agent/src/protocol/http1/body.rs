//! Where a body ends: by length, by chunks, by the connection's end, or by nothing that was seen.

/// How a body is delimited, and how much of it is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes more.
    Length(u64),
    /// Chunks (RFC 9112, section 7.1).
    Chunked(Chunks),
    /// Until the connection ends.
    Close,
    /// What would say it was not seen: until the other side's turn.
    Turn,
}

/// What became of bytes given to a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Took {
    /// All of them are body, and there is more to come.
    All,
    /// The body ended after so many of them.
    Ended(usize),
    /// The chunks make no sense from here on.
    Broken,
}

impl Body {
    /// Whether nothing is to come at all.
    pub(super) fn is_empty(self) -> bool {
        self == Self::Length(0)
    }

    /// Takes bytes.
    pub(super) fn take(&mut self, data: &[u8]) -> Took {
        match self {
            Self::Length(left) => {
                let fits = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
                *left -= fits as u64;
                if *left == 0 { Took::Ended(fits) } else { Took::All }
            }
            Self::Chunked(chunks) => chunks.take(data),
            Self::Close | Self::Turn => Took::All,
        }
    }

    /// Takes `bytes` that were not seen; gives how many of them are not this body's, if it ended.
    /// Chunks whose framing lay in the gap can only be told by the turn from then on.
    pub(super) fn skip(&mut self, bytes: u64) -> Option<u64> {
        match self {
            Self::Length(left) => {
                let fits = bytes.min(*left);
                *left -= fits;
                (*left == 0).then_some(bytes - fits)
            }
            Self::Chunked(chunks) => {
                if !chunks.skip(bytes) {
                    *self = Self::Turn;
                }
                None
            }
            Self::Close | Self::Turn => None,
        }
    }
}

/// Where in a chunked body its bytes have come to. Lines may end with a bare line feed, extensions
/// and trailers are passed over: who observes must follow what the two ends agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In the digits of a size; so many of them.
    Size {
        /// The value so far.
        value: u64,
        /// How many digits it has.
        digits: u8,
    },
    /// Behind the digits, before the line's end.
    Extension(u64),
    /// In a chunk's data.
    Data(u64),
    /// At the line end behind a chunk's data.
    DataEnd,
    /// In the trailer section; whether the line has anything in it.
    Trailer(bool),
}

impl Chunks {
    /// Before the first chunk.
    pub(super) const START: Self = Self::Size { value: 0, digits: 0 };

    /// Takes bytes.
    pub(super) fn take(&mut self, data: &[u8]) -> Took {
        let mut at = 0;
        while let Some(&byte) = data.get(at) {
            if let Self::Data(left) = self {
                let rest = data.len() - at;
                let fits = usize::try_from(*left).unwrap_or(usize::MAX).min(rest);
                *left -= fits as u64;
                at += fits;
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                continue;
            }
            at += 1;
            *self = match (*self, byte) {
                (Self::Size { value, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                    let digit = (byte as char).to_digit(16).unwrap_or_default();
                    let Some(shifted) = value.checked_mul(16) else { return Took::Broken };
                    let digits = digits.saturating_add(1);
                    // Zeros in front cannot overflow, but nobody needs more than these.
                    if digits > 32 {
                        return Took::Broken;
                    }
                    Self::Size { value: shifted + u64::from(digit), digits }
                }
                (Self::Size { digits: 0, .. }, _) => return Took::Broken,
                (Self::Size { value, .. } | Self::Extension(value), b'\n') => Self::sized(value),
                (Self::Size { value, .. }, b'\r' | b';' | b' ' | b'\t') => Self::Extension(value),
                (Self::Extension(value), _) => Self::Extension(value),
                (Self::DataEnd, b'\r') => Self::DataEnd,
                (Self::DataEnd, b'\n') => Self::START,
                (Self::Trailer(false), b'\n') => return Took::Ended(at),
                (Self::Trailer(filled), b'\r') => Self::Trailer(filled),
                (Self::Trailer(_), byte) => Self::Trailer(byte != b'\n'),
                (Self::Size { .. } | Self::DataEnd | Self::Data(_), _) => return Took::Broken,
            };
        }
        Took::All
    }

    fn sized(value: u64) -> Self {
        if value == 0 { Self::Trailer(false) } else { Self::Data(value) }
    }

    /// Takes `bytes` that were not seen, if all of them are known to be a chunk's data.
    fn skip(&mut self, bytes: u64) -> bool {
        match self {
            Self::Data(left) if bytes <= *left => {
                *left -= bytes;
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                true
            }
            _ => bytes == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], expect: Took) {
        let mut chunks = Chunks::START;
        let whole = chunks.take(text);
        assert_eq!(whole, expect, "{}", text.escape_ascii());
        for at in 0..=text.len() {
            let (one, two) = text.split_at(at);
            let mut chunks = Chunks::START;
            let got = match chunks.take(one) {
                Took::All => match chunks.take(two) {
                    Took::Ended(n) => Took::Ended(n + at),
                    other => other,
                },
                other => other,
            };
            assert_eq!(got, expect, "{} split at {at}", text.escape_ascii());
        }
    }

    #[test]
    fn finds_the_end_of_chunks_at_any_split() {
        check(b"0\r\n\r\n", Took::Ended(5));
        check(b"5\r\nhello\r\n0\r\n\r\nGET", Took::Ended(15));
        check(b"5;a=b;c=\"d\"\r\nhello\r\n000;x\r\n\r\n", Took::Ended(29));
        check(b"A\r\n0123456789\r\n0\r\nVary: *\r\nX: y\r\n\r\n", Took::Ended(35));
        check(b"1\na\n0\n\n", Took::Ended(7));
        check(b"5  \r\nhello\r\n0\r\n\r\n", Took::Ended(17));
        check(b"5\r\nhel", Took::All);
        check(b"5\r\nhello\r\n0\r\nX: y\r\n", Took::All);
    }

    #[test]
    fn broken_chunks_are_told() {
        check(b"x\r\n", Took::Broken);
        check(b"-1\r\n", Took::Broken);
        check(b"\r\n", Took::Broken);
        check(b"10000000000000000\r\n", Took::Broken);
        check(b"000000000000000000000000000000000\r\n", Took::Broken);
        check(b"1\r\nab\r\n", Took::Broken);
        check(b"5_\r\nhello", Took::Broken);
    }

    #[test]
    fn unseen_bytes_are_counted_where_their_place_is_known() {
        let mut body = Body::Length(10);
        assert_eq!((body.skip(4), body.skip(9)), (None, Some(3)));
        let mut body = Body::Chunked(Chunks::START);
        assert_eq!(body.take(b"64\r\nabcd"), Took::All);
        assert_eq!(body.skip(96), None);
        assert_eq!(body.take(b"\r\n0\r\n\r\n"), Took::Ended(7));
        let mut body = Body::Chunked(Chunks::START);
        assert_eq!((body.skip(1), body), (None, Body::Turn));
    }
}
