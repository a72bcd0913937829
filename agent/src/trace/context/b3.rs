//! B3 as one header (`b3: <trace>-<span>[-<sampled>[-<parent>]]`) and as several.

use super::{Context, Fields, Malformed, State, hex, span_id, trace_id};

/// The single header. One that only says what is to be sampled carries no context.
pub(super) fn single(text: &[u8]) -> Option<Result<Context, Malformed>> {
    if matches!(text, b"0" | b"1" | b"d") {
        return None;
    }
    let mut parts = text.split(|b| *b == b'-');
    let (trace, span) = (parts.next().unwrap_or_default(), parts.next());
    let (sampled, grandparent) = (parts.next(), parts.next());
    if parts.next().is_some()
        || grandparent.is_some_and(|id| id.len() != 16 || hex(id, 16).is_none())
    {
        return Some(Err(Malformed));
    }
    Some(context(trace, span, sampled))
}

/// The headers `X-B3-*`.
pub(super) fn multi(fields: &Fields<'_>) -> Option<Result<Context, Malformed>> {
    let trace = fields.b3_trace?;
    let sampled = if fields.b3_flags == Some(b"1") { Some(&b"d"[..]) } else { fields.b3_sampled };
    Some(context(trace, fields.b3_span, sampled))
}

fn context(
    trace: &[u8],
    span: Option<&[u8]>,
    sampled: Option<&[u8]>,
) -> Result<Context, Malformed> {
    let span = span.filter(|span| span.len() == 16).ok_or(Malformed)?;
    if !matches!(trace.len(), 16 | 32) {
        return Err(Malformed);
    }
    let sampled = match sampled {
        None => None,
        Some(b"0" | b"false" | b"False") => Some(false),
        Some(b"1" | b"d" | b"true" | b"True") => Some(true),
        Some(_) => return Err(Malformed),
    };
    Ok(Context {
        trace: trace_id(hex(trace, 32).ok_or(Malformed)?)?,
        parent: span_id(hex(span, 16).ok_or(Malformed)?)?,
        sampled,
        state: State::default(),
    })
}
