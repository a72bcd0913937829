//! Where the time of an exchange went, as the kernel side measured it.

use agent_common::record;
use agent_common::schedule::{CAUSES, Cause};
use agent_common::why::{self, Thread, flag, nanos};

use super::Nanos;

/// Where the time between the first bytes of ask and answer went, and how long both lay unread before: the
/// kernel side's own form, read when somebody asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Why {
    said: why::Why,
    /// Between the first bytes of ask and answer.
    all: Nanos,
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

impl Why {
    /// What a record says; none if it makes no sense.
    pub(super) fn of(pair: &record::Pair) -> Option<Self> {
        Thread::of(pair.why.thread)?;
        let all = Nanos(pair.answer.first.saturating_sub(pair.ask.first));
        Some(Self { said: pair.why, all })
    }

    /// What says this, as far as whole units of time can.
    #[cfg(test)]
    pub(crate) fn that(
        thread: Result<Account, Unknown>,
        [unread, unaccepted]: [Option<Nanos>; 2],
        unseen_accept: bool,
    ) -> Self {
        let units = |time: Nanos| why::units(time.0);
        let flags = [
            (unread.is_some(), flag::UNREAD),
            (unaccepted.is_some(), flag::UNACCEPTED),
            (unseen_accept, flag::UNSEEN_ACCEPT),
            (thread.is_ok_and(|account| account.shared), flag::SHARED),
        ];
        let said = why::Why {
            unread: unread.map_or(0, units),
            unaccepted: unaccepted.map_or(0, units),
            flags: flags.iter().map(|(is, flag)| u8::from(*is) * flag).sum(),
            ..why::Why::default()
        };
        let account = match thread {
            Ok(account) => account,
            Err(unknown) => {
                let thread = match unknown {
                    Unknown::Unmeasured => Thread::Off,
                    Unknown::Threads => Thread::Other,
                    Unknown::Unkept => Thread::Unkept,
                };
                let said = why::Why { thread: thread as u8, ..said };
                return Self { said, all: Nanos(0) };
            }
        };
        let Account { ran, queued, throttled, blocked, switches, shared: _ } = account;
        let off = [[ran, queued, throttled].as_slice(), &blocked].concat();
        let said = why::Why {
            queued: units(queued) + units(throttled),
            throttled: units(throttled),
            off: blocked.map(units),
            switches,
            thread: Thread::Same as u8,
            ..said
        };
        Self { said, all: Nanos(off.iter().map(|time| time.0).sum()) }
    }

    /// What the thread did that moved both.
    pub fn thread(&self) -> Result<Account, Unknown> {
        let said = &self.said;
        match Thread::of(said.thread) {
            None | Some(Thread::Off) => Err(Unknown::Unmeasured),
            Some(Thread::Other) => Err(Unknown::Threads),
            Some(Thread::Unkept) => Err(Unknown::Unkept),
            Some(Thread::Same) => {
                let blocked = said.off.map(time);
                let queued = time(said.queued);
                let off = blocked.iter().fold(queued.0, |sum, time| sum.saturating_add(time.0));
                Ok(Account {
                    shared: said.flags & flag::SHARED != 0,
                    ran: Nanos(self.all.0.saturating_sub(off)),
                    queued: Nanos(queued.0.saturating_sub(time(said.throttled).0)),
                    throttled: Nanos(time(said.throttled).0.min(queued.0)),
                    blocked,
                    switches: said.switches,
                })
            }
        }
    }

    /// From the arrival of the first bytes that the process was to read (a server the ask, a client the
    /// answer) to the call that read them.
    pub fn unread(&self) -> Option<Nanos> {
        self.known(flag::UNREAD).then(|| time(self.said.unread))
    }

    /// From established until accepted; of the first exchange of a connection alone.
    pub fn unaccepted(&self) -> Option<Nanos> {
        self.known(flag::UNACCEPTED).then(|| time(self.said.unaccepted))
    }

    /// [`Why::unaccepted`] is the time until the first read: on this host no accept is seen, but the bytes
    /// came before it.
    pub fn is_unseen_accept(&self) -> bool {
        self.known(flag::UNSEEN_ACCEPT)
    }

    fn known(&self, bit: u8) -> bool {
        self.said.flags & bit != 0
    }
}

fn time(units: u32) -> Nanos {
    Nanos(nanos(units))
}

impl Account {
    /// Time waited for this.
    pub fn blocked_by(&self, cause: Cause) -> Nanos {
        self.blocked.get(cause as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use agent_common::record::{Pair, Turn};

    use super::*;

    /// A millisecond, and what a record says of it.
    const MILLI: u64 = 1_048_576;
    const UNITS: u32 = 1024;

    fn pair(why: agent_common::why::Why) -> Pair {
        let turn = |first| Turn { first, ..Turn::default() };
        Pair { ask: turn(MILLI), answer: turn(101 * MILLI), why, ..Pair::default() }
    }

    #[test]
    fn the_parts_of_a_thread_s_time_are_all_of_it() {
        let check = |queued, throttled, off: [u32; CAUSES], ran: u64| {
            let [queued, throttled] = [queued, throttled].map(|millis: u32| millis * UNITS);
            let off = off.map(|millis| millis * UNITS);
            let why =
                agent_common::why::Why { queued, throttled, off, thread: 1, ..Default::default() };
            let found = Why::of(&pair(why)).unwrap().thread().unwrap();
            let blocked = found.blocked.iter().map(|time| time.0).sum::<u64>();
            assert_eq!(found.ran, Nanos(ran * MILLI), "{found:?}");
            let all = found.ran.0 + found.queued.0 + found.throttled.0 + blocked;
            assert!(all == 100 * MILLI || ran == 0, "{found:?}");
        };
        check(0, 0, [0; CAUSES], 100);
        check(40, 30, [1, 2, 3, 4, 5], 45);
        check(30, 40, [0; CAUSES], 70);
        // The clocks of the scheduler and of the records differ by a little.
        check(60, 0, [60, 0, 0, 0, 0], 0);
        check(u32::MAX / UNITS, 0, [u32::MAX / UNITS; CAUSES], 0);
    }

    #[test]
    fn what_was_not_measured_says_so() {
        for (thread, expect) in [
            (0, Some(Unknown::Unmeasured)),
            (2, Some(Unknown::Threads)),
            (3, Some(Unknown::Unkept)),
            (4, None),
        ] {
            let why = agent_common::why::Why { thread, unread: 7, ..Default::default() };
            let found = Why::of(&pair(why));
            assert_eq!(found.map(|why| why.thread().unwrap_err()), expect);
            assert_eq!(found.and_then(|why| why.unread()), None);
        }
        let known = agent_common::why::Why { flags: 6, unread: 1, ..Default::default() };
        let known = Why::of(&pair(known)).unwrap();
        assert_eq!((known.unread(), known.unaccepted()), (Some(Nanos(1024)), Some(Nanos(0))));
    }
}
