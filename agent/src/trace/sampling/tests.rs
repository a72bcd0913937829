//! The arithmetic of sampling: what is kept stands for what there was.

use crate::trace::ids::TraceId;
use proptest::prelude::*;

use super::*;
use crate::entity::EntityId;
use crate::event::Timestamp;
use crate::protocol::Lines;
use crate::trace::context;
use crate::trace::ids::Ids;

fn sampler(share: f64, parent: Parent) -> Sampler {
    Sampler { threshold: Threshold::of_share(share), parent, tail: true }
}

fn parent(flags: &str, state: &str) -> Context {
    let head = format!(
        "GET / HTTP/1.1\r\ntraceparent: 00-000000000000000000ff000000000000-00f067aa0ba902b7-{flags}\r\n\
         tracestate: {state}\r\n\r\n"
    );
    context::read(&Lines::new(head.as_bytes(), false)).context.unwrap()
}

/// The id of a trace that begins at a place.
fn fresh(ids: &mut Ids, place: u32) -> TraceId {
    let number = ids.number(place.into());
    ids.trace(number)
}

#[test]
fn thresholds_are_written_as_the_specification_has_them() {
    let check = |share, text: &str, count: f64| {
        let threshold = Threshold::of_share(share);
        assert_eq!(threshold.to_string(), text, "{share}");
        assert!((threshold.adjusted_count() / count - 1.0).abs() < 1e-9, "{share}");
        if share > 0.0 {
            assert_eq!(Threshold::parse(text), Some(threshold));
        }
    };
    check(1.0, "0", 1.0);
    check(0.5, "8", 2.0);
    check(0.25, "c", 4.0);
    check(0.125, "e", 8.0);
    check(0.1, "e6666666666666", 10.0);
    check(7.0, "0", 1.0);
    assert_eq!(Threshold::of_share(f64::NAN), Threshold::NONE);
    assert!(!Threshold::NONE.keeps((1 << 56) - 1));
    for text in ["", "g", "C", "-1", "+1", "123456789012345"] {
        assert_eq!(Threshold::parse(text), None, "{text}");
    }
}

#[test]
fn a_share_of_random_ids_is_kept_and_stands_for_all() {
    const N: u32 = 100_000;
    let mut ids = Ids::new([7, 7, 7, 7]);
    let all: Vec<TraceId> = (0..N).map(|n| fresh(&mut ids, n)).collect();
    for share in [1.0, 0.5, 0.1, 0.01] {
        let sampler = sampler(share, Parent::Keeps);
        let weight: f64 = all
            .iter()
            .filter_map(|id| {
                judge(&sampler, id.randomness(), Traits::default(), std::iter::empty()).ok()
            })
            .map(|judged| judged.threshold.unwrap().adjusted_count())
            .sum();
        // Five standard deviations of a binomial count, weighted.
        let bound = 5.0 * (f64::from(N) * (1.0 - share) / share).sqrt() + 1e-6;
        assert!((weight - f64::from(N)).abs() <= bound, "{share}: {weight}");
    }
}

#[test]
fn who_keeps_less_keeps_a_part_of_what_the_other_keeps() {
    let mut ids = Ids::new([1, 2, 3, 4]);
    let (less, more) = (sampler(0.05, Parent::Keeps), sampler(0.2, Parent::Keeps));
    for n in 0..10_000 {
        let id = fresh(&mut ids, n);
        let keeps = |s| judge(s, id.randomness(), Traits::default(), std::iter::empty()).is_ok();
        assert!(!keeps(&less) || keeps(&more));
    }
}

#[test]
fn worth_decides_before_the_share_does() {
    let id = TraceId([0; 16]).randomness();
    let none = std::iter::empty;
    let error = Traits { error: true, slow: true, open: false };
    let slow = Traits { error: false, slow: true, open: true };
    let keeps = sampler(0.01, Parent::Keeps);
    let all = |why| Ok(Judged { why, threshold: Some(Threshold::ALL), randomness: 0 });
    assert_eq!(judge(&keeps, id, error, none()), all(Why::Error));
    assert_eq!(judge(&keeps, id, slow, none()), all(Why::Slow));
    assert_eq!(judge(&keeps, id, Traits::default(), none()), Err(Left::Ratio));
    let off = Sampler { threshold: Threshold::NONE, parent: Parent::Ignored, tail: false };
    assert_eq!(judge(&off, id, error, [parent("01", "")].iter()), Err(Left::Ratio));
}

