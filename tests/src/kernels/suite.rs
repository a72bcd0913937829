//! Which kernels are tried, and which ways of capture each of them offers.

use std::fmt;
use std::str::FromStr;

/// A Debian release, standing for the kernel it ships.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    /// The code name, as the archive spells it.
    pub name: &'static str,
    /// The kernel's series; empty where it is whatever is newest.
    pub series: &'static str,
    /// The capture tiers this kernel can run, best first: tier 1 needs 6.3, tier 2 needs 5.15.
    pub tiers: &'static [Tier],
}

/// Every suite, oldest kernel first.
pub const ALL: [Suite; 4] = [
    Suite { name: "bullseye", series: "5.10", tiers: &[Tier::Syscall] },
    Suite { name: "bookworm", series: "6.1", tiers: &[Tier::Protocol, Tier::Syscall] },
    Suite { name: "trixie", series: "6.12", tiers: &[Tier::Socket, Tier::Protocol, Tier::Syscall] },
    Suite { name: "sid", series: "", tiers: &[Tier::Socket, Tier::Protocol, Tier::Syscall] },
];

impl FromStr for Suite {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        ALL.into_iter().find(|suite| suite.name == name).ok_or_else(|| {
            let known: Vec<_> = ALL.iter().map(|suite| suite.name).collect();
            format!("no suite {name:?}; there are {}", known.join(", "))
        })
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name)
    }
}

/// Where the agent takes the bytes of a socket, as its flag `--capture-tier` numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Tier 1, the tracepoints of sockets.
    Socket,
    /// Tier 2, `fexit` on the protocols' receive and send.
    Protocol,
    /// Tier 3, exits of the read and write syscalls.
    Syscall,
}

/// What is asked of the agent: to choose, or one tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The agent chooses the best that the kernel offers.
    Auto,
    /// The agent is told.
    Only(Tier),
}

impl Tier {
    /// As the agent numbers it.
    pub fn number(self) -> u64 {
        match self {
            Self::Socket => 1,
            Self::Protocol => 2,
            Self::Syscall => 3,
        }
    }
}

impl Asked {
    /// The tier that shall be active on a kernel of `suite`: the best when the agent may choose.
    pub fn expected_on(self, suite: Suite) -> Option<Tier> {
        match self {
            Self::Auto => suite.tiers.first().copied(),
            Self::Only(tier) => Some(tier),
        }
    }

    /// The word of the agent's flag.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Only(Tier::Socket) => "1",
            Self::Only(Tier::Protocol) => "2",
            Self::Only(Tier::Syscall) => "3",
        }
    }

    /// Whether a kernel of `suite` can do what is asked.
    pub fn offered_by(self, suite: Suite) -> bool {
        match self {
            Self::Auto => true,
            Self::Only(tier) => suite.tiers.contains(&tier),
        }
    }
}

/// What the command line's `--tier` takes: one word of [`Asked`], `usual` or `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierChoice {
    /// One start of each machine.
    One(Asked),
    /// A start for the agent's own choice, and one for tier 3 where that is another.
    Usual,
    /// A start for the agent's own choice and one for each tier that the kernel offers.
    All,
}

impl TierChoice {
    /// What is tried on a kernel of `suite`, in order; empty when the kernel does not offer the tier.
    pub fn on(self, suite: Suite) -> Vec<Asked> {
        match self {
            Self::One(asked) if asked.offered_by(suite) => vec![asked],
            Self::One(_) => Vec::new(),
            Self::Usual if suite.tiers.first() == Some(&Tier::Syscall) => vec![Asked::Auto],
            Self::Usual => vec![Asked::Auto, Asked::Only(Tier::Syscall)],
            Self::All => std::iter::once(Asked::Auto)
                .chain(suite.tiers.iter().copied().map(Asked::Only))
                .collect(),
        }
    }
}

impl FromStr for TierChoice {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "auto" => Ok(Self::One(Asked::Auto)),
            "1" => Ok(Self::One(Asked::Only(Tier::Socket))),
            "2" => Ok(Self::One(Asked::Only(Tier::Protocol))),
            "3" => Ok(Self::One(Asked::Only(Tier::Syscall))),
            "usual" => Ok(Self::Usual),
            "all" => Ok(Self::All),
            _ => Err(format!("no tier {word:?}; there are auto, 1, 2, 3, usual, all")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_only_the_tiers_a_kernel_offers() {
        let check = |choice: &str, suite: &str, expect: &[&str]| {
            let (choice, suite) =
                (TierChoice::from_str(choice).unwrap(), Suite::from_str(suite).unwrap());
            let words: Vec<_> = choice.on(suite).into_iter().map(Asked::as_str).collect();
            assert_eq!(words, expect, "{choice:?} on {suite}");
        };
        check("auto", "bullseye", &["auto"]);
        check("1", "bullseye", &[]);
        check("3", "bullseye", &["3"]);
        check("usual", "bullseye", &["auto"]);
        check("usual", "bookworm", &["auto", "3"]);
        check("usual", "sid", &["auto", "3"]);
        check("all", "bullseye", &["auto", "3"]);
        check("all", "bookworm", &["auto", "2", "3"]);
        check("all", "trixie", &["auto", "1", "2", "3"]);
    }

    #[test]
    fn expects_the_best_tier_where_the_agent_chooses() {
        let check = |asked: Asked, suite: &str, expect: Option<u64>| {
            let tier = asked.expected_on(Suite::from_str(suite).unwrap());
            assert_eq!(tier.map(Tier::number), expect, "{asked:?} on {suite}");
        };
        check(Asked::Auto, "bullseye", Some(3));
        check(Asked::Auto, "bookworm", Some(2));
        check(Asked::Auto, "sid", Some(1));
        check(Asked::Only(Tier::Syscall), "sid", Some(3));
    }

    #[test]
    fn names_what_there_is_when_a_word_is_unknown() {
        assert!(Suite::from_str("buster").unwrap_err().contains("bullseye, bookworm, trixie, sid"));
        assert!(TierChoice::from_str("4").unwrap_err().contains("auto, 1, 2, 3, usual, all"));
    }
}
