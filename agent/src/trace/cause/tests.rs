//! Who called for whom: found where the steps show it, by threads and by slices, and never wrong whatever
//! a scheduler does.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of these tests are small")]

use proptest::prelude::*;

use super::*;
use crate::protocol::{Opened, Steps};
use crate::trace::tests::{Ask, asked, served};

const PLACE: u16 = 9;
/// Calls that make a kind known.
const KNOWN: usize = 18;

/// What a call was given to, and its request in truth.
type Verdict = (Result<(usize, By), Missing>, Option<usize>);
/// What a request has left to do: calls, by a timer or at once.
type Rest = (usize, Vec<bool>);

/// The steps of one process, written down as they happen: each is told how much later than the last.
#[derive(Default)]
struct Script {
    now: u64,
    /// It is a program of Go.
    routines: bool,
    exchanges: Vec<Told>,
}

impl Processes for bool {
    fn has_goroutines(&mut self, _: Pid, _: Timestamp) -> bool {
        *self
    }
}

#[derive(Clone, Copy)]
struct Told {
    role: Role,
    waits: bool,
    opened: Option<Opened>,
    /// Who asked, if that is a goroutine, and whether the same answered.
    routine: (u32, bool),
    /// When all of it had been read.
    taken: u64,
    /// The connection, if that matters.
    conn: Option<u64>,
    asked: (u64, u32, u32),
    answered: Option<(u64, u32, u32)>,
    over: Option<u64>,
    /// The request it is made for, in truth.
    of: Option<usize>,
}

impl Script {
    /// One whose calls are known well enough.
    fn known() -> Self {
        let mut script = Self::default();
        for n in 0..KNOWN {
            if n == 1 {
                script.now += 2_000_000_000;
            }
            let request = script.reads((A, 0));
            let call = script.calls((A, 0), request);
            script.answers(call, (A, 0));
            script.answers(request, (A, 0));
        }
        script
    }

    fn at(&mut self) -> u64 {
        self.now += 10;
        self.now
    }

    fn begin(&mut self, role: Role, (tid, stretch): (u32, u32), of: Option<usize>) -> usize {
        let asked = (self.at(), tid, stretch);
        let routine = (0, false);
        let (answered, over) = (None, None);
        let (waits, opened, taken, conn) = (false, None, 0, None);
        let told = Told { role, waits, opened, routine, taken, conn, asked, answered, over, of };
        self.exchanges.push(told);
        self.exchanges.len() - 1
    }

    /// A request is read.
    fn reads(&mut self, hand: (u32, u32)) -> usize {
        self.begin(Role::Server, hand, None)
    }

    /// The same by a call that would have waited.
    fn waits(&mut self, hand: (u32, u32)) -> usize {
        let request = self.reads(hand);
        self.exchanges[request].waits = true;
        request
    }

    /// A goroutine did that, and answers if it is the `same`.
    fn by(&mut self, exchange: usize, routine: u32, same: bool) -> usize {
        self.exchanges[exchange].routine = (routine, same);
        exchange
    }

    /// A call is sent.
    fn calls(&mut self, hand: (u32, u32), of: impl Into<Option<usize>>) -> usize {
        self.begin(Role::Client, hand, of.into())
    }

    /// A call's answer is read, or a request's written.
    fn answers(&mut self, exchange: usize, (tid, stretch): (u32, u32)) {
        let at = self.at();
        self.exchanges[exchange].answered = Some((at, tid, stretch));
        self.exchanges[exchange].over = Some(at);
    }