#[test]
fn a_parents_word_counts_as_the_sampler_says() {
    let id = parent("00", "").trace.randomness();
    let check = |share, rule, flags: &str, state: &str, expect: Result<(Why, &str), Left>| {
        let context = parent(flags, state);
        let judged = judge(&sampler(share, rule), id, Traits::default(), [context].iter());
        let text =
            |threshold: Option<Threshold>| threshold.map_or("?".to_owned(), |t| t.to_string());
        let judged = judged.map(|judged| (judged.why, text(judged.threshold)));
        let expect = expect.map(|(why, text)| (why, text.to_owned()));
        assert_eq!(judged, expect, "{share} {rule:?} {flags} {state}");
    };
    let (keeps, decides, ignored) = (Parent::Keeps, Parent::Decides, Parent::Ignored);
    check(0.5, keeps, "01", "", Ok((Why::Sampled, "0")));
    check(0.25, keeps, "01", "ot=th:8", Ok((Why::Sampled, "8")));
    check(0.5, keeps, "01", "ot=th:c", Ok((Why::Sampled, "8")));
    // The id's randomness is 0xff000000000000.
    check(0.5, keeps, "00", "", Ok((Why::Ratio, "8")));
    check(0.001, keeps, "00", "", Err(Left::Ratio));
    check(0.5, keeps, "00", "ot=rv:00000000000001", Err(Left::Ratio));
    check(1.0, decides, "00", "", Err(Left::Unsampled));
    check(0.5, decides, "01", "ot=th:c", Ok((Why::Sampled, "c")));
    check(0.5, decides, "01", "", Ok((Why::Sampled, "?")));
    check(0.001, ignored, "01", "", Err(Left::Ratio));
    check(1.0, ignored, "00", "", Ok((Why::Ratio, "0")));
}

proptest! {
    /// Whatever threshold the one upstream used, the spans kept here stand for all its requests.
    #[test]
    fn an_upstream_threshold_leaves_the_counts_right(up in 1u32..=10, own in 1u32..=10, seed: u64) {
        const N: u32 = 4000;
        let (up, own) = (f64::from(up) / 10.0, f64::from(own) / 10.0);
        let upstream = Threshold::of_share(up);
        let sampler = sampler(own, Parent::Keeps);
        let mut ids = Ids::new([seed, 1, 2, 3]);
        let mut weight = 0.0;
        for n in 0..N {
            let id = fresh(&mut ids, n);
            let sampled = upstream.keeps(id.randomness());
            // Who does not sample says no threshold either.
            let state = if sampled { format!("ot=th:{upstream}") } else { String::new() };
            let context = parent(if sampled { "01" } else { "00" }, &state);
            if let Ok(judged) = judge(&sampler, id.randomness(), Traits::default(), [context].iter()) {
                weight += judged.threshold.unwrap().adjusted_count();
            }
        }
        let share = up.max(own);
        let bound = 6.0 * (f64::from(N) * (1.0 - share) / share).sqrt() + 1e-6;
        prop_assert!((weight - f64::from(N)).abs() <= bound, "{weight}");
    }
}

/// A tree that is to be kept for its worth.
fn worth() -> Judged {
    Judged { why: Why::Error, threshold: Some(Threshold::ALL), randomness: (1 << 56) - 1 }
}

