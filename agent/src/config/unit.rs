//! Values with a unit or a form: their writing, their range, their schema.
//!
//! The range stands in the type, so that the error, the schema and the reference page cannot
//! disagree with what is accepted.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::red::route::Pattern;

/// Reads and writes a type as the text it is typed as.
macro_rules! as_text {
    ($([$($generics:tt)*] $type:ty;)*) => {$(
        impl<'de, $($generics)*> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.trim().parse().map_err(|expected| {
                    de::Error::custom(format!("expected {expected}, found `{text}`"))
                })
            }
        }

        impl<$($generics)*> Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

as_text! {
    [const MIN: u64, const MAX: u64] Period<MIN, MAX>;
    [const MIN: u64, const MAX: u64] Size<MIN, MAX>;
    [] Listen;
    [] Endpoint;
    [] Glob;
    [] RoutePattern;
}

mod hosts;
mod span;

pub use hosts::Hosts;
pub use span::{HeaderName, Share};

/// A length of time from `MIN` to `MAX` milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period<const MIN: u64, const MAX: u64>(Duration);

impl<const MIN: u64, const MAX: u64> Period<MIN, MAX> {
    /// So many milliseconds, brought into the range.
    pub const fn from_millis(millis: u64) -> Self {
        let millis = if millis < MIN { MIN } else { millis };
        Self(Duration::from_millis(if millis > MAX { MAX } else { millis }))
    }

    /// The time itself.
    pub const fn duration(self) -> Duration {
        self.0
    }

    fn allowed() -> String {
        let (min, max) = (Millis(MIN), Millis(MAX));
        format!("a duration such as 10s or 500ms, from {min} to {max}")
    }
}

impl<const MIN: u64, const MAX: u64> FromStr for Period<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let millis = millis(text).filter(|millis| (MIN..=MAX).contains(millis));
        millis.map(|millis| Self(Duration::from_millis(millis))).ok_or_else(Self::allowed)
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for Period<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Millis(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)).fmt(f)
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Period<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Period{MIN}To{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let title = format!("duration, {} to {}", Millis(MIN), Millis(MAX));
        json_schema!({ "type": "string", "title": title, "pattern": "^([0-9]+(ms|s|m|h|d))+$" })
    }
}

/// Milliseconds in the shortest whole writing.
struct Millis(u64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")] {
            if self.0 > 0 && self.0.is_multiple_of(unit) {
                return write!(f, "{}{name}", self.0 / unit);
            }
        }
        write!(f, "{}ms", self.0)
    }
}

/// `10s`, `500ms`, `1m30s`. A number alone says nothing.
fn millis(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(digits)?;
        let unit_len = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_len)?;
        let factor = match unit.trim() {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// A number of bytes from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Size<MIN, MAX> {
    /// So many bytes, brought into the range.
    pub const fn from_bytes(bytes: u64) -> Self {
        let bytes = if bytes < MIN { MIN } else { bytes };
        Self(if bytes > MAX { MAX } else { bytes })
    }

    /// The bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> FromStr for Size<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
        let factor: Option<u64> = match unit.trim() {
            "" | "B" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            "kB" => Some(1000),
            "MB" => Some(1_000_000),
            "GB" => Some(1_000_000_000),
            _ => None,
        };
        let bytes = number.parse::<u64>().ok().zip(factor).and_then(|(n, by)| n.checked_mul(by));
        bytes.filter(|bytes| (MIN..=MAX).contains(bytes)).map(Self).ok_or_else(|| {
            format!("a size such as 8MiB or 512KiB, from {} to {}", Bytes(MIN), Bytes(MAX))
        })
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for Size<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Bytes(self.0).fmt(f)
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Size<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Size{MIN}To{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let title = format!("size, {} to {}", Bytes(MIN), Bytes(MAX));
        json_schema!({
            "type": ["string", "integer"],
            "title": title,
            "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB|kB|MB|GB)?$"
        })
    }
}

/// Bytes in the shortest whole writing.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
            if self.0 > 0 && self.0.is_multiple_of(unit) {
                return write!(f, "{}{name}", self.0 / unit);
            }
        }
        write!(f, "{}", self.0)
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Count<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Count<MIN, MAX> {
    /// So many, brought into the range.
    pub const fn of(number: u32) -> Self {
        let number = if number < MIN { MIN } else { number };
        Self(if number > MAX { MAX } else { number })
    }

    /// How many.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> FromStr for Count<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| (MIN..=MAX).contains(number));
        number.map(Self).ok_or_else(|| format!("a whole number from {MIN} to {MAX}"))
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Count<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.trim()
            .parse()
            .map_err(|expected| de::Error::custom(format!("expected {expected}, found `{text}`")))
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Count<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Count{MIN}To{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let text = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.to_owned(),
        };
        text.parse()
            .map(Self)
            .map_err(|_| "an address and a port such as 127.0.0.1:9464, [::1]:9464 or 0.0.0.0:9464")
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for Listen {
    fn schema_name() -> Cow<'static, str> {
        "Listen".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "address:port" })
    }
}

