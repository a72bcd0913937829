//! What spans say of where the time went.

use super::*;
use crate::event::{Account, Timestamp, Unknown, Why};

/// `name=value` of what a span says of its time, without what stands before every name.
fn told(course: Course) -> String {
    let mut trace = Trace::new(config());
    tell(&mut trace, &Ask { course, ..served("/items/7", 200, (0, 3_000_000)) });
    trace.finish();
    let span = trace.take().remove(0);
    let why = span.attributes.iter().filter_map(|(key, value)| {
        let name = key.0.strip_prefix("steth.why.")?;
        Some(match value {
            Value::Seconds(nanos) => format!("{name}={nanos}"),
            other => format!("{name}={}", text(Some(other))),
        })
    });
    why.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_part_stands_under_its_own_name_and_what_is_not_known_is_left_out() {
    let answered = Some(Timestamp(2_000_000));
    let check = |why: Why, answered, expect: &str| {
        assert_eq!(told(Course { answered, why, ..Course::default() }), expect);
    };
    check(Why::default(), None, "");
    check(Why::default(), answered, "first_byte=2000000 last_byte=3000000");
    let account = Account { ran: Nanos(2_000_000), ..Account::default() };
    let first = "first_byte=2000000 last_byte=3000000";
    check(
        Why { thread: Ok(account), ..Why::default() },
        answered,
        &format!("cpu=2000000 {first} run_queue=0 switches=0"),
    );
    let account = Account {
        shared: true,
        ran: Nanos(1),
        queued: Nanos(2),
        throttled: Nanos(3),
        blocked: [4, 5, 6, 7, 8].map(Nanos),
        switches: 9,
    };
    let queues = (Some(Nanos(10)), Some(Nanos(11)));
    let (unread, unaccepted) = queues;
    check(
        Why { thread: Ok(account), unread, unaccepted, unseen_accept: true },
        answered,
        &format!(
            "accept_queue=11 accept_unseen=Bool(true) blocked.disk=4 blocked.lock=6 blocked.network=5 blocked.other=8 \
             blocked.sleep=7 cpu=1 {first} receive_queue=10 run_queue=2 shared=Bool(true) \
             switches=9 throttled=3"
        ),
    );
    check(
        Why { thread: Err(Unknown::Threads), ..Why::default() },
        answered,
        &format!("{first} missing=other_thread"),
    );
}
