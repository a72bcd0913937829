//! What spans say of where the time went.

use super::*;
use crate::event::{Account, Timestamp, Unknown, Why};

/// `name=value` of what a span says of its time, without what stands before every name.
fn told(course: Course) -> String {
    let mut trace = Trace::new(config());
    tell(&mut trace, &Ask { course, ..served("/items/7", 200, (0, 3_000_000)) });
    trace.finish(&COUNTS);
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
        Why::that(Ok(account), [None; 2], false),
        answered,
        &format!("cpu=2000000 {first} run_queue=0 switches=0"),
    );
    let account = Account {
        shared: true,
        ran: Nanos(1024),
        queued: Nanos(2048),
        throttled: Nanos(3072),
        blocked: [4096, 5120, 6144, 7168, 8192].map(Nanos),
        switches: 9,
    };
    check(
        Why::that(Ok(account), [10_240, 11_264].map(|time| Some(Nanos(time))), true),
        answered,
        &format!(
            "accept_queue=11264 accept_unseen=Bool(true) blocked.disk=4096 blocked.lock=6144 \
             blocked.network=5120 blocked.other=8192 blocked.sleep=7168 cpu=1024 {first} \
             receive_queue=10240 run_queue=2048 shared=Bool(true) switches=9 throttled=3072"
        ),
    );
    check(
        Why::that(Err(Unknown::Threads), [None; 2], false),
        answered,
        &format!("{first} missing=other_thread"),
    );
}
