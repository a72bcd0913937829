//! Spans against the conventions: names, status, every attribute that is required, redaction.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value as Yaml;

use super::*;
use crate::metric::key;

fn one(ask: &Ask, route: Option<&'static str>) -> Span {
    let mut trace = Trace::new(config());
    let counts = Said { route, ..COUNTS };
    tell_with(&mut trace, ask, &counts);
    trace.finish(&counts);
    trace.take().remove(0)
}

/// `key=value` of the attributes that begin with one of these.
fn some(span: &Span, wanted: &[&str]) -> String {
    let fits = |key: &Key| wanted.iter().any(|wanted| key.0.starts_with(wanted));
    let told = span.attributes.iter().filter(|(key, _)| fits(key));
    told.map(|(key, value)| format!("{}={}", key.0, text(Some(value))))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn names_have_the_route_and_never_the_path() {
    let check = |ask: Ask, route, expect: &str| assert_eq!(one(&ask, route).name, expect);
    check(served("/items/7", 200, (0, 1)), Some("/items/{id}"), "GET /items/{id}");
    check(served("/items/7", 404, (0, 1)), None, "GET");
    check(asked("/items/7", 200, (0, 1)), Some("/items/{id}"), "GET");
    let odd = Ask { head: "PURGE /x HTTP/1.1\r\n\r\n".to_owned(), ..served("/x", 200, (0, 1)) };
    let span = one(&odd, None);
    assert_eq!(span.name, "HTTP");
    let method = "http.request.method=_OTHER http.request.method_original=PURGE";
    assert_eq!(some(&span, &["http.request.method"]), method);
}

#[test]
fn a_client_says_who_is_at_the_far_end_and_a_server_does_not() {
    let counts = Said { far: Some("cart"), ..COUNTS };
    let of = |ask: &Ask| {
        let mut trace = Trace::new(config());
        tell_with(&mut trace, ask, &counts);
        trace.finish(&counts);
        some(&trace.take().remove(0), &["service.", "server.address", "network.peer.address"])
    };
    let places = "network.peer.address=127.0.0.1 server.address=shop.test";
    let far = "service.peer.name=cart service.peer.namespace=shop";
    assert_eq!(of(&asked("/items/7", 200, (0, 1))), format!("{places} {far}"));
    assert_eq!(of(&served("/items/7", 200, (0, 1))), places);
}

#[test]
fn the_status_is_an_error_for_whom_it_is_one() {
    let check = |ask: Ask, error, kind: &str| {
        let span = one(&ask, None);
        assert_eq!((span.error, some(&span, &["error.type"]).as_str()), (error, kind));
    };
    check(served("/", 200, (0, 1)), false, "");
    check(served("/", 404, (0, 1)), false, "");
    check(asked("/", 404, (0, 1)), true, "error.type=404");
    check(served("/", 500, (0, 1)), true, "error.type=500");
    let reset = Ask { fault: Some(Fault::Reset), ..served("/", 200, (0, 1)) };
    check(reset, true, "error.type=connection_reset");
    let silent = Ask { fault: Some(Fault::Timeout), status: None, ..asked("/", 0, (0, 1)) };
    check(silent, true, "error.type=timeout");
}

#[test]
fn urls_are_told_without_their_secrets() {
    let target = "/items/7?page=2&token=secret&bare";
    let span = one(&served(target, 200, (0, 1)), None);
    let expect = "url.path=/items/7 url.query=page=2&token=REDACTED&REDACTED url.scheme=http";
    assert_eq!(some(&span, &["url."]), expect);
    let span = one(&asked(target, 200, (0, 1)), None);
    let full = "http://shop.test:8080/items/7?page=2&token=REDACTED&REDACTED";
    assert_eq!(some(&span, &["url.full"]), format!("url.full={full}"));
    let told = format!("{:?}", one(&with(served("/", 200, (0, 1)), "Cookie: secret\r\n"), None));
    assert!(!told.contains("secret"), "{told}");
}

#[test]
fn who_asked_is_told_by_the_nearest_proxy_to_it() {
    let check = |headers: &str, client: &str, scheme: &str| {
        let span = one(&with(served("/", 200, (0, 1)), headers), None);
        let expect = format!("client.address={client} url.scheme={scheme}");
        assert_eq!(some(&span, &["client.", "url.scheme"]), expect, "{headers}");
    };
    check("", "127.0.0.1", "http");
    check(
        "X-Forwarded-For: 192.0.2.7, 10.0.0.1\r\nX-Forwarded-Proto: https\r\n",
        "192.0.2.7",
        "https",
    );
    check("Forwarded: for=192.0.2.7:99;proto=https, for=10.0.0.1\r\n", "192.0.2.7", "https");
    check("forwarded: For=\"[2001:db8::7]:99\"\r\nX-Forwarded-For: x\r\n", "2001:db8::7", "http");
    check("X-Forwarded-For: 2001:db8::7\r\n", "2001:db8::7", "http");
    check("Forwarded: for=unknown\r\n", "127.0.0.1", "http");
    check("X-Forwarded-For: <script>\r\n", "127.0.0.1", "http");
    check("X-Forwarded-For:\r\n", "127.0.0.1", "http");
}

#[test]
fn headers_are_told_only_if_somebody_asked_for_them() {
    let headers = "X-Tenant: a\r\nX-Other: b\r\nx-tenant: c\r\nUser-Agent: curl/8\r\n";
    let span = one(&with(served("/", 200, (0, 1)), headers), None);
    let expect = r#"http.request.header.x-tenant=List(["a", "c"]) user_agent.original=curl/8"#;
    assert_eq!(some(&span, &["http.request.header", "user_agent"]), expect);
}

#[test]
fn hostile_heads_make_short_and_printable_spans() {
    for filler in ["\u{1b}[2J", "\u{202e}", "%00", "'\"<>&"] {
        let long = filler.repeat(3000);
        let headers = format!("User-Agent: {long}\r\nX-Tenant: {long}\r\nForwarded: {long}\r\n");
        let head = format!("GET /{long}?{long}={long} HTTP/1.1\r\n{headers}\r\n");
        let span = one(&Ask { head, ..served("/", 200, (0, 1)) }, None);
        for (key, value) in &span.attributes {
            let text = text(Some(value));
            assert!(text.len() <= 4096, "{}: {} bytes", key.0, text.len());
            assert!(!text.chars().any(char::is_control), "{}", key.0);
        }
    }
}

/// The attributes of a span that the model requires, as it stands in `http/spans.yaml`.
fn required(group: &str) -> Option<BTreeSet<String>> {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/semconv-1.44.0/model");
    if !model.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "the conventions' model is missing");
        println!("left out: the conventions' model is not here");
        return None;
    }
    let mut groups = Vec::new();
    for file in std::fs::read_dir(model.join("http")).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        let yaml: Yaml = serde_saphyr::from_str(&text).unwrap();
        collect(&yaml, &mut groups);
    }
    let mut names = BTreeSet::new();
    let mut next = Some(group.to_owned());
    let mut known = BTreeSet::new();
    while let Some(id) = next {
        let found = groups.iter().find(|group| group["id"] == id.as_str());
        let found = found.unwrap_or_else(|| panic!("{id} is not in the model"));
        for attribute in found["attributes"].as_array().into_iter().flatten() {
            let name = attribute["ref"].as_str().unwrap_or_default().to_owned();
            let level = &attribute["requirement_level"];
            // What a group says of an attribute again is stronger than what it extends.
            if !level.is_null() && known.insert(name.clone()) && level == "required" {
                names.insert(name);
            }
        }
        next = found["extends"].as_str().map(str::to_owned);
    }
    assert!(names.contains("http.request.method"), "{names:?}");
    Some(names)
}

