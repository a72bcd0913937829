//! The context of a trace as a request's head carries it: W3C Trace Context, B3, Jaeger.
//!
//! The first format that is there and well formed counts, in that order. What is malformed is
//! passed over and told, never guessed at.

mod b3;
mod jaeger;
mod state;
#[cfg(test)]
mod tests;
mod w3c;

pub use state::State;

use super::ids::{SpanId, TraceId};
use crate::protocol::Lines;

/// Who asked, by its own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace: TraceId,
    /// The span that asked.
    pub parent: SpanId,
    /// Whether that trace is kept by whoever began it, if it said.
    pub sampled: Option<bool>,
    /// What vendors pass on, and what it says of sampling.
    pub state: State,
}

/// What a head says of its trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The context, if there is a good one.
    pub context: Option<Context>,
    /// A field is there that makes no sense.
    pub malformed: bool,
}

/// The fields, as far as they are there.
#[derive(Debug, Default)]
struct Fields<'a> {
    traceparent: Option<&'a [u8]>,
    /// Several `traceparent`s contradict each other.
    twice: bool,
    tracestate: [Option<&'a [u8]>; 4],
    b3: Option<&'a [u8]>,
    b3_trace: Option<&'a [u8]>,
    b3_span: Option<&'a [u8]>,
    b3_sampled: Option<&'a [u8]>,
    b3_flags: Option<&'a [u8]>,
    jaeger: Option<&'a [u8]>,
}

/// Reads the context of a request.
pub fn read(lines: &Lines<'_>) -> Found {
    if lines.is_bare() {
        return Found::default();
    }
    let mut fields = Fields::default();
    let mut any = false;
    for (name, value) in lines.headers() {
        // Most lines are told apart by their first letter.
        if matches!(name.first(), Some(b't' | b'T' | b'b' | b'B' | b'x' | b'X' | b'u' | b'U')) {
            any |= fields.take(name, value);
        }
    }
    if !any {
        return Found::default();
    }
    let mut malformed = fields.twice;
    let mut good = |read: Option<Result<Context, Malformed>>| {
        let read = read?;
        malformed |= read.is_err();
        read.ok()
    };
    let w3c = fields.traceparent.filter(|_| !fields.twice);
    let context = good(w3c.map(|parent| w3c::read(parent, &fields.tracestate)))
        .or_else(|| good(fields.b3.and_then(b3::single)))
        .or_else(|| good(b3::multi(&fields)))
        .or_else(|| good(fields.jaeger.map(jaeger::read)));
    Found { context, malformed }
}

impl<'a> Fields<'a> {
    /// Whether the line is one of these.
    fn take(&mut self, name: &[u8], value: &'a [u8]) -> bool {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let place = match name.len() {
            11 if is("traceparent") => {
                self.twice |= self.traceparent.is_some_and(|known| known != value);
                &mut self.traceparent
            }
            10 if is("tracestate") => {
                if let Some(free) = self.tracestate.iter_mut().find(|place| place.is_none()) {
                    *free = Some(value);
                }
                return true;
            }
            2 if is("b3") => &mut self.b3,
            12 if is("x-b3-traceid") => &mut self.b3_trace,
            11 if is("x-b3-spanid") => &mut self.b3_span,
            12 if is("x-b3-sampled") => &mut self.b3_sampled,
            10 if is("x-b3-flags") => &mut self.b3_flags,
            13 if is("uber-trace-id") => &mut self.jaeger,
            _ => return false,
        };
        place.get_or_insert(value);
        true
    }
}

/// A field makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed;

/// A number in hexadecimal digits, of which there are from 1 to `most`.
fn hex(text: &[u8], most: usize) -> Option<u128> {
    if text.is_empty() || text.len() > most || !text.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u128::from_str_radix(str::from_utf8(text).ok()?, 16).ok()
}

fn trace_id(number: u128) -> Result<TraceId, Malformed> {
    if number == 0 { Err(Malformed) } else { Ok(TraceId(number.to_be_bytes())) }
}

fn span_id(number: u128) -> Result<SpanId, Malformed> {
    match u64::try_from(number) {
        Ok(number) if number != 0 => Ok(SpanId(number.to_be_bytes())),
        _ => Err(Malformed),
    }
}