    /// All of it, come in the order they were over. Gives each call's request, its own word and the truth.
    fn told(&self) -> Vec<Verdict> {
        let mut causes = Causes::new(true);
        let mut order: Vec<usize> = (0..self.exchanges.len()).collect();
        order.sort_by_key(|at| self.exchanges[*at].over);
        let mut window = Window::new(crate::trace::tests::config().wanted);
        let mut places = vec![window.next(); order.len()];
        for index in order {
            let pending = self.pending(index, &mut window);
            places[index] = window.next();
            window.push(pending, Timestamp(0));
        }
        causes.learn(&window, &mut self.routines.clone());
        causes.complete(Timestamp(u64::MAX), &window);
        assert_eq!(causes.lost(), 0);
        let calls =
            self.exchanges.iter().zip(&places).filter(|(told, _)| told.role == Role::Client);
        calls
            .map(|(told, at)| {
                let found = causes.parent(*at, Pid(1)).map(|(parent, by)| {
                    assert!(causes.children(parent).contains(at));
                    (places.iter().position(|at| *at == parent).unwrap(), by)
                });
                (found, told.of)
            })
            .collect()
    }

    fn pending(&self, index: usize, window: &mut Window) -> Pending {
        let told = self.exchanges[index];
        let over = told.over.unwrap_or(self.now + 10);
        let ask = match told.role {
            Role::Server => served("/", 200, (told.asked.0, over)),
            Role::Client => asked("/", 200, (told.asked.0, over)),
        };
        let conn = told.conn.unwrap_or(index as u64 + 1);
        let peer = Peer { port: PLACE, ..ask.peer };
        let (answered, answered_by, stretch) = told.answered.unwrap_or_default();
        let course = Course {
            asked_by: told.asked.1,
            answered_by,
            answered: told.answered.map(|_| Timestamp(answered)),
            routine: told.routine.0,
            same: told.routine.1,
            taken: Timestamp(told.taken),
            steps: Steps {
                asked: told.asked.2,
                answered: stretch,
                waits: told.waits,
                opened: told.opened,
            },
            ..Course::default()
        };
        Ask { conn, entity: 1, peer, course, ..ask }.pending(window)
    }

    fn check(&self, known: usize, expect: &[Result<By, Missing>]) {
        let told = self.told();
        assert_never_wrong(&told);
        let found: Vec<_> =
            told.iter().skip(known).map(|(found, _)| found.map(|(_, by)| by)).collect();
        assert_eq!(found, expect);
    }
}

fn assert_never_wrong(told: &[Verdict]) {
    for (at, (found, truth)) in told.iter().enumerate() {
        if let Ok((found, by)) = found {
            assert_eq!(Some(*found), *truth, "call {at} by {by:?}");
        }
    }
}

const A: u32 = 7;
const B: u32 = 8;

#[test]
fn a_thread_that_waits_for_a_request_calls_for_it_alone() {
    let mut script = Script::default();
    let one = script.waits((A, 1));
    let two = script.waits((B, 1));
    let calls = [script.calls((A, 1), one), script.calls((B, 4), two), script.calls((A, 5), one)];
    let own = script.calls((9, 3), None);
    for call in calls {
        script.answers(call, (A, 9));
    }
    script.answers(one, (A, 9));
    script.answers(two, (B, 9));
    let late = script.calls((A, 9), None);
    script.answers(own, (9, 4));
    script.answers(late, (A, 9));
    let thread = Ok(By::Thread);
    script.check(0, &[thread, thread, thread, Err(Missing::Cause), Err(Missing::Idle)]);
}

#[test]
fn a_goroutine_calls_for_the_request_it_has_on_whatever_thread() {
    const BLUE: u32 = 100;
    const RED: u32 = 200;
    for routines in [true, false] {
        let mut script = Script { routines, ..Script::default() };
        let one = script.reads((A, 1));
        let two = script.reads((A, 1));
        script.by(one, BLUE, true);
        script.by(two, RED, true);
        let calls =
            [script.calls((A, 1), one), script.calls((B, 4), two), script.calls((A, 5), one)];
        for (call, by) in calls.into_iter().zip([BLUE, RED, BLUE]) {
            script.by(call, by, false);
            script.answers(call, (B, 9));
        }
        let own = script.calls((A, 5), None);
        script.by(own, 300, false);
        script.answers(own, (A, 5));
        script.answers(one, (B, 9));
        script.answers(two, (A, 9));
        let (by, cause) = (Ok(By::Goroutine), Err(Missing::Cause));
        let unknown = [Err(Missing::Ambiguous), cause, cause, cause];
        script.check(0, &if routines { [by, by, by, cause] } else { unknown });
    }
}

