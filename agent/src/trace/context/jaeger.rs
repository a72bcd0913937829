//! `uber-trace-id: <trace>:<span>:<parent>:<flags>`; leading zeroes may be left out, and the colons
//! be written as `%3A`.

use super::{Context, Malformed, State, hex, span_id, trace_id};

/// Longer than any that is well formed.
const LONGEST: usize = 128;

pub(super) fn read(text: &[u8]) -> Result<Context, Malformed> {
    let text = str::from_utf8(text).ok().filter(|text| text.len() <= LONGEST).ok_or(Malformed)?;
    let text = text.replace("%3A", ":").replace("%3a", ":");
    let mut parts = text.split(':');
    let mut next = |most| parts.next().and_then(|part| hex(part.as_bytes(), most)).ok_or(Malformed);
    let (trace, span, _grandparent, flags) = (next(32)?, next(16)?, next(16)?, next(2)?);
    if parts.next().is_some() {
        return Err(Malformed);
    }
    Ok(Context {
        trace: trace_id(trace)?,
        parent: span_id(span)?,
        // Bit 2 is "debug", which is to be kept as well.
        sampled: Some(flags & 0b11 != 0),
        state: State::default(),
    })
}
