//! Which traces are kept, and for how many each of them stands.
//!
//! A tree of spans is judged when it has left the window. What is an error, slower than its route
//! usually is, or marked by whoever began the trace is kept always and stands for itself. Of the rest
//! a share is kept that the trace id decides, so that everybody who sees a part of a trace decides
//! alike (consistent probability sampling); each stands for as many as its threshold says.

mod budget;
#[cfg(test)]
mod tests;
mod threshold;

pub use budget::Budget;
pub use threshold::Threshold;

use super::context::Context;
use super::ids::TraceId;

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
}

impl Why {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Error, Self::Slow, Self::Sampled, Self::Ratio];

    /// Its name as a label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Slow => "slow",
            Self::Sampled => "sampled",
            Self::Ratio => "ratio",
        }
    }
}

impl Left {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::Ratio, Self::Unsampled, Self::ServiceBudget, Self::TotalBudget, Self::Untaken];

    /// Its name as a label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ratio => "not_in_ratio",
            Self::Unsampled => "parent_unsampled",
            Self::ServiceBudget => "service_budget",
            Self::TotalBudget => "total_budget",
            Self::Untaken => "untaken",
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
}

/// Judges a tree: why it is kept, and the threshold its spans were kept by. `contexts` are those in
/// the heads of its requests.
pub fn judge<'a>(
    sampler: &Sampler,
    trace: TraceId,
    traits: Traits,
    contexts: impl Iterator<Item = &'a Context>,
) -> Result<(Why, Threshold), Left> {
    if sampler.tail && traits.error {
        return Ok((Why::Error, Threshold::ALL));
    }
    if sampler.tail && traits.slow {
        return Ok((Why::Slow, Threshold::ALL));
    }
    let (mut randomness, mut marked, mut unmarked) = (trace.randomness(), None, false);
    for context in contexts {
        randomness = context.state.randomness.unwrap_or(randomness);
        match context.sampled {
            Some(true) => {
                // Who does not say by what threshold it sampled may have meant this one alone.
                let threshold = context.state.threshold.unwrap_or(Threshold::ALL);
                marked = Some(marked.map_or(threshold, |known: Threshold| known.min(threshold)));
            }
            Some(false) => unmarked = true,
            None => {}
        }
    }
    match (sampler.parent, marked) {
        // Of all that share this upstream threshold, what is kept here is what lies over the lower
        // of both: with that threshold the spans stand for the right number.
        (Parent::Keeps, Some(threshold)) => {
            return Ok((Why::Sampled, threshold.min(sampler.threshold)));
        }
        (Parent::Decides, Some(threshold)) => return Ok((Why::Sampled, threshold)),
        (Parent::Decides, None) if unmarked => return Err(Left::Unsampled),
        (Parent::Ignored, _) | (Parent::Keeps | Parent::Decides, None) => {}
    }
    if sampler.threshold.keeps(randomness) {
        Ok((Why::Ratio, sampler.threshold))
    } else {
        Err(Left::Ratio)
    }
}