#[test]
fn a_goroutine_that_only_reads_or_has_two_says_nothing() {
    // Another answers: net/http may have read a request's first byte ahead.
    let mut script = Script { routines: true, ..Script::default() };
    let one = script.reads((A, 1));
    script.by(one, 100, false);
    let call = script.calls((A, 1), None);
    script.by(call, 100, false);
    script.answers(call, (A, 1));
    script.answers(one, (A, 1));
    script.check(0, &[Err(Missing::Cause)]);
    // It reads two.
    let mut script = Script { routines: true, ..Script::default() };
    let one = script.reads((A, 1));
    let two = script.reads((A, 1));
    for request in [one, two] {
        script.by(request, 100, true);
    }
    let call = script.calls((A, 1), one);
    script.by(call, 100, false);
    script.answers(call, (A, 1));
    script.answers(one, (A, 1));
    script.answers(two, (A, 1));
    script.check(0, &[Err(Missing::Ambiguous)]);
}

#[test]
fn a_goroutine_says_nothing_before_it_has_all_of_the_request() {
    // Another has read the first byte meanwhile: what is sent is for the request before.
    let mut script = Script { routines: true, ..Script::default() };
    let one = script.reads((A, 1));
    script.by(one, 100, true);
    let call = script.calls((A, 1), None);
    script.by(call, 100, false);
    script.answers(call, (A, 1));
    script.exchanges[one].taken = script.at();
    let own = script.calls((A, 1), one);
    script.by(own, 100, false);
    script.answers(own, (A, 1));
    script.answers(one, (A, 1));
    script.check(0, &[Err(Missing::Cause), Ok(By::Goroutine)]);
}

#[test]
fn a_goroutine_that_goes_back_and_forth_between_connections_says_nothing() {
    let mut script = Script { routines: true, ..Script::default() };
    let mut expect = Vec::new();
    for (n, conn) in [1001, 1001, 1002, 1001, 1002].into_iter().enumerate() {
        let request = script.reads((A, n as u32));
        script.by(request, 100, true);
        script.exchanges[request].conn = Some(conn);
        let call = script.calls((A, n as u32), request);
        script.by(call, 100, false);
        script.answers(call, (A, n as u32));
        script.answers(request, (A, n as u32));
        // A worker may take up another connection when one has ended, but it does not come back to that.
        expect.push(if n < 3 { Ok(By::Goroutine) } else { Err(Missing::Cause) });
    }
    let found: Vec<_> =
        script.told().into_iter().map(|(found, _)| found.map(|(_, by)| by)).collect();
    assert_eq!(found[..3], expect[..3]);
    assert!(!found[3..].contains(&Ok(By::Goroutine)), "{found:?}");
}

#[test]
fn a_thread_that_hands_requests_on_says_nothing() {
    // It reads two; others answer.
    let mut script = Script::default();
    let one = script.waits((A, 1));
    let two = script.waits((A, 2));
    let call = script.calls((A, 3), one);
    script.answers(call, (A, 4));
    script.answers(one, (A, 5));
    script.answers(two, (A, 6));
    script.check(0, &[Err(Missing::Cause)]);
    // It reads one and another thread answers.
    let mut script = Script::default();
    let one = script.waits((A, 1));
    let call = script.calls((A, 2), None);
    script.answers(call, (A, 3));
    script.answers(one, (B, 5));
    script.check(0, &[Err(Missing::Cause)]);
}