/// The `http://` or `https://` URL of a collector. `host:port` alone is one as well, for gRPC: the
/// specification leaves TLS to another key then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(hyper::Uri);

impl Endpoint {
    /// The URL.
    pub fn uri(&self) -> &hyper::Uri {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "a URL such as http://localhost:4318 or https://collector.example:4317";
        let uri: hyper::Uri = text.parse().map_err(|_| FORM)?;
        let known = match uri.scheme_str() {
            Some(scheme) => matches!(scheme, "http" | "https"),
            None => uri.port_u16().is_some(),
        };
        let named = uri.host().is_some_and(|host| !host.is_empty());
        (known && named).then_some(Self(uri)).ok_or(FORM)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for Endpoint {
    fn schema_name() -> Cow<'static, str> {
        "Endpoint".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "http(s) URL" })
    }
}

/// A text to match names with; `*` stands for any run of characters, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Longest name, pattern or text of the configuration that makes sense.
const TEXT_LIMIT: usize = 512;

impl FromStr for Glob {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let fits = !text.is_empty() && text.len() <= TEXT_LIMIT;
        fits.then(|| Self(text.to_owned()))
            .ok_or("a name of 1 to 512 bytes, in which * matches any characters and ? one")
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Glob {
    fn schema_name() -> Cow<'static, str> {
        "Glob".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "title": "name or glob", "minLength": 1, "maxLength": TEXT_LIMIT
        })
    }
}

/// A route such as `/users/{id}/orders` or `/static/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePattern(Pattern);

impl RoutePattern {
    /// The pattern itself.
    pub fn pattern(&self) -> &Pattern {
        &self.0
    }
}

impl FromStr for RoutePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "a route such as /users/{id} or /static/*";
        if text.len() > TEXT_LIMIT || text.contains(['?', '#', ' ']) {
            return Err(format!("{FORM} of at most {TEXT_LIMIT} bytes, without query"));
        }
        Pattern::parse(text).map(Self).map_err(|error| format!("{FORM} ({error})"))
    }
}

impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.text())
    }
}

impl JsonSchema for RoutePattern {
    fn schema_name() -> Cow<'static, str> {
        "RoutePattern".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "route", "pattern": "^/" })
    }
}

/// A text that is used and never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text, for the one place that uses it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(hidden)")
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Listen, Period, RoutePattern, Size, millis};

    #[test]
    fn durations_are_read_with_their_unit_and_never_without() {
        let check = |text, expect| assert_eq!(millis(text), expect, "{text:?}");
        check("10s", Some(10_000));
        check("1m30s", Some(90_000));
        check("500ms", Some(500));
        check("0s", Some(0));
        check("10", None);
        check("", None);
        check("s", None);
        check("-1s", None);
        check("1.5s", None);
        check("99999999999999999999s", None);
        check("18446744073709551615h", None);
    }

    #[test]
    fn values_outside_their_range_are_refused_with_what_is_allowed() {
        type Interval = Period<1000, 3_600_000>;
        type Queue = Size<1024, 0x4000_0000>;
        assert_eq!("90s".parse::<Interval>().unwrap().to_string(), "90s");
        assert_eq!("60s".parse::<Interval>().unwrap().to_string(), "1m");
        let refused = "1ms".parse::<Interval>().unwrap_err();
        assert_eq!(refused, "a duration such as 10s or 500ms, from 1s to 1h");
        assert_eq!("8MiB".parse::<Queue>().unwrap().bytes(), 8 << 20);
        assert_eq!("8 MiB".parse::<Queue>().unwrap().to_string(), "8MiB");
        let refused = "1XB".parse::<Queue>().unwrap_err();
        assert_eq!(refused, "a size such as 8MiB or 512KiB, from 1KiB to 1GiB");
    }

    #[test]
    fn forms_are_told_from_what_only_looks_like_them() {
        let listens = |text: &str| text.parse::<Listen>().is_ok();
        assert!(listens("127.0.0.1:9464") && listens("[::]:1") && listens("localhost:9464"));
        assert!(!listens(":9464") && !listens("9464") && !listens("host:99999"));
        let reaches = |text: &str| text.parse::<Endpoint>().is_ok();
        assert!(reaches("http://c:4318") && reaches("https://c/x"));
        assert!(
            reaches("c:4317")
                && !reaches("c")
                && !reaches("grpc://c")
                && !reaches("http://")
                && !reaches("")
        );
        let routes = |text: &str| text.parse::<RoutePattern>().is_ok();
        assert!(routes("/") && routes("/users/{id}") && routes("/static/*") && routes("/a/b/"));
        assert!(!routes("users") && !routes("/a{id") && !routes("/a/*/b"));
        assert!(!routes("/a?b") && !routes(""));
    }
}
