//! As much of the Prometheus text format as is needed to read the agent's own endpoint.

use std::collections::BTreeMap;

use super::report::Tally;

/// One line of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The metric's name, with its `_count` or `_total`.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// All series of a page; what cannot be read is left out.
pub fn parse(text: &str) -> Vec<Series> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(series).collect()
}

fn series(line: &str) -> Option<Series> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at_checked(end)?;
    let mut labels = BTreeMap::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            inside = inside.trim_start_matches([',', ' ']);
            if let Some(after) = inside.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, quoted) = inside.split_once("=\"")?;
            let (value, after) = unquoted(quoted)?;
            labels.insert(label.to_owned(), value);
            inside = after;
        }
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Series { name: name.to_owned(), labels, value })
}

/// The text up to the closing quote with its escapes undone, and what follows the quote.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => match chars.next()? {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
}

/// The counts of `name` by method and status, of the series that carry `service` in any label.
pub fn tally(all: &[Series], name: &str, service: &str) -> Tally {
    let mut tally = Tally::new();
    for series in all {
        if series.name != name || !series.labels.values().any(|value| value == service) {
            continue;
        }
        let label = |key: &str| series.labels.get(key).map_or("-", String::as_str);
        let key =
            format!("{} {}", label("http_request_method"), label("http_response_status_code"));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of requests"
        )]
        let count = series.value as u64;
        *tally.entry(key).or_default() += count;
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE x histogram\n\
        d_count{job=\"a\",http_request_method=\"GET\",http_response_status_code=\"200\",http_route=\"/a\"} 3\n\
        d_count{job=\"a\",http_request_method=\"GET\",http_response_status_code=\"200\",http_route=\"/\\\"b\\\\\"} 4\n\
        d_count{job=\"b\",http_request_method=\"GET\",http_response_status_code=\"200\"} 9\n\
        d_count{job=\"a\",http_request_method=\"PUT\"} 1 1700000000\n\
        plain 2.5\n\
        broken{a=\"b} 1\n";

    #[test]
    fn sums_the_series_of_one_service_by_method_and_status() {
        let expect = Tally::from([("GET 200".to_owned(), 7), ("PUT -".to_owned(), 1)]);
        assert_eq!(tally(&parse(PAGE), "d_count", "a"), expect);
        assert_eq!(tally(&parse(PAGE), "other", "a"), Tally::new());
    }

    #[test]
    fn undoes_escapes_and_leaves_out_what_it_cannot_read() {
        let all = parse(PAGE);
        assert_eq!(all.len(), 5);
        assert!(all.iter().any(|series| series.labels.values().any(|value| value == "/\"b\\")));
        assert!(all.iter().any(|series| series.name == "plain" && series.labels.is_empty()));
    }
}
