//! Request targets and Host values: where a request was sent, and for what.

use crate::protocol::Authority;

/// What a request target says (RFC 9112, section 3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// The path without query; `*` for asterisk-form, empty for authority-form.
    pub(super) path: &'a str,
    /// The authority, if the target has one.
    pub(super) authority: Option<Authority<'a>>,
}

/// Reads a target that is not a CONNECT's.
pub(super) fn target(text: &str) -> Target<'_> {
    if text.starts_with('/') {
        return Target { path: before_query(text), authority: None };
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Target { path: before_query(text), authority: None };
    };
    if scheme.is_empty()
        || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    {
        return Target { path: before_query(text), authority: None };
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (place, path) = rest.split_at(end);
    let path = before_query(path);
    Target { path: if path.is_empty() { "/" } else { path }, authority: authority(place) }
}

/// Reads a CONNECT's target.
pub(super) fn tunnel(text: &str) -> Target<'_> {
    Target { path: "", authority: authority(text) }
}

/// Reads `host[:port]`, leaving out what may stand before an `@`: that may be a password.
pub(super) fn authority(text: &str) -> Option<Authority<'_>> {
    let place = text.rsplit_once('@').map_or(text, |(_, place)| place).trim_ascii();
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        (host, after.strip_prefix(':').unwrap_or(after))
    } else {
        place.split_once(':').unwrap_or((place, ""))
    };
    let fits = |b: u8| b.is_ascii_graphic() && !b"/?#\\<>\"[]".contains(&b);
    if host.is_empty() || !host.bytes().all(fits) {
        return None;
    }
    let port = match port {
        "" => None,
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        _ => return None,
    };
    Some(Authority { host, port })
}

fn before_query(text: &str) -> &str {
    let end = text.bytes().position(|b| b == b'?' || b == b'#').unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_target() {
        let check = |text, path, place: Option<(&str, Option<u16>)>| {
            let authority = place.map(|(host, port)| Authority { host, port });
            assert_eq!(target(text), Target { path, authority }, "{text}");
        };
        check("/", "/", None);
        check("/a/b?c=d", "/a/b", None);
        check("/a#b", "/a", None);
        check("*", "*", None);
        check("http://h/p?q", "/p", Some(("h", None)));
        check("http://u:p@h:81", "/", Some(("h", Some(81))));
        check("http://h:81?x=http://y", "/", Some(("h", Some(81))));
        check("https://[::1]:8443/x", "/x", Some(("::1", Some(8443))));
        check("/redirect?to=http://h/", "/redirect", None);
        check("odd", "odd", None);
        check("?://x", "", None);
    }

    #[test]
    fn reads_hosts_and_refuses_what_is_none() {
        let check = |text, expect: Option<(&str, Option<u16>)>| {
            assert_eq!(
                authority(text),
                expect.map(|(host, port)| Authority { host, port }),
                "{text}"
            );
        };
        check("example.org", Some(("example.org", None)));
        check(" example.org:80 ", Some(("example.org", Some(80))));
        check("example.org:", Some(("example.org", None)));
        check("[fe80::1]", Some(("fe80::1", None)));
        check("user:secret@h:1", Some(("h", Some(1))));
        check("h:65536", None);
        check("h:-1", None);
        check("h:+1", None);
        check("[::1", None);
        check("", None);
        check(":80", None);
        check("a b", None);
        check("a/b", None);
        check("h:99999999999999999999", None);
    }
}