#[test]
fn a_budget_is_of_each_second_and_of_whole_trees() {
    let (one, two) = (EntityId(1), EntityId(2));
    let mut budget = Budget::new(3, 5);
    let at = |millis: u64| Timestamp(millis * 1_000_000);
    let mut take = |millis, services: &[EntityId]| {
        budget.take(at(millis), &worth(), services.iter().copied(), 1.0).map(|_| ())
    };
    assert_eq!(take(0, &[one, one]), Ok(()));
    assert_eq!(take(1, &[two, one, one]), Err(Left::ServiceBudget));
    assert_eq!(take(2, &[one, two]), Ok(()));
    assert_eq!(take(3, &[one]), Err(Left::ServiceBudget));
    assert_eq!(take(4, &[two, two]), Err(Left::TotalBudget));
    assert_eq!(take(5, &[two]), Ok(()));
    assert_eq!(take(1000, &[one, two, two]), Ok(()));
}

/// Runs seconds of so many trees of one service, for their worth and of the share; gives what was
/// wanted and what the spans kept stand for, both classes each, without the first second.
fn pressed(per_service: u32, total: u32, each: [u32; 2], seconds: u64) -> [(f64, f64); 2] {
    let mut budget = Budget::new(per_service, total);
    let mut ids = Ids::new([3, 1, 4, 1]);
    let own = Threshold::of_share(0.5);
    let (mut sums, mut place) = ([(0.0, 0.0); 2], 0);
    for second in 0..seconds {
        let mut kept = 0;
        for n in 0..each[0].max(each[1]) {
            for (class, why) in [Why::Error, Why::Ratio].into_iter().enumerate() {
                if n >= each[class] {
                    continue;
                }
                let randomness = fresh(&mut ids, place).randomness();
                place += 1;
                let threshold = if why == Why::Ratio { own } else { Threshold::ALL };
                if second > 0 {
                    sums[class].0 += 1.0;
                }
                if !threshold.keeps(randomness) {
                    continue;
                }
                let judged = Judged { why, threshold: Some(threshold), randomness };
                let now = Timestamp(second * 1_000_000_000 + u64::from(n));
                // Trees that have no chance are not even put together.
                let base = (why == Why::Ratio).then_some(own);
                let Ok(chance) = budget.chance(now, EntityId(1), base, randomness) else {
                    continue;
                };
                if let Ok(told) = budget.take(now, &judged, std::iter::once(EntityId(1)), chance) {
                    kept += 1;
                    assert!(told.unwrap().keeps(randomness));
                    if second > 0 {
                        sums[class].1 += told.unwrap().adjusted_count();
                    }
                }
            }
        }
        assert!(kept <= per_service.min(total));
    }
    sums
}

#[test]
fn a_budget_that_is_used_up_makes_spans_stand_for_more_and_no_count_wrong() {
    let check = |per_service, total, each: [u32; 2]| {
        for (class, (wanted, weight)) in
            pressed(per_service, total, each, 60).into_iter().enumerate()
        {
            let off = (weight / f64::max(wanted, 1.0) - f64::from(u8::from(wanted > 0.0))).abs();
            assert!(off < 0.1, "{per_service} {total} {each:?} {class}: {weight} of {wanted}");
        }
    };
    check(100, 1000, [10, 20]);
    check(100, 1000, [2000, 0]);
    check(100, 1000, [0, 2000]);
    check(100, 1000, [2000, 2000]);
    check(100, 1000, [50, 3000]);
    check(1000, 100, [500, 3000]);
}

#[test]
fn what_was_wanted_is_forgotten_in_time() {
    let mut budget = Budget::new(10, 1000);
    let take = |budget: &mut Budget, second: u64| {
        let low = Judged { randomness: 1 << 50, ..worth() };
        budget.take(Timestamp(second * 1_000_000_000), &low, std::iter::once(EntityId(1)), 1.0)
    };
    assert_eq!((0..1000).filter(|_| take(&mut budget, 1).is_ok()).count(), 10);
    assert_eq!(take(&mut budget, 2), Err(Left::ServiceBudget));
    assert_eq!(take(&mut budget, 3), Err(Left::ServiceBudget));
    assert_eq!(take(&mut budget, 30), Ok(Some(Threshold::ALL)));
    assert_eq!(budget.services(), 1);
    let other = std::iter::once(EntityId(2));
    assert!(budget.take(Timestamp(90_000_000_000), &worth(), other, 1.0).is_ok());
    assert_eq!(budget.services(), 1);
}
