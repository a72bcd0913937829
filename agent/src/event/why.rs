//! Where the time of an exchange went, as the kernel side measured it.

use agent_common::record;
use agent_common::schedule::{CAUSES, Cause};
use agent_common::why::{Thread, flag, nanos};

use super::Nanos;

/// Where the time between the first bytes of ask and answer went, and how long both lay unread before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Why {
    /// What the thread did that moved both.
    pub thread: Result<Account, Unknown>,
    /// From the arrival of the first bytes that the process was to read (a server the ask, a client the
    /// answer) to the call that read them.
    pub unread: Option<Nanos>,
    /// From established until accepted; of the first exchange of a connection alone.
    pub unaccepted: Option<Nanos>,
}

/// What a thread did for some time. Processor, run queue, quota and waits are all of the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The thread began turns of other exchanges in between, as an event loop does: what it did was not
    /// for this one alone.
    pub shared: bool,
    /// On the processor.
    pub ran: Nanos,
    /// Ready, and waiting for a processor that others used.
    pub queued: Nanos,
    /// Ready, and waiting for the next period of its control group, whose quota was used up.
    pub throttled: Nanos,
    /// Waiting for something else, by [`Cause`].
    pub blocked: [Nanos; CAUSES],
    /// Times it left a processor.
    pub switches: u16,
}

/// Why nothing is known of a thread's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unknown {
    /// Nobody asked for it, there is no answer, or the connection is followed call by call.
    #[default]
    Unmeasured,
    /// Another thread answered.
    Threads,
    /// The kernel side keeps nothing of the thread.
    Unkept,
}

impl Unknown {
    /// Its name as an attribute's value; none where there was nothing to be known.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Unmeasured => None,
            Self::Threads => Some("other_thread"),
            Self::Unkept => Some("no_account"),
        }
    }
}

impl Default for Why {
    fn default() -> Self {
        Self { thread: Err(Unknown::Unmeasured), unread: None, unaccepted: None }
    }
}

impl Why {
    /// What a record says; none if it makes no sense.
    pub(super) fn of(pair: &record::Pair) -> Option<Self> {
        let why = &pair.why;
        let time = |units| Nanos(nanos(units));
        let known = |bit, units| (why.flags & bit != 0).then(|| time(units));
        let thread = match Thread::of(why.thread)? {
            Thread::Off => Err(Unknown::Unmeasured),
            Thread::Other => Err(Unknown::Threads),
            Thread::Unkept => Err(Unknown::Unkept),
            Thread::Same => {
                let blocked = why.off.map(time);
                let queued = time(why.queued);
                let off = blocked.iter().fold(queued.0, |sum, time| sum.saturating_add(time.0));
                let all = pair.answer.first.saturating_sub(pair.ask.first);
                Ok(Account {
                    shared: why.flags & flag::SHARED != 0,
                    ran: Nanos(all.saturating_sub(off)),
                    queued: Nanos(queued.0.saturating_sub(time(why.throttled).0)),
                    throttled: Nanos(time(why.throttled).0.min(queued.0)),
                    blocked,
                    switches: why.switches,
                })
            }
        };
        Some(Self {
            thread,
            unread: known(flag::UNREAD, why.unread),
            unaccepted: known(flag::UNACCEPTED, why.unaccepted),
        })
    }
}

impl Account {
    /// Time waited for this.
    pub fn blocked_by(&self, cause: Cause) -> Nanos {
        self.blocked.get(cause as usize).copied().unwrap_or_default()
    }
}
