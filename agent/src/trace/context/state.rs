//! `tracestate`: what vendors pass on with a trace, and what OpenTelemetry's member `ot` says of sampling.

use crate::trace::sampling::Threshold;

/// What the specification asks everybody to pass on at least.
const LONGEST: usize = 512;
/// The most members a list may have.
const MOST: usize = 32;

/// The state of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Members of other vendors, in their order.
    others: Option<Box<str>>,
    /// Fields of `ot` that are not about the threshold.
    fields: Option<Box<str>>,
    /// `th`: the threshold that the trace was kept by.
    pub threshold: Option<Threshold>,
    /// `rv`: its randomness, where that is not the trace id's.
    pub randomness: Option<u64>,
}

impl State {
    /// Reads a list that may stand in several header lines. One that is malformed is none.
    pub(super) fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut state = Self::default();
        let (mut others, mut count, mut length) = (String::new(), 0, 0);
        for line in lines {
            length += line.len();
            let Ok(line) = str::from_utf8(line) else { return Self::default() };
            if length > LONGEST || line.bytes().any(|b| !(0x20..0x7f).contains(&b) && b != b'\t') {
                return Self::default();
            }
            for member in line.split(',').map(str::trim).filter(|member| !member.is_empty()) {
                count += 1;
                let Some((key, value)) = member.split_once('=') else { return Self::default() };
                if count > MOST || key.is_empty() || key.contains(' ') {
                    return Self::default();
                }
                if key == "ot" {
                    state.take(value);
                    continue;
                }
                if !others.is_empty() {
                    others.push(',');
                }
                others.push_str(member);
            }
        }
        state.others = (!others.is_empty()).then(|| others.into());
        state
    }

    fn take(&mut self, value: &str) {
        let mut fields = String::new();
        for field in value.split(';') {
            match field.split_once(':') {
                Some(("th", text)) => self.threshold = Threshold::parse(text),
                Some(("rv", text)) => {
                    let digits = text.len() == 14 && text.bytes().all(is_digit);
                    let number = u64::from_str_radix(text, 16).ok();
                    self.randomness = number.filter(|_| digits);
                }
                _ => {}
            }
            if !field.starts_with("th:") && !field.is_empty() {
                if !fields.is_empty() {
                    fields.push(';');
                }
                fields.push_str(field);
            }
        }
        self.fields = (!fields.is_empty()).then(|| fields.into());
    }

    /// The list with another threshold.
    pub fn told(&self, threshold: Option<Threshold>) -> String {
        let mut out = String::new();
        let threshold = threshold.map(|threshold| format!("th:{threshold}"));
        let fields = [threshold.as_deref(), self.fields.as_deref()];
        for (place, field) in fields.into_iter().flatten().enumerate() {
            out.push_str(if place == 0 { "ot=" } else { ";" });
            out.push_str(field);
        }
        if let Some(others) = &self.others {
            if !out.is_empty() {
                out.push(',');
            }
            out.push_str(others);
        }
        out
    }

    /// Bytes of memory beside its own.
    pub fn weight(&self) -> usize {
        let len = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        len(&self.others) + len(&self.fields)
    }
}

fn is_digit(b: u8) -> bool {
    b.is_ascii_digit() || (b'a'..=b'f').contains(&b)
}
