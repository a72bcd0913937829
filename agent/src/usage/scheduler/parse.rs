//! The kernel's own totals of waits, as files tell them.

/// Nanoseconds that all threads have waited on the run queues of all processors: `/proc/schedstat`.
pub(super) fn waited_of_processors(content: &[u8]) -> Option<u64> {
    let mut sum = None;
    for line in content.split(|b| *b == b'\n') {
        let mut fields = line.split(|b| *b == b' ').filter(|field| !field.is_empty());
        let is_processor = fields
            .next()
            .and_then(|name| name.strip_prefix(b"cpu"))
            .is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit));
        // Of the nine numbers the last three are: time running, time waiting, stints.
        if let (true, Some(waited)) = (is_processor, fields.nth(7).and_then(number)) {
            sum = Some(waited.saturating_add(sum.unwrap_or(0)));
        }
    }
    sum
}

/// Nanoseconds that one thread has waited: `/proc/PID/task/TID/schedstat`.
pub(super) fn waited_of_thread(content: &[u8]) -> Option<u64> {
    content.trim_ascii().split(|b| *b == b' ').nth(1).and_then(number)
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_of_processors_are_added() {
        let check = |text: &str, expect| {
            assert_eq!(waited_of_processors(text.as_bytes()), expect, "{text:?}");
        };
        check(
            "version 17\ntimestamp 4\ncpu0 0 0 0 0 0 0 10 20 3\ndomain0 PKG 3 9 9 9 9 9 9 9 9 9\n\
             cpu1 0 0 0 0 0 0 11 22 4\n",
            Some(42),
        );
        check("cpu0 0 0 0 0 0 0 10 18446744073709551615 3\ncpu1 0 0 0 0 0 0 1 2 3", Some(u64::MAX));
        check("cpu0 0 0 0 0 0 0 10 -1 3", None);
        check("cpu0 0 0 0", None);
        check("cpux 0 0 0 0 0 0 10 20 3", None);
        check("", None);
        check("\0\u{fffd} \n\n   cpu", None);
    }

    #[test]
    fn waits_of_a_thread_are_the_second_number() {
        let check = |text: &str, expect| {
            assert_eq!(waited_of_thread(text.as_bytes()), expect, "{text:?}");
        };
        check("1234 567 89\n", Some(567));
        check("1234\n", None);
        check("", None);
        check("1234 99999999999999999999 1", None);
    }
}