#[test]
fn a_circle_of_slices_is_closed() {
    // Two requests in one loop, each a call behind its own read, each answered behind the call's answer.
    let mut script = Script::known();
    let one = script.reads((A, 1));
    let first = script.calls((A, 1), one);
    let two = script.reads((A, 1));
    let second = script.calls((A, 1), two);
    script.answers(second, (A, 2));
    let third = script.calls((A, 2), two);
    script.answers(first, (A, 2));
    script.answers(one, (A, 2));
    script.answers(third, (A, 3));
    script.answers(two, (A, 3));
    script.check(KNOWN, &[Ok(By::Slice); 3]);
}

#[test]
fn calls_at_once_go_with_the_last_of_them_if_their_request_is_alone() {
    let at_once = |more: bool| {
        let mut script = Script::known();
        let other = more.then(|| script.reads((A, 1)));
        let one = script.reads((A, 2));
        let calls = [(); 3].map(|()| script.calls((A, 2), one));
        for call in calls {
            script.answers(call, (A, 3));
        }
        script.answers(one, (A, 3));
        if let Some(other) = other {
            script.answers(other, (A, 4));
        }
        script
    };
    at_once(false).check(KNOWN, &[Ok(By::Slice); 3]);
    let last = [Err(Missing::Cause), Err(Missing::Cause), Ok(By::Slice)];
    at_once(true).check(KNOWN, &last);
}

#[test]
fn a_call_that_a_timer_sends_is_not_the_last_reader_s() {
    let mut script = Script::known();
    let one = script.reads((A, 1));
    let two = script.reads((A, 2));
    let call = script.calls((A, 2), one);
    script.answers(call, (A, 3));
    script.answers(one, (A, 3));
    script.answers(two, (A, 4));
    script.check(KNOWN, &[Err(Missing::Cause)]);
}

#[test]
fn a_connection_s_first_request_belongs_to_who_opened_it() {
    let mut script = Script::known();
    let mut requests = Vec::new();
    for _ in 0..2 {
        let request = script.reads((A, 1));
        let at = Timestamp(script.at());
        requests.push((request, Opened { at, by: A, stretch: 1 }));
    }
    let mut calls = Vec::new();
    for (request, opened) in &requests {
        let call = script.calls((A, 2), *request);
        script.exchanges[call].opened = Some(*opened);
        calls.push(call);
    }
    for ((request, _), call) in requests.iter().zip(calls).rev() {
        script.answers(call, (A, 3));
        script.answers(*request, (A, 3));
    }
    script.check(KNOWN, &[Ok(By::Slice); 2]);
}

/// One request of a simulated process: so many calls one after the other, each at once or by a timer.
#[derive(Clone, Debug)]
struct Plan {
    calls: Vec<bool>,
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let plan = prop::collection::vec(prop::bool::weighted(0.2), 0..3);
    prop::collection::vec(plan.prop_map(|calls| Plan { calls }), 1..12)
}

