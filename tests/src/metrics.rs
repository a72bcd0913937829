//! The agent's Prometheus page, read strictly enough to compare with `==`.

use std::collections::BTreeMap;

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// All samples of a page.
#[derive(Clone, Debug, Default)]
pub struct Metrics(pub Vec<Sample>);

/// What is asked for: every label given must be as given.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Metrics {
    /// The samples of a page in the text format.
    pub fn parse(page: &str) -> Self {
        Self(page.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// The samples of a metric with these labels.
    pub fn of<'a>(&'a self, name: &'a str, labels: Labels<'a>) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| {
            sample.name == name
                && labels.iter().all(|(key, value)| {
                    sample.labels.get(*key).map_or("", String::as_str) == *value
                })
        })
    }

    /// Their sum. Labels asked for as empty must be absent.
    pub fn sum(&self, name: &str, labels: Labels<'_>) -> u64 {
        self.of(name, labels).map(|sample| sample.value).sum::<f64>().round() as u64
    }

    /// Requests that the service `job` answered.
    pub fn served(&self, job: &str, labels: Labels<'_>) -> u64 {
        self.requests("server", job, labels)
    }

    /// Requests that the service `job` made.
    pub fn asked(&self, job: &str, labels: Labels<'_>) -> u64 {
        self.requests("client", job, labels)
    }

    /// Requests of the service `job` in the role `server` or `client`.
    pub fn requests(&self, role: &str, job: &str, labels: Labels<'_>) -> u64 {
        let mut all = vec![("job", job)];
        all.extend_from_slice(labels);
        self.sum(&format!("http_{role}_request_duration_seconds_count"), &all)
    }

    /// Everything the agent says it lost, of exchanges and of records.
    pub fn lost(&self) -> u64 {
        self.sum("steth_exchange_lost_total", &[]) + self.sum("steth_record_lost_total", &[])
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (name, rest) = match line.split_once('{') {
        Some((name, rest)) => (name, rest),
        None => {
            let (name, value) = line.split_once(' ')?;
            let value = value.split(' ').next()?.parse().ok()?;
            return Some(Sample { name: name.to_owned(), labels: BTreeMap::new(), value });
        }
    };
    let mut labels = BTreeMap::new();
    let mut at = 0;
    loop {
        let (key, more) = rest.get(at..)?.split_once("=\"")?;
        let start = rest.len() - more.len();
        let mut value = String::new();
        let mut escaped = false;
        let mut end = None;
        for (i, c) in more.char_indices() {
            match (escaped, c) {
                (true, 'n') => value.push('\n'),
                (true, c) => value.push(c),
                (false, '\\') => {
                    escaped = true;
                    continue;
                }
                (false, '"') => {
                    end = Some(start + i + 1);
                    break;
                }
                (false, c) => value.push(c),
            }
            escaped = false;
        }
        let end = end?;
        labels.insert(key.trim_start_matches(',').to_owned(), value);
        if rest.get(end..)?.starts_with('}') {
            let value = rest.get(end + 1..)?.split_whitespace().next()?.parse().ok()?;
            return Some(Sample { name: name.to_owned(), labels, value });
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_labels_with_anything_in_them() {
        let page = "# HELP x y\nx_total{a=\"1,}\\\"\\n\",b=\"\"} 3\ny 4.5 17\n";
        let metrics = Metrics::parse(page);
        assert_eq!(metrics.sum("x_total", &[("a", "1,}\"\n")]), 3);
        assert_eq!(metrics.of("y", &[]).map(|s| s.value).sum::<f64>(), 4.5);
    }
}
