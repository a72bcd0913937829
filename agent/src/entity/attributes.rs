//! What a program says of itself by `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.

use crate::host::text::{pieces, text};
use crate::metric::key::{self, Key};

/// Attributes that are taken from one process.
const ATTRIBUTES: usize = 64;
/// Bytes of a key.
const KEY: usize = 128;

/// A name and attributes that were declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// The service's name.
    pub service: Option<String>,
    /// Everything else, each key once, in the order of the keys.
    pub attributes: Vec<(String, String)>,
    /// The list made no sense and was left out as a whole, as the specification asks.
    pub malformed: bool,
}

impl Declared {
    /// From a NUL-separated environment.
    pub fn of_env(env: &[u8]) -> Self {
        let value = |name: &[u8]| {
            pieces(env)
                .filter_map(|piece| piece.strip_prefix(name)?.strip_prefix(b"="))
                .find(|value| !value.trim_ascii().is_empty())
        };
        Self::new(
            value(b"OTEL_SERVICE_NAME").map(|v| text(v.trim_ascii())).as_deref(),
            value(b"OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default(),
        )
    }

    /// From the values of both variables.
    pub fn new(service: Option<&str>, list: &[u8]) -> Self {
        let (mut attributes, malformed) = match parse(list) {
            Some(attributes) => (attributes, false),
            None => (Vec::new(), true),
        };
        let listed = attributes.iter().position(|(key, _)| key == key::SERVICE_NAME.0);
        let listed = listed.map(|at| attributes.remove(at).1).filter(|name| !name.is_empty());
        let service = service.filter(|name| !name.is_empty()).map(str::to_owned).or(listed);
        Self { service, attributes, malformed }
    }

    /// Takes out the value of an attribute.
    pub fn take(&mut self, key: Key) -> Option<String> {
        let at = self.attributes.iter().position(|(k, _)| k == key.0)?;
        Some(self.attributes.remove(at).1).filter(|value| !value.is_empty())
    }
}

/// `key=value,key=value`, values percent-encoded; `None` if any of it is wrong.
fn parse(list: &[u8]) -> Option<Vec<(String, String)>> {
    let mut attributes: Vec<(String, String)> = Vec::new();
    let items = list.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|i| !i.is_empty());
    for item in items.take(ATTRIBUTES) {
        let at = item.iter().position(|b| *b == b'=')?;
        let (key, value) = item.split_at(at);
        let key = std::str::from_utf8(key.trim_ascii()).ok()?;
        let value = decoded(value.get(1..)?.trim_ascii())?;
        if key.is_empty() || key.len() > KEY || key.chars().any(char::is_control) {
            return None;
        }
        match attributes.binary_search_by(|(k, _)| k.as_str().cmp(key)) {
            Ok(at) => attributes.get_mut(at)?.1 = value,
            Err(at) => attributes.insert(at, (key.to_owned(), value)),
        }
    }
    Some(attributes)
}

fn decoded(value: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.iter();
    while let Some(&byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(*rest.next()?).to_digit(16);
            let code = digit()? * 16 + digit()?;
            bytes.push(u8::try_from(code).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    std::str::from_utf8(&bytes).ok()?;
    Some(text(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(env: &str, expect: &str) {
        let Declared { service, attributes, malformed } = Declared::of_env(env.as_bytes());
        let mut got = service.unwrap_or_default();
        for (key, value) in attributes {
            got = format!("{got} {key}={value}");
        }
        assert_eq!(format!("{got}{}", if malformed { " !" } else { "" }), expect, "{env}");
    }

    #[test]
    fn variables_name_the_service() {
        check("", "");
        check("OTEL_SERVICE_NAME=shop\0", "shop");
        check("OTEL_SERVICE_NAME= \0", "");
        check("OTEL_SERVICE_NAMES=shop\0", "");
        check("OTEL_RESOURCE_ATTRIBUTES=service.name=shop\0", "shop");
        check("OTEL_RESOURCE_ATTRIBUTES=service.name=a\0OTEL_SERVICE_NAME=b\0", "b");
        check("OTEL_RESOURCE_ATTRIBUTES=b=2, a=1 ,service.name=x,b=3,\0", "x a=1 b=3");
        check("OTEL_RESOURCE_ATTRIBUTES=a=x%20y%2Cz%3D\0", " a=x y,z=");
        check("OTEL_RESOURCE_ATTRIBUTES=a=1=2\0", " a=1=2");
        check("OTEL_RESOURCE_ATTRIBUTES=a=%C3%A9\0", " a=é");
        check("OTEL_SERVICE_NAME=a\nb\0", "a\u{fffd}b");
    }

    #[test]
    fn a_list_with_an_error_is_left_out_as_a_whole() {
        for list in ["a=1,b", "a=1,=2", "a=%2", "a=%zz", "a=%ff", "a=1,b=%"] {
            check(&format!("OTEL_SERVICE_NAME=x\0OTEL_RESOURCE_ATTRIBUTES={list}\0"), "x !");
        }
    }
}
