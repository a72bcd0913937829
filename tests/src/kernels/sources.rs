//! Which mirrors of Debian this system's apt is told to use: nothing here names a host.

use std::fs;
use std::path::{Path, PathBuf};

/// Where Debian's packages come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrors {
    /// The archive itself.
    pub archive: Mirror,
    /// Its security updates, when they are configured.
    pub security: Option<Mirror>,
}

/// One place, and the keys its suites are signed with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirror {
    /// The address, as it stands in the system's configuration.
    pub uri: String,
    /// A keyring's path, when the configuration names one.
    pub signed_by: Option<String>,
}

/// The words that tell a Debian archive from another distribution's or a vendor's.
const SUITES: [&str; 9] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "oldstable",
    "stable",
    "testing",
    "sid",
    "unstable",
];

/// The mirrors in apt's configuration directory (`/etc/apt`); none when it names no Debian archive.
pub fn read(etc_apt: &Path) -> Option<Mirrors> {
    let mut files = vec![etc_apt.join("sources.list")];
    if let Ok(parts) = fs::read_dir(etc_apt.join("sources.list.d")) {
        files.extend(parts.filter_map(|entry| Some(entry.ok()?.path())));
    }
    files.sort();
    let entries = files.iter().flat_map(entries_of).collect();
    choose(entries)
}

fn entries_of(path: &PathBuf) -> Vec<Entry> {
    let text = fs::read_to_string(path).unwrap_or_default();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("list") => text.lines().filter_map(one_line).collect(),
        Some("sources") => stanzas(&text),
        _ => Vec::new(),
    }
}

#[derive(Debug)]
struct Entry {
    mirror: Mirror,
    suites: Vec<String>,
}

/// The first archive and the first security archive of Debian.
fn choose(entries: Vec<Entry>) -> Option<Mirrors> {
    let mut archive = None;
    let mut security = None;
    for Entry { mirror, suites } in entries {
        let is_of_debian =
            |suite: &&String| SUITES.contains(&suite.split(['-', '/']).next().unwrap_or_default());
        let Some(suite) = suites.iter().find(is_of_debian) else { continue };
        let place = if suite.ends_with("-security") { &mut security } else { &mut archive };
        place.get_or_insert(mirror);
    }
    Some(Mirrors { archive: archive?, security })
}

/// `deb [options] uri suite component...`
fn one_line(line: &str) -> Option<Entry> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let uri = words.next()?.to_owned();
    let suites = vec![words.next()?.to_owned()];
    let signed_by = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="))
        .map(str::to_owned);
    words
        .any(|component| component == "main")
        .then_some(Entry { mirror: Mirror { uri, signed_by }, suites })
}

/// The deb822 form: stanzas of `Key: value`, apart by an empty line.
fn stanzas(text: &str) -> Vec<Entry> {
    text.split("\n\n")
        .filter_map(|stanza| {
            let field = |key: &str| {
                stanza.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case(key).then(|| value.trim().to_owned())
                })
            };
            let has = |key: &str, word: &str| {
                field(key)?.split_whitespace().any(|one| one == word).then_some(())
            };
            if field("Enabled").is_some_and(|value| value == "no") {
                return None;
            }
            has("Types", "deb")?;
            has("Components", "main")?;
            let uri = field("URIs")?.split_whitespace().next()?.to_owned();
            let signed_by = field("Signed-By").filter(|value| value.starts_with('/'));
            let suites = field("Suites")?.split_whitespace().map(str::to_owned).collect();
            Some(Entry { mirror: Mirror { uri, signed_by }, suites })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(uri: &str, signed_by: Option<&str>) -> Mirror {
        Mirror { uri: uri.to_owned(), signed_by: signed_by.map(str::to_owned) }
    }

    #[test]
    fn finds_the_mirrors_of_stanzas_and_passes_over_vendors() {
        let text = "Types: deb\nURIs: http://vendor.test/x\nSuites: nodistro\nComponents: main\n\n\
            Types: deb\n# why\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n\n\
            Types: deb\nURIs: http://mirror.test/sec\nSuites: bookworm-security\nComponents: main\nEnabled: no\n\n\
            Types: deb\nURIs: http://mirror.test/security\nSuites: bookworm-security\nComponents: main contrib\n";
        let expect = Mirrors {
            archive: mirror("http://mirror.test/debian", Some("/k.gpg")),
            security: Some(mirror("http://mirror.test/security", None)),
        };
        assert_eq!(choose(stanzas(text)), Some(expect));
    }

    #[test]
    fn finds_the_mirrors_of_one_line_entries() {
        let check = |text: &str, expect: Option<Mirrors>| {
            assert_eq!(choose(text.lines().filter_map(one_line).collect()), expect, "{text}");
        };
        check("# deb http://a.test stable main", None);
        check("deb http://a.test/apt jammy main", None);
        check("deb-src http://a.test stable main", None);
        check(
            "deb [arch=amd64 signed-by=/k.asc] http://a.test/debian trixie main",
            Some(Mirrors {
                archive: mirror("http://a.test/debian", Some("/k.asc")),
                security: None,
            }),
        );
        check(
            "deb http://s.test trixie-security main\ndeb http://a.test/debian trixie main",
            Some(Mirrors {
                archive: mirror("http://a.test/debian", None),
                security: Some(mirror("http://s.test", None)),
            }),
        );
    }
}
