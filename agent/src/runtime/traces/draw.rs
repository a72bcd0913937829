//! A trace as a waterfall of text: a line a span, under it what its time went into.

use std::fmt::Write;

use super::{Shown, Trace};
use crate::event::Nanos;
use crate::host::clock::iso8601;
use crate::runtime::live::text;
use crate::trace::Kind;

/// Columns for a duration.
const TOOK: usize = 8;
/// The narrowest bar that tells anything.
const LEAST: usize = 8;
/// Deeper spans stand no further to the right.
const DEEPEST: usize = 12;
/// What parts of a request's time are, beside the times before its thread had it and those of its
/// bytes.
const NO_PARTS: [&str; 4] = ["accept_queue", "receive_queue", "first_byte", "last_byte"];

/// A line of a waterfall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// What it says.
    pub text: String,
    /// How it is meant.
    pub tone: Tone,
}

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// What stands above the rest.
    Head,
    /// A span.
    Plain,
    /// A span that failed.
    Error,
    /// Why the span above it took its time.
    Why,
}

/// The head of a trace, for lists as well: when, how long, whose, what, its end.
pub fn head(trace: &Trace) -> String {
    let (begun, took) = trace.extent();
    let Some(root) = trace.root() else { return String::new() };
    let Shown { service, name, outcome, .. } = root;
    let failed = if trace.failed() { "  failed" } else { "" };
    let more = if trace.more > 0 { format!(", {} not shown", trace.more) } else { String::new() };
    let count = trace.spans.len() + trace.more;
    let spans = if count == 1 { "1 span".to_owned() } else { format!("{count} spans") };
    format!(
        "{}  {:>TOOK$}  {service}  {name} {outcome}  {spans}{more}{failed}",
        iso8601(begun),
        time(took),
    )
}

/// All of a trace, `width` columns wide.
pub fn waterfall(trace: &Trace, width: usize) -> Vec<Drawn> {
    let left = (width * 9 / 20).max(16);
    let right = width.saturating_sub(left + TOOK + 3).max(LEAST);
    let (begun, whole) = trace.extent();
    let mut lines = Vec::new();
    for (depth, span) in in_order(trace) {
        let indent = "  ".repeat(depth.min(DEEPEST));
        let kind = match span.kind {
            Kind::Server => "",
            Kind::Client => "-> ",
            Kind::Internal => "... ",
        };
        let Shown { service, name, outcome, .. } = span;
        let mark = if span.error { "!" } else { "" };
        let label = format!("{indent}{kind}{mark}{service}  {name} {outcome}");
        let after = Nanos(span.begun.0.saturating_sub(begun.0));
        let from = place(after, whole, right);
        let to = place(Nanos(after.0.saturating_add(span.took.0)), whole, right).max(from + 1);
        let (from, to) = (from.min(right - 1), to.min(right));
        let bar = format!("{}{}", " ".repeat(from), "█".repeat(to - from));
        let tone = if span.error { Tone::Error } else { Tone::Plain };
        lines.push(Drawn { text: line(&label, left, &bar, right, &time(span.took)), tone });
        if !span.why.is_empty() {
            let bar = format!("{}{}", " ".repeat(from), parts(span, to - from));
            let label = format!("{indent}   {}", causes(span));
            lines.push(Drawn { text: line(&label, left, &bar, right, ""), tone: Tone::Why });
        }
    }
    lines
}

/// The spans of a trace without ids and times: who, what, its end, and how it is linked.
pub fn tree(trace: &Trace) -> String {
    let mut out = String::new();
    for (depth, span) in in_order(trace) {
        let Shown { service, kind, name, outcome, evidence, .. } = span;
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{}{service} {kind:?} {name} {outcome} ({evidence})",
            "  ".repeat(depth.min(DEEPEST))
        );
    }
    out
}

fn line(label: &str, left: usize, bar: &str, right: usize, took: &str) -> String {
    let label = text::cut(label.trim_end(), left);
    let line = format!("{label:<left$} {bar:<right$} {took:>TOOK$}");
    line.trim_end().to_owned()
}

/// Where a moment stands on a bar.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a bar's width, not negative"
)]
fn place(at: Nanos, whole: Nanos, width: usize) -> usize {
    (at.0 as f64 / whole.0.max(1) as f64 * width as f64).floor() as usize
}

/// What a span's time went into, each by its letter, as wide as its part of the time.
fn parts(span: &Shown, width: usize) -> String {
    let mut bar = String::new();
    let (mut past, mut drawn) = (0_u64, 0);
    for (name, took) in span.why.iter().filter(|(name, _)| !NO_PARTS.contains(name)) {
        past = past.saturating_add(took.0);
        let to = place(Nanos(past), span.took, width).min(width);
        let letter = short(name).chars().next().unwrap_or('?').to_ascii_uppercase();
        bar.extend(std::iter::repeat_n(letter, to.saturating_sub(drawn)));
        drawn = drawn.max(to);
    }
    bar.extend(std::iter::repeat_n('·', width - drawn));
    bar
}

/// The same in words, the longest first.
fn causes(span: &Shown) -> String {
    let mut all: Vec<_> = span.why.iter().filter(|(_, took)| took.0 > 0).collect();
    all.retain(|(name, _)| *name != "last_byte");
    all.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
    let told = all.iter().map(|(name, took)| format!("{} {}", short(name), time(*took)));
    told.collect::<Vec<_>>().join(", ")
}

/// The last word of a name.
fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn time(nanos: Nanos) -> String {
    text::seconds(Some(nanos.0 as f64 / 1e9))
}

/// Each span below its parent, with how deep it stands; what has no parent here is a root.
fn in_order(trace: &Trace) -> Vec<(usize, &Shown)> {
    let spans = &trace.spans;
    let is_here = |id| spans.iter().any(|span| span.id == id);
    let roots = spans.iter().filter(|span| span.parent.is_none_or(|id| !is_here(id)));
    let mut open: Vec<(usize, &Shown)> = roots.map(|span| (0, span)).collect();
    open.reverse();
    let mut ordered: Vec<(usize, &Shown)> = Vec::with_capacity(spans.len());
    while let Some((depth, span)) = open.pop() {
        // An id that is there twice must not send anybody around.
        if ordered.len() >= spans.len() {
            break;
        }
        ordered.push((depth, span));
        let children = spans.iter().rev().filter(|child| child.parent == Some(span.id));
        open.extend(children.map(|child| (depth + 1, child)));
    }
    ordered
}
