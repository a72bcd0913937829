//! How much a container may use and what is kept for it, as a pod's template and its status write it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::cluster::Amounts;

/// The longest number that is looked at.
const LONGEST: usize = 40;
/// Billionths in one.
const ONE: u128 = 1_000_000_000;

/// The part of it that is told.
pub(super) fn amounts(said: &ResourceRequirements) -> Amounts {
    let of = |map: &Option<BTreeMap<String, Quantity>>, key| {
        map.as_ref()?.get(key).and_then(|quantity| billionths(&quantity.0))
    };
    let cpu = |map| of(map, "cpu").and_then(|nanos| u64::try_from(nanos).ok());
    let memory = |map| of(map, "memory").and_then(|nanos| u64::try_from(nanos.div_ceil(ONE)).ok());
    let ResourceRequirements { limits, requests, .. } = said;
    Amounts {
        cpu_limit: cpu(limits),
        cpu_request: cpu(requests),
        memory_limit: memory(limits),
        memory_request: memory(requests),
    }
}

/// A quantity in billionths: `1.5`, `100m`, `64Mi`, `1e3`. None if it is none, or more than anything has.
fn billionths(text: &str) -> Option<u128> {
    if text.len() > LONGEST {
        return None;
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && part.is_empty()) || part.contains('.') {
        return None;
    }
    let (times, per) = scale(suffix)?;
    // What is beyond billionths is cut.
    let part = format!("{:0<9}", part.get(..9).unwrap_or(part));
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let all = whole.checked_mul(ONE)?.checked_add(part.parse().ok()?)?;
    Some(all.checked_mul(times)? / per)
}

/// What a suffix multiplies with, and divides by.
fn scale(suffix: &str) -> Option<(u128, u128)> {
    let decimal = |power: u32| 10_u128.checked_pow(power);
    let binary = |power: u32| Some((1_u128 << (10 * power), 1));
    match suffix {
        "n" => Some((1, ONE)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "" => Some((1, 1)),
        "k" => Some((1000, 1)),
        "M" => Some((decimal(6)?, 1)),
        "G" => Some((decimal(9)?, 1)),
        "T" => Some((decimal(12)?, 1)),
        "P" => Some((decimal(15)?, 1)),
        "E" => Some((decimal(18)?, 1)),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let times = decimal(power.unsigned_abs())?;
            Some(if power < 0 { (1, times) } else { (times, 1) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ONE, billionths};

    #[test]
    fn quantities_are_numbers() {
        let check = |text: &str, expect: Option<u128>| {
            assert_eq!(billionths(text), expect, "{text}");
        };
        check("1", Some(ONE));
        check("0", Some(0));
        check("0.1", Some(ONE / 10));
        check(".5", Some(ONE / 2));
        check("1.", Some(ONE));
        check("250m", Some(ONE / 4));
        check("1500u", Some(1_500_000));
        check("7n", Some(7));
        check("64Mi", Some((64 << 20) * ONE));
        check("1.5Gi", Some((3 << 29) * ONE));
        check("2k", Some(2000 * ONE));
        check("1e3", Some(1000 * ONE));
        check("1E-3", Some(ONE / 1000));
        check("2E", Some(2_000_000_000_000_000_000 * ONE));
        check("1.0000000009", Some(ONE));
        for hostile in [
            "", ".", "-1", "+1", "1.2.3", "m", "1x", "1e", "1e99", "1mm", "e3", "\u{0661}", " 1",
            "1 ",
        ] {
            check(hostile, None);
        }
        check(&"9".repeat(40), None);
        check(&"1".repeat(41), None);
    }
}