fn collect(yaml: &Yaml, groups: &mut Vec<Yaml>) {
    match yaml {
        Yaml::Array(items) => items.iter().for_each(|item| collect(item, groups)),
        Yaml::Object(map) => {
            if map.contains_key("id") && map.contains_key("attributes") {
                groups.push(yaml.clone());
            }
            map.values().for_each(|item| collect(item, groups));
        }
        _ => {}
    }
}

#[test]
fn every_span_has_what_the_conventions_require() {
    let silent = |ask: Ask| Ask { head: "GET /x HTTP/1.0\r\n\r\n".to_owned(), ..ask };
    for (group, asks) in [
        ("span.http.server", [served("/x?y", 200, (0, 1)), silent(served("/x", 500, (0, 1)))]),
        ("span.http.client", [asked("/x?y", 200, (0, 1)), silent(asked("/x", 404, (0, 1)))]),
    ] {
        let Some(required) = required(group) else { return };
        for ask in asks {
            let span = one(&ask, None);
            let there: BTreeSet<String> =
                span.attributes.iter().map(|(key, _)| key.0.to_owned()).collect();
            let missing: Vec<_> = required.difference(&there).collect();
            assert!(missing.is_empty(), "{group}: {missing:?}");
            for (attribute, _) in &span.attributes {
                let known = key::ALL.iter().any(|(known, _)| known == attribute);
                assert!(
                    known || attribute.0.starts_with(key::HTTP_REQUEST_HEADER),
                    "{attribute:?}"
                );
            }
        }
    }
}
