//! Which names a query to Prometheus uses: metrics, and labels in selectors and in lists.

use std::collections::BTreeSet;

/// What a query speaks of.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Metrics, each with the labels of one of its selectors.
    pub selectors: Vec<(String, BTreeSet<String>)>,
    /// Labels behind `by`, `on` and their like.
    pub lists: BTreeSet<String>,
}

/// Words in front of a list of labels.
const LISTS: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Other words that are no metric.
const WORDS: &[&str] = &["and", "or", "unless", "bool", "offset", "atan2", "inf", "nan"];

impl Names {
    /// Of a query whose variables are filled in.
    pub fn of(query: &str) -> Self {
        let mut names = Self::default();
        let mut rest = query;
        let mut is_list = false;
        while let Some(c) = rest.chars().next() {
            match c {
                '"' | '\'' | '`' => rest = behind_text(rest),
                '[' => rest = rest.split_once(']').map_or("", |(_, behind)| behind),
                '{' => {
                    // A selector without a metric in front of it says what it is of by `__name__`.
                    let labels = labels(&mut rest);
                    if let Some((_, known)) = names.selectors.last_mut() {
                        known.extend(labels);
                    }
                }
                _ if c.is_ascii_digit() => {
                    rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
                }
                _ if is_word(c) => {
                    let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                    let (word, behind) = rest.split_at(end);
                    rest = behind;
                    let is_call = behind.trim_start().starts_with('(');
                    if LISTS.contains(&word) && is_call {
                        is_list = true;
                    } else if is_list {
                        names.lists.insert(word.to_owned());
                    } else if !is_call && !LISTS.contains(&word) && !is_keyword(word) {
                        names.selectors.push((word.to_owned(), BTreeSet::new()));
                    }
                }
                _ => {
                    is_list &= c != ')';
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        names
    }
}

/// An aggregation with its list in front of what is aggregated is a call that begins with a list.
fn is_keyword(word: &str) -> bool {
    const AGGREGATIONS: &[&str] =
        &["sum", "min", "max", "avg", "count", "group", "topk", "bottomk"];
    let word = word.to_ascii_lowercase();
    WORDS.contains(&word.as_str()) || AGGREGATIONS.contains(&word.as_str())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':')
}

/// What stands behind the quoted text that `rest` begins with.
fn behind_text(rest: &str) -> &str {
    let quote = rest.chars().next().unwrap_or('"');
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return &rest[at + 1..],
            _ => {}
        }
    }
    ""
}

/// The labels of a selector, whose braces `rest` begins with.
fn labels(rest: &mut &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    *rest = &rest[1..];
    while let Some(c) = rest.chars().next() {
        match c {
            '}' => {
                *rest = &rest[1..];
                break;
            }
            '"' | '\'' => *rest = behind_text(rest),
            _ if is_word(c) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                labels.insert(rest[..end].to_owned());
                *rest = &rest[end..];
            }
            _ => *rest = &rest[c.len_utf8()..],
        }
    }
    labels
}

#[test]
fn a_query_is_read_for_its_names() {
    let check = |query: &str, selectors: &[(&str, &[&str])], lists: &[&str]| {
        let owned = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
        let expect = Names {
            selectors: selectors.iter().map(|(name, of)| ((*name).to_owned(), owned(of))).collect(),
            lists: owned(lists),
        };
        assert_eq!(Names::of(query), expect, "{query}");
    };
    check("up", &[("up", &[])], &[]);
    check(
        "sum by (a, b) (rate(x_total{c=\"by (z)\", d!~'}'}[5m])) / 1e9",
        &[("x_total", &["c", "d"])],
        &["a", "b"],
    );
    check(
        "histogram_quantile(0.99, sum(rate(h_bucket[1m])) by (le)) > bool 0",
        &[("h_bucket", &[])],
        &["le"],
    );
    check(
        "a offset 5m and on (j) group(b{k=~\"\\\"}\"}) * on (i) group_left (h) t",
        &[("a", &[]), ("b", &["k"]), ("t", &[])],
        &["h", "i", "j"],
    );
    check("topk(5, m) or vector(0)", &[("m", &[])], &[]);
}