/// An event loop as they are: what a read sets off runs at once, or turns of the loop later, in order;
/// timers fire whenever they like; it sleeps when it feels like it. Calls of its own come in between.
fn event_loop(
    plans: &[Plan],
    later: usize,
    own: bool,
    dice: &mut impl FnMut(usize) -> usize,
) -> Script {
    let mut script = if own { Script::default() } else { Script::known() };
    let mut stretch = 1;
    if own {
        // It shows itself when nothing is in hand.
        let first = script.reads((A, 0));
        script.answers(first, (A, 0));
        script.now += 2_000_000_000;
        let call = script.calls((A, 0), None);
        script.answers(call, (A, 0));
    }
    let mut left: Vec<Plan> = plans.to_vec();
    // Requests that go on now (turns of the loop left), by a timer, and with calls under way.
    let mut queue: Vec<(usize, usize, Vec<bool>)> = Vec::new();
    let mut timers: Vec<Rest> = Vec::new();
    let mut under_way: Vec<(usize, Option<Rest>)> = Vec::new();
    for _ in 0..300 {
        if left.is_empty() && queue.is_empty() && timers.is_empty() && under_way.is_empty() {
            break;
        }
        let hand = (A, stretch);
        let mut ready: Vec<Rest> = Vec::new();
        // One turn of the loop: what is due goes first, then a few reads.
        queue.retain_mut(|(turns, request, calls)| {
            *turns = turns.saturating_sub(1);
            if *turns == 0 {
                ready.push((*request, std::mem::take(calls)));
            }
            *turns > 0
        });
        if !timers.is_empty() && dice(4) == 0 {
            let at = dice(timers.len());
            ready.push(timers.swap_remove(at));
        }
        let act = |script: &mut Script,
                   (request, mut calls): Rest,
                   timers: &mut Vec<Rest>,
                   under_way: &mut Vec<(usize, Option<Rest>)>,
                   fired: bool| {
            match calls.first() {
                None => script.answers(request, hand),
                Some(true) if !fired => {
                    calls[0] = false;
                    timers.push((request, calls));
                }
                Some(_) => {
                    calls.remove(0);
                    let call = script.calls(hand, request);
                    under_way.push((call, Some((request, calls))));
                }
            }
        };
        for one in ready {
            act(&mut script, one, &mut timers, &mut under_way, true);
        }
        if own && dice(5) == 0 {
            let call = script.calls(hand, None);
            under_way.push((call, None));
        }
        for _ in 0..dice(3) {
            let go = if !left.is_empty() && (under_way.is_empty() || dice(2) == 0) {
                let request = script.reads(hand);
                (request, left.pop().unwrap().calls)
            } else if !under_way.is_empty() {
                let at = dice(under_way.len());
                let (call, of) = under_way.swap_remove(at);
                script.answers(call, hand);
                let Some(of) = of else { continue };
                of
            } else {
                continue;
            };
            if later == 0 {
                act(&mut script, go, &mut timers, &mut under_way, false);
            } else {
                queue.push((later, go.0, go.1));
            }
        }
        if queue.is_empty() && dice(3) == 0 {
            stretch += 1;
        }
    }
    script
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_event_loop_s_calls_are_never_given_to_strangers(
        plans in plans(),
        later in 0_usize..4,
        own in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut state = seed | 1;
        let mut dice = |sides: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % sides.max(1)
        };
        let script = event_loop(&plans, later, own, &mut dice);
        assert_never_wrong(&script.told());
    }

    #[test]
    fn threads_that_wait_are_never_given_to_strangers(
        plans in plans(),
        threads in 1_u32..5,
        seed in any::<u64>(),
    ) {
        let mut state = seed | 1;
        let mut dice = |sides: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % sides.max(1)
        };
        let mut script = Script::default();
        let mut left = plans.clone();
        // What each thread does: its request, calls left, the call under way.
        let mut hands: Vec<Option<(usize, usize, Option<usize>)>> = vec![None; threads as usize];
        let mut stretches = vec![0_u32; threads as usize];
        for _ in 0..5000 {
            if left.is_empty() && hands.iter().all(Option::is_none) {
                break;
            }
            let at = dice(hands.len());
            stretches[at] += dice(2) as u32;
            let hand = (at as u32 + 1, stretches[at]);
            hands[at] = match hands[at] {
                None => left.pop().map(|plan| (script.waits(hand), plan.calls.len(), None)),
                Some((request, calls, Some(call))) => {
                    script.answers(call, hand);
                    Some((request, calls, None))
                }
                Some((request, 0, None)) => {
                    script.answers(request, hand);
                    None
                }
                Some((request, calls, None)) => {
                    let call = script.calls(hand, request);
                    Some((request, calls - 1, Some(call)))
                }
            };
        }
        let told = script.told();
        assert_never_wrong(&told);
        prop_assert!(told.iter().all(|(found, _)| found.is_ok()));
    }
}
