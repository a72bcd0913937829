//! Single values: numbers, truths, choices, lists of pairs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Error;

/// The variables, and what was odd about them.
pub(super) struct Variables<'a> {
    all: &'a BTreeMap<String, String>,
    warnings: Vec<String>,
}

impl<'a> Variables<'a> {
    pub(super) fn new(all: &'a BTreeMap<String, String>) -> Self {
        Self { all, warnings: Vec::new() }
    }

    pub(super) fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    /// The value without the spaces around it; an empty one is none.
    pub(super) fn text(&self, variable: &str) -> Option<&'a str> {
        self.all.get(variable).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The value of the first of these that is set, and which that is.
    pub(super) fn first<'v>(&self, variables: &[&'v str]) -> Option<(&'v str, &'a str)> {
        variables.iter().find_map(|variable| Some((*variable, self.text(variable)?)))
    }

    /// Only `true` is true, in any case; the specification has all else be false, with a warning.
    pub(super) fn truth(&mut self, variable: &str) -> bool {
        let Some(value) = self.text(variable) else { return false };
        if value.eq_ignore_ascii_case("true") {
            return true;
        }
        if !value.eq_ignore_ascii_case("false") {
            self.warn(format!("{variable}: `{value}` counts as false; only `true` is true"));
        }
        false
    }

    /// A duration in milliseconds, at least one.
    pub(super) fn millis(&self, variable: &str) -> Result<Option<Duration>, Error> {
        let Some(value) = self.text(variable) else { return Ok(None) };
        match value.parse::<u32>() {
            Ok(millis) if millis > 0 => Ok(Some(Duration::from_millis(millis.into()))),
            _ => Err(Error {
                variable: variable.to_owned(),
                wrong: format!("`{value}` is not a duration"),
                right: "give whole milliseconds of at least 1, such as 10000".to_owned(),
            }),
        }
    }

    /// A whole number of at least one.
    pub(super) fn count(&self, variable: &str) -> Result<Option<usize>, Error> {
        let Some(value) = self.text(variable) else { return Ok(None) };
        match value.parse::<u32>() {
            Ok(count) if count > 0 => Ok(usize::try_from(count).ok()),
            _ => Err(Error {
                variable: variable.to_owned(),
                wrong: format!("`{value}` is not a number of spans"),
                right: "give a whole number of at least 1, such as 2048".to_owned(),
            }),
        }
    }

    /// One of a closed set of words, in any case.
    pub(super) fn choice<T: Copy>(
        &self,
        variable: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.text(variable) else { return Ok(None) };
        if let Some((_, choice)) = choices.iter().find(|(word, _)| value.eq_ignore_ascii_case(word))
        {
            return Ok(Some(*choice));
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        Err(Error {
            variable: variable.to_owned(),
            wrong: format!("`{value}` is not known"),
            right: format!("use one of {}", words.join(", ")),
        })
    }

    /// `key=value` with commas between; the values percent-decoded. The last of equal keys wins.
    /// The text of a value is in no error: it may be a secret.
    pub(super) fn pairs(&self, variable: &str) -> Result<Vec<(String, String)>, Error> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let list = self.text(variable).unwrap_or_default();
        for (place, pair) in list.split(',').map(str::trim).enumerate() {
            if pair.is_empty() {
                continue;
            }
            let wrong = |wrong: String| Error {
                variable: variable.to_owned(),
                wrong,
                right: "give key=value pairs with commas between, values percent-encoded, \
                        such as api-key=abc,tenant=a%2Cb"
                    .to_owned(),
            };
            let Some((key, value)) = pair.split_once('=') else {
                return Err(wrong(format!("entry {} has no `=`", place + 1)));
            };
            let key = key.trim();
            if key.is_empty() {
                return Err(wrong(format!("entry {} has no key", place + 1)));
            }
            let Some(value) = percent_decoded(value.trim()) else {
                return Err(wrong(format!("the value of `{key}` is not UTF-8 once decoded")));
            };
            match pairs.iter_mut().find(|(known, _)| known == key) {
                Some((_, known)) => *known = value,
                None => pairs.push((key.to_owned(), value)),
            }
        }
        Ok(pairs)
    }
}

/// A `%` that no two hexadecimal digits follow stands for itself.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.split_at_checked(2).and_then(|(digits, behind)| {
            let [high, low] = digits else { return None };
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
            Some((byte, behind))
        });
        match digits {
            Some((byte, behind)) if *first == b'%' => {
                bytes.push(byte);
                rest = behind;
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).ok()
}
