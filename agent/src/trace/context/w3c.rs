//! `traceparent` and `tracestate` (W3C Trace Context, level 2).

use super::{Context, Malformed, State, hex, span_id, trace_id};

/// Reads `00-<trace>-<parent>-<flags>`; later versions may go on behind that.
pub(super) fn read(parent: &[u8], states: &[Option<&[u8]>]) -> Result<Context, Malformed> {
    let (version, rest) = field(parent, 2)?;
    let (trace, rest) = field(rest, 32)?;
    let (span, rest) = field(rest, 16)?;
    let flags = rest.get(..2).ok_or(Malformed)?;
    let behind = rest.get(2..).unwrap_or_default();
    let fits = match lower(version)? {
        0xff => false,
        0 => behind.is_empty(),
        _ => behind.is_empty() || behind.starts_with(b"-"),
    };
    if !fits {
        return Err(Malformed);
    }
    Ok(Context {
        trace: trace_id(lower(trace)?)?,
        parent: span_id(lower(span)?)?,
        sampled: Some(lower(flags)? & 1 == 1),
        state: State::read(states.iter().flatten().copied()),
    })
}

/// `len` bytes and the `-` behind them.
fn field(text: &[u8], len: usize) -> Result<(&[u8], &[u8]), Malformed> {
    let (field, rest) = text.split_at_checked(len).ok_or(Malformed)?;
    Ok((field, rest.strip_prefix(b"-").ok_or(Malformed)?))
}

/// The specification allows no digits in upper case.
fn lower(digits: &[u8]) -> Result<u128, Malformed> {
    if digits.iter().any(u8::is_ascii_uppercase) {
        return Err(Malformed);
    }
    hex(digits, 32).ok_or(Malformed)
}
