//! From the tree of texts to types: a serde reader whose errors know their key and their place.
//!
//! It is lenient in writing (a number may be quoted, a list in one line is split at commas) and
//! strict in meaning: what the type does not take is refused.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};

use super::error::{Fault, Problem};
use super::node::{Key, Node, Origin, Value};

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.problem)
    }
}

fn fault(problem: Problem) -> Fault {
    Fault { origin: None, path: String::new(), problem }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        fault(Problem::Wrong(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        fault(Problem::Wrong(format!("expected {expected}, found {found}")))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        fault(Problem::Wrong(format!("expected {expected}, found {found}")))
    }

    fn unknown_field(found: &str, allowed: &'static [&'static str]) -> Self {
        fault(Problem::UnknownKey { found: found.to_owned(), allowed: owned(allowed) })
    }

    fn unknown_variant(found: &str, allowed: &'static [&'static str]) -> Self {
        fault(Problem::UnknownWord { found: found.to_owned(), allowed: owned(allowed) })
    }

    fn missing_field(field: &'static str) -> Self {
        fault(Problem::Wrong(format!("the key `{field}` is missing")))
    }

    fn duplicate_field(field: &'static str) -> Self {
        fault(Problem::Wrong(format!("the key `{field}` stands there twice")))
    }
}

impl Node {
    fn expected(&self, what: &str) -> Fault {
        let found = match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Text(text) => format!("`{text}`"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping of keys".to_owned(),
        };
        fault(Problem::Wrong(format!("expected {what}, found {found}"))).at(&self.origin)
    }

    fn text(&self, what: &str) -> Result<&str, Fault> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.expected(what)),
        }
    }

    fn number<T: std::str::FromStr>(&self, what: &str) -> Result<T, Fault> {
        self.text(what)?.trim().parse().map_err(|_| self.expected(what))
    }
}

/// A number that does not fit is told like one that is none.
macro_rules! numbers {
    ($($method:ident $visit:ident $wide:ty, $what:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let number: $wide = self.number($what)?;
            visitor.$visit(number).map_err(|fault: Fault| fault.at(&self.origin))
        }
    )*};
}

impl<'de> Deserializer<'de> for &Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(_) => return self.deserialize_seq(visitor),
            Value::Map(_) => return self.deserialize_map(visitor),
        }
        .map_err(|fault: Fault| fault.at(&self.origin))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.text("true or false")?.to_ascii_lowercase();
        let value = match text.as_str() {
            "true" | "yes" | "on" => true,
            "false" | "no" | "off" => false,
            _ => return Err(self.expected("true or false")),
        };
        visitor.visit_bool(value).map_err(|fault: Fault| fault.at(&self.origin))
    }

    numbers! {
        deserialize_i8 visit_i8 i8, "a whole number";
        deserialize_i16 visit_i16 i16, "a whole number";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number, 0 or more";
        deserialize_u64 visit_u64 u64, "a whole number, 0 or more";
        deserialize_f32 visit_f64 f64, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.text("a text")?;
        visitor.visit_str(text).map_err(|fault: Fault| fault.at(&self.origin))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self).map_err(|fault: Fault| fault.at(&self.origin))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let split: Vec<Node>;
        let items = match &self.value {
            Value::Null => &[],
            Value::List(items) => items.as_slice(),
            Value::Text(text) if self.origin.is_one_line() => {
                split = pieces(text).map(|piece| leaf(&self.origin, piece)).collect();
                &split
            }
            _ => return Err(self.expected("a list such as [a, b]")),
        };
        let items = items.iter().enumerate();
        visitor.visit_seq(Items { items }).map_err(|fault| fault.at(&self.origin))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let split: Vec<(Key, Node)>;
        let entries = match &self.value {
            Value::Null => &[],
            Value::Map(entries) => entries.as_slice(),
            Value::Text(text) if self.origin.is_one_line() => {
                split = pieces(text)
                    .map(|piece| pair(&self.origin, piece))
                    .collect::<Option<_>>()
                    .ok_or_else(|| self.expected("pairs such as key=value,key2=value2"))?;
                &split
            }
            _ => return Err(self.expected("a mapping of keys to values")),
        };
        let entries = entries.iter();
        visitor.visit_map(Entries { entries, value: None }).map_err(|fault| fault.at(&self.origin))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Null | Value::Map(_) => self.deserialize_map(visitor),
            _ => Err(self.expected(&format!("a mapping with the keys {}", fields.join(", ")))),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let text = self.text(&format!("one of {}", variants.join(", ")))?;
        visitor.visit_enum(Word(text)).map_err(|fault: Fault| fault.at(&self.origin))
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|piece| !piece.is_empty())
}

fn leaf(origin: &Origin, text: &str) -> Node {
    Node { origin: origin.clone(), value: Value::Text(text.to_owned()) }
}

/// `key=value`, the value percent-encoded as OTLP headers and resource attributes have it.
fn pair(origin: &Origin, piece: &str) -> Option<(Key, Node)> {
    let (key, value) = piece.split_once('=')?;
    let key = key.trim();
    let text = key.to_owned();
    let key = (!key.is_empty()).then(|| Key { origin: origin.clone(), text })?;
    Some((key, leaf(origin, &percent_decoded(value.trim())?)))
}

/// `None` if the escapes do not make UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok()
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some((index, item)) = self.items.next() else { return Ok(None) };
        seed.deserialize(item)
            .map(Some)
            .map_err(|fault| fault.at(&item.origin).within(&format!("[{index}]")))
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, (Key, Node)>,
    value: Option<&'a (Key, Node)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        self.value = Some(entry);
        let key = &entry.0;
        let text: StrDeserializer<'_, Fault> = key.text.as_str().into_deserializer();
        seed.deserialize(text).map(Some).map_err(|fault| fault.at(&key.origin))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((key, value)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(value).map_err(|fault| fault.at(&value.origin).within(&key.text))
    }
}

struct Word<'a>(&'a str);

impl<'de> EnumAccess<'de> for Word<'_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let text: StrDeserializer<'_, Fault> = self.0.into_deserializer();
        Ok((seed.deserialize(text)?, self))
    }
}

impl<'de> VariantAccess<'de> for Word<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value, Fault> {
        Err(de::Error::custom("one word was expected"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, Fault> {
        Err(de::Error::custom("one word was expected"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Fault> {
        Err(de::Error::custom("one word was expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::percent_decoded;

    #[test]
    fn escapes_are_decoded_or_refused() {
        let check = |text, expect: Option<&str>| {
            assert_eq!(percent_decoded(text).as_deref(), expect, "{text}");
        };
        check("Bearer%20abc%3D", Some("Bearer abc="));
        check("plain", Some("plain"));
        check("%zz", None);
        check("%f", None);
        check("%ff", None);
    }
}
