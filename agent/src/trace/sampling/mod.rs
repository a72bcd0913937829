//! Which traces are kept, and for how many each of them stands.
//!
//! A tree of spans is decided on when its first has waited for the window. What is an error, slower than
//! its route usually is, has not ended, or is marked by whoever began the trace is worth keeping and stands for
//! itself. Of the rest a share is kept that the trace id decides, so that everybody who sees a part of a
//! trace decides alike (consistent probability sampling); each stands for as many as its threshold says.
//!
//! The threshold told of a span (`tracestate`, `ot=th:`) is the one of the rule that kept it, so that
//! each request was kept with the probability its span tells:
//!
//! | kept because of | threshold | why that is right |
//! |---|---|---|
//! | an error, slowness, no end yet | 0 | none depends on the randomness: all of these are kept |
//! | the mark, with a threshold | the lower of that one and the own | both would keep what is above the lower |
//! | the mark alone | 0 | what is not marked is judged by the own share: nothing is counted twice |
//! | the mark alone, and what is not marked is left | none: unknown | who marked it did not say how many it left |
//! | the share | the own | |
//!
//! Where a budget would be used up, thresholds are raised (see [`Budget`]), and where not all are looked at they
//! are raised by the share that is (see [`Admission`](super::admission::Admission)): a kept span then stands for
//! more, and no count is wrong.

mod budget;
#[cfg(test)]
mod tests;
mod threshold;

pub use budget::Budget;
pub use threshold::Threshold;

use super::context::Context;

/// How to sample: the share of the rest, and what a parent's word means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// What of the rest is kept.
    pub threshold: Threshold,
    /// What the context in a request's head is to decide.
    pub parent: Parent,
    /// Keep errors and what is slow, whatever else is said.
    pub tail: bool,
}

impl Sampler {
    /// Whether nothing can be kept, whatever a tree is.
    pub fn is_off(&self) -> bool {
        !self.tail && self.threshold == Threshold::NONE && self.parent == Parent::Ignored
    }
}

/// What the context in a request's head is to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// What it marks is kept; what it does not mark is judged like any other.
    Keeps,
    /// What it marks is kept, and what it says is not sampled is not.
    Decides,
    /// Nothing.
    Ignored,
}

/// Why a tree of spans is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// One of them is an error.
    Error,
    /// One of them is slower than its route's own p99, or than the fixed limit.
    Slow,
    /// Whoever began the trace marked it as sampled.
    Sampled,
    /// It is of the share that is kept.
    Ratio,
    /// One of them has not ended.
    Open,
}

/// Why a tree of spans is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It is not of the share that is kept.
    Ratio,
    /// Whoever began the trace does not keep it.
    Unsampled,
    /// A service has used up its spans of this second.
    ServiceBudget,
    /// All have.
    TotalBudget,
    /// Nobody took it before there was no more room.
    Untaken,
    /// More came than are looked at.
    Rate,
}

impl Why {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Error, Self::Slow, Self::Sampled, Self::Ratio, Self::Open];

    /// Its name as a label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Slow => "slow",
            Self::Sampled => "sampled",
            Self::Ratio => "ratio",
            Self::Open => "in_flight",
        }
    }
}

impl Left {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Ratio,
        Self::Unsampled,
        Self::ServiceBudget,
        Self::TotalBudget,
        Self::Untaken,
        Self::Rate,
    ];

    /// Its name as a label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ratio => "not_in_ratio",
            Self::Unsampled => "parent_unsampled",
            Self::ServiceBudget => "service_budget",
            Self::TotalBudget => "total_budget",
            Self::Untaken => "untaken",
            Self::Rate => "rate_limit",
        }
    }
}

/// What of a tree decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traits {
    /// One of them is an error.
    pub error: bool,
    /// One of them is slow.
    pub slow: bool,
    /// One of them has not ended.
    pub open: bool,
}

/// A tree that is to be kept, as far as a budget allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Why.
    pub why: Why,
    /// The threshold it was kept by; none if that is not known.
    pub threshold: Option<Threshold>,
    /// The trace's randomness.
    pub randomness: u64,
}

/// Judges a tree of some randomness. `contexts` are those in the heads of its requests.
pub fn judge<'a>(
    sampler: &Sampler,
    mut randomness: u64,
    traits: Traits,
    contexts: impl Iterator<Item = &'a Context>,
) -> Result<Judged, Left> {
    let (mut marked, mut unmarked) = (Mark::None, false);
    for context in contexts {
        randomness = context.state.randomness.unwrap_or(randomness);
        match context.sampled {
            Some(true) => marked = marked.and(context.state.threshold),
            Some(false) => unmarked = true,
            None => {}
        }
    }
    let keep = |why, threshold| Ok(Judged { why, threshold, randomness });
    if sampler.tail && traits.error {
        return keep(Why::Error, Some(Threshold::ALL));
    }
    if sampler.tail && traits.slow {
        return keep(Why::Slow, Some(Threshold::ALL));
    }
    if sampler.tail && traits.open {
        return keep(Why::Open, Some(Threshold::ALL));
    }
    match (sampler.parent, marked) {
        (Parent::Keeps, Mark::By(threshold)) => {
            return keep(Why::Sampled, Some(threshold.min(sampler.threshold)));
        }
        (Parent::Keeps, Mark::Alone) => return keep(Why::Sampled, Some(Threshold::ALL)),
        (Parent::Decides, Mark::By(threshold)) => return keep(Why::Sampled, Some(threshold)),
        (Parent::Decides, Mark::Alone) => return keep(Why::Sampled, None),
        (Parent::Decides, Mark::None) if unmarked => return Err(Left::Unsampled),
        (Parent::Ignored, _) | (Parent::Keeps | Parent::Decides, Mark::None) => {}
    }
    if sampler.threshold.keeps(randomness) {
        keep(Why::Ratio, Some(sampler.threshold))
    } else {
        Err(Left::Ratio)
    }
}

/// What the contexts of a tree say of its being sampled.
#[derive(Clone, Copy)]
enum Mark {
    /// Nothing.
    None,
    /// That it is, by this threshold.
    By(Threshold),
    /// That it is, and not by what threshold.
    Alone,
}

impl Mark {
    /// The same with one context more that is marked: the lower threshold of both.
    fn and(self, threshold: Option<Threshold>) -> Self {
        match (self, threshold) {
            (Self::None, Some(more)) => Self::By(more),
            (Self::By(known), Some(more)) => Self::By(known.min(more)),
            (_, None) | (Self::Alone, _) => Self::Alone,
        }
    }
}
