//! Numbers and names as short text.

use std::time::Duration;

/// `12,345`
pub(super) fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Requests a second: exact where small, whole where large.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        r if !r.is_finite() || r <= 0.0 => "0".to_owned(),
        r if r < 0.1 => format!("{r:.2}"),
        r if r < 100.0 => format!("{r:.1}"),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "is positive, and a rate above 2^64 is none"
        )]
        r => whole(r.round() as u64),
    }
}

/// A part of a whole, 0 to 1.
pub(super) fn percent(part: f64) -> String {
    match part * 100.0 {
        p if !p.is_finite() || p <= 0.0 => "0%".to_owned(),
        p if p < 0.1 => "<0.1%".to_owned(),
        p if p < 10.0 => format!("{p:.1}%"),
        p => format!("{p:.0}%"),
    }
}

/// Threads on average, in percent of one, at most five characters; `-` for none.
pub(super) fn threads(threads: Option<f64>) -> String {
    match threads {
        None => "-".to_owned(),
        Some(t) if t < 99.995 => percent(t),
        Some(t) if t < 9999.5 => format!("{t:.0}x"),
        Some(_) => ">10kx".to_owned(),
    }
}

/// Seconds with three digits and their unit; `-` for none.
pub(in crate::runtime) fn seconds(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds.filter(|s| s.is_finite() && *s >= 0.0) else {
        return "-".to_owned();
    };
    let three = |value: f64, unit: &str| match value {
        v if v < 9.995 => format!("{v:.2}{unit}"),
        v if v < 99.95 => format!("{v:.1}{unit}"),
        v => format!("{v:.0}{unit}"),
    };
    match seconds {
        s if s < 0.000_999_5 => three(s * 1e6, "us"),
        s if s < 0.9995 => three(s * 1e3, "ms"),
        s if s < 999.5 => three(s, "s"),
        s => three(s / 60.0, "min"),
    }
}

/// `18.2 MiB`
pub(super) fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        b if b < 1024.0 => format!("{bytes} B"),
        b if b < 1024.0 * 1024.0 => format!("{:.1} KiB", b / 1024.0),
        b if b < 1024.0 * 1024.0 * 1024.0 => format!("{:.1} MiB", b / (1024.0 * 1024.0)),
        b => format!("{:.1} GiB", b / (1024.0 * 1024.0 * 1024.0)),
    }
}

/// `18.2M`, at most five characters; `-` for none.
pub(super) fn memory(bytes: Option<u64>) -> String {
    let Some(bytes) = bytes else { return "-".to_owned() };
    let mut left = bytes as f64;
    for unit in ["B", "K", "M", "G", "T"] {
        match left {
            _ if unit == "B" && left < 1000.0 => return format!("{bytes}B"),
            l if l < 99.95 => return format!("{l:.1}{unit}"),
            l if l < 1000.0 => return format!("{l:.0}{unit}"),
            _ => left /= 1024.0,
        }
    }
    ">999T".to_owned()
}

/// `3d 4h`, `4h 5m`, `5m 6s`, `6s`
pub(super) fn uptime(time: Duration) -> String {
    let s = time.as_secs();
    let (days, hours, minutes) = (s / 86_400, s / 3600 % 24, s / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, m) => format!("{m}m {}s", s % 60),
        (0, h, m) => format!("{h}h {m}m"),
        (d, h, _) => format!("{d}d {h}h"),
    }
}

/// At most `width` characters, the cut marked; nothing that could move the cursor.
pub(in crate::runtime) fn cut(text: &str, width: usize) -> String {
    let mut shown = text.chars().map(|c| if c.is_control() { '?' } else { c });
    let mut out: String = shown.by_ref().take(width).collect();
    if shown.next().is_some() {
        out.pop();
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bytes, cut, memory, percent, rate, seconds, threads, uptime, whole};

    #[test]
    fn numbers_are_short_and_have_their_unit() {
        let check = |found: String, expect: &str| assert_eq!(found, expect);
        check(whole(0), "0");
        check(whole(999), "999");
        check(whole(1_234_567), "1,234,567");
        check(rate(0.0), "0");
        check(rate(0.033), "0.03");
        check(rate(12.34), "12.3");
        check(rate(54_321.4), "54,321");
        check(rate(f64::NAN), "0");
        check(percent(0.0), "0%");
        check(percent(0.0001), "<0.1%");
        check(percent(0.0123), "1.2%");
        check(percent(1.0), "100%");
        check(threads(None), "-");
        check(threads(Some(0.414)), "41%");
        check(threads(Some(99.99)), "9999%");
        check(threads(Some(100.0)), "100x");
        check(threads(Some(1e9)), ">10kx");
        check(seconds(None), "-");
        check(seconds(Some(0.000_012_3)), "12.3us");
        check(seconds(Some(0.001)), "1.00ms");
        check(seconds(Some(0.9999)), "1.00s");
        check(seconds(Some(61.0)), "61.0s");
        check(seconds(Some(6000.0)), "100min");
        check(bytes(512), "512 B");
        check(bytes(19 << 20), "19.0 MiB");
        check(memory(None), "-");
        check(memory(Some(999)), "999B");
        check(memory(Some(1000)), "1.0K");
        check(memory(Some(19 << 20)), "19.0M");
        check(memory(Some(1023 << 20)), "1.0G");
        check(memory(Some(640 << 30)), "640G");
        check(memory(Some(u64::MAX)), ">999T");
        check(uptime(Duration::from_secs(59)), "59s");
        check(uptime(Duration::from_secs(3661)), "1h 1m");
        check(uptime(Duration::from_hours(25)), "1d 1h");
        check(cut("abcdef", 4), "abc…");
        check(cut("a\x1b[2Jb", 10), "a?[2Jb");
        check(cut("abc", 0), "…");
    }
}
