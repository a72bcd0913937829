//! Spans of HTTP by the semantic conventions 1.44: SERVER and CLIENT, one an exchange.

use std::net::Ipv6Addr;

use agent_common::schedule::Cause;

use super::context::Context;
use super::heads::Head;
use super::ids::{SpanId, TraceId};
use super::link::Missing;
use super::pending::{Pending, Subject};
use super::redact;
use super::sampling::{Threshold, Why};
use crate::entity::EntityId;
use crate::event::{Nanos, Peer, Timestamp};
use crate::metric::key::{self, Key};
use crate::metric::snapshot::{Attribute, Value};
use crate::protocol::{Course, Lines, Method, Role};
use crate::red::{Route, label};

/// The longest name that DNS allows.
const MAX_NAME: usize = 253;

/// A span that is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Whose it is.
    pub entity: EntityId,
    /// Which side it was on.
    pub role: Role,
    /// What it tells others of itself.
    pub kind: Kind,
    /// Its trace.
    pub trace: TraceId,
    /// Its id.
    pub id: SpanId,
    /// Its parent; none for a root.
    pub parent: Option<SpanId>,
    /// `tracestate`, the threshold it was kept by in it.
    pub state: String,
    /// Its name.
    pub name: String,
    /// When its first byte had crossed.
    pub begun: Timestamp,
    /// When its last byte had crossed.
    pub ended: Timestamp,
    /// Whether it failed.
    pub error: bool,
    /// The span that told of it while it hung.
    pub link: Option<(TraceId, SpanId)>,
    /// What is known of it, in the order of the keys.
    pub attributes: Vec<Attribute>,
}

/// The kinds of spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An answer given.
    Server,
    /// An answer asked for.
    Client,
    /// Neither: what is told of a request that still hangs.
    Internal,
}

/// What is told of requests beyond what the conventions always ask for.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Query parameters whose values may be told.
    pub query: Vec<String>,
    /// Request headers in lower case, with the keys they are told under.
    pub headers: Vec<(&'static str, Key)>,
}

/// Where a span stands in its trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Result<(SpanId, By), Missing>,
    pub(super) why: Why,
    /// What it was kept by, as far as that is known.
    pub(super) threshold: Option<Threshold>,
}

/// How a span was linked to its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// By the context in the request's head.
    Context,
    /// By the connection, seen from both ends.
    Connection,
    /// By what came in a TCP option.
    Option,
    /// By the thread that held one request alone when it called.
    Thread,
    /// By the goroutine that did.
    Goroutine,
    /// By the slices of an event loop in which it was sent and answered.
    Slice,
}

impl By {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Context, Self::Connection, Self::Option, Self::Thread, Self::Goroutine, Self::Slice];

    /// Its name as an attribute's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Context => "context",
            Self::Connection => "connection",
            Self::Option => "tcp_option",
            Self::Thread => "thread",
            Self::Goroutine => "goroutine",
            Self::Slice => "slice",
        }
    }
}

/// Makes the span of an exchange.
pub(super) fn span(
    pending: &Pending,
    head: &Head<'_>,
    route: Option<&Route>,
    standing: &Standing,
    told: &Told,
) -> Span {
    let Standing { trace, id, parent, why, threshold } = *standing;
    let mut all = Attributes(Vec::with_capacity(24));
    if pending.subject == Subject::Connect {
        all.connect(pending);
    } else {
        all.request(pending, head, route, told);
        all.answer(pending);
        all.places(pending, head);
        all.why(pending);
    }
    label::push_far(&mut all.0, pending.far.as_deref());
    match pending.subject {
        Subject::Request | Subject::Connect => {}
        Subject::Hanging => all.fixed(key::STETH_SPAN_STATE, "hanging"),
        Subject::Unfinished => all.fixed(key::STETH_SPAN_STATE, "in_flight"),
    }
    match parent {
        Ok((_, method)) => all.fixed(key::STETH_LINK_METHOD, method.name()),
        Err(missing) => all.fixed(key::STETH_LINK_MISSING, missing.name()),
    }
    all.fixed(key::STETH_SAMPLING_REASON, why.name());
    all.0.sort_by_key(|(key, _)| *key);
    let state = pending.context().map(|context: &Context| context.state.clone());
    let kind = match (pending.subject, pending.role) {
        (Subject::Hanging, _) => Kind::Internal,
        (_, Role::Server) => Kind::Server,
        (_, Role::Client) => Kind::Client,
    };
    // What was not counted stands for nothing that was.
    let counted = matches!(pending.subject, Subject::Request | Subject::Connect);
    let threshold = threshold.filter(|_| counted);
    Span {
        entity: pending.entity,
        role: pending.role,
        kind,
        trace,
        id,
        parent: parent.ok().map(|(parent, _)| parent),
        state: state.unwrap_or_default().told(threshold),
        name: name(pending, route),
        begun: pending.begun,
        ended: pending.ended,
        error: pending.error,
        link: pending.report(),
        attributes: all.0,
    }
}

/// `{method} {route}`; the path is never in it.
fn name(pending: &Pending, route: Option<&Route>) -> String {
    if pending.subject == Subject::Connect {
        return "connect".to_owned();
    }
    let method = match pending.method {
        Method::Other => "HTTP",
        known => label::method(known),
    };
    match route {
        Some(route) => format!("{method} {}", route.text),
        None => method.to_owned(),
    }
}

struct Attributes(Vec<Attribute>);

impl Attributes {
    fn fixed(&mut self, key: Key, text: &'static str) {
        self.0.push((key, Value::Static(text)));
    }

    fn text(&mut self, key: Key, text: &str) {
        self.0.push((key, Value::Text(text.into())));
    }

    fn number(&mut self, key: Key, number: u64) {
        self.0.push((key, Value::Int(i64::try_from(number).unwrap_or(i64::MAX))));
    }

    fn request(&mut self, pending: &Pending, head: &Head<'_>, route: Option<&Route>, told: &Told) {
        let lines = &head.lines;
        self.fixed(key::HTTP_REQUEST_METHOD, label::method(pending.method));
        if pending.method == Method::Other
            && let Some(method) = lines.method()
        {
            let short: String = method.chars().take(32).collect();
            self.text(key::HTTP_REQUEST_METHOD_ORIGINAL, &redact::tidy(short.as_bytes()));
        }
        if let Some(route) = route {
            let key = if route.template { key::URL_TEMPLATE } else { key::HTTP_ROUTE };
            self.0.push((key, Value::Text(route.text.clone())));
        }
        let path = redact::tidy(head.path.as_bytes());
        let query = lines.query().map(|query| redact::query(query, &told.query));
        let scheme = scheme(pending.role, lines);
        self.fixed(key::URL_SCHEME, scheme);
        match pending.role {
            Role::Server => {
                self.text(key::URL_PATH, &path);
                if let Some(query) = &query {
                    self.text(key::URL_QUERY, query);
                }
            }
            Role::Client => {
                let (host, port) = place(pending, head, scheme);
                // IPv6 addresses stand in brackets.
                let host = if host.contains(':') { format!("[{host}]") } else { host };
                let port = if port == 80 { String::new() } else { format!(":{port}") };
                let query = query.map(|query| format!("?{query}")).unwrap_or_default();
                self.text(key::URL_FULL, &format!("{scheme}://{host}{port}{path}{query}"));
            }
        }
        for (name, value) in lines.headers() {
            if name.eq_ignore_ascii_case(b"user-agent")
                && !self.0.iter().any(|(known, _)| *known == key::USER_AGENT_ORIGINAL)
            {
                self.text(key::USER_AGENT_ORIGINAL, &redact::tidy(value));
            }
        }
        for (wanted, key) in &told.headers {
            let is = |name: &[u8]| name.eq_ignore_ascii_case(wanted.as_bytes());
            let values = lines.headers().filter(|(name, _)| is(name));
            let values: Vec<_> = values.map(|(_, value)| redact::tidy(value).into()).collect();
            if !values.is_empty() {
                self.0.push((*key, Value::List(values.into())));
            }
        }
        self.number(key::HTTP_REQUEST_BODY_SIZE, pending.request_body);
    }

    /// What it was to be asked is not known, not even the protocol.
    fn connect(&mut self, pending: &Pending) {
        if let Some(fault) = pending.fault {
            self.fixed(key::ERROR_TYPE, label::error_type(fault));
        }
        let port = pending.peer.port.into();
        self.fixed(key::NETWORK_TRANSPORT, "tcp");
        self.number(key::SERVER_PORT, port);
        if let Some(peer) = address(&pending.peer) {
            self.text(key::SERVER_ADDRESS, &peer);
            self.text(key::NETWORK_PEER_ADDRESS, &peer);
            self.number(key::NETWORK_PEER_PORT, port);
        }
    }

    fn answer(&mut self, pending: &Pending) {
        let status = pending.status.unwrap_or(0);
        if status != 0 {
            self.number(key::HTTP_RESPONSE_STATUS_CODE, status.into());
            self.number(key::HTTP_RESPONSE_BODY_SIZE, pending.response_body);
        }
        if label::is_error(pending.role, status) {
            self.text(key::ERROR_TYPE, &status.to_string());
        } else if let Some(fault) = pending.fault {
            self.fixed(key::ERROR_TYPE, label::error_type(fault));
        }
        if let Some(version) = pending.version {
            self.fixed(key::NETWORK_PROTOCOL_VERSION, label::version(version));
        }
    }

    fn seconds(&mut self, key: Key, time: Nanos) {
        self.0.push((key, Value::Seconds(time.0)));
    }

    /// Where the time went. What nothing was waited for is left out.
    fn why(&mut self, pending: &Pending) {
        let Course { answered, why, .. } = &pending.course;
        if let Some(answered) = answered {
            self.seconds(key::STETH_WHY_FIRST_BYTE, answered.since(pending.begun));
            self.seconds(key::STETH_WHY_LAST_BYTE, pending.ended.since(pending.begun));
        }
        if let Some(time) = why.unaccepted() {
            self.seconds(key::STETH_WHY_ACCEPT_QUEUE, time);
            if why.is_unseen_accept() {
                self.0.push((key::STETH_WHY_ACCEPT_UNSEEN, Value::Bool(true)));
            }
        }
        if let Some(time) = why.unread() {
            self.seconds(key::STETH_WHY_RECEIVE_QUEUE, time);
        }
        match why.thread() {
            Ok(account) => {
                self.seconds(key::STETH_WHY_CPU, account.ran);
                self.seconds(key::STETH_WHY_RUN_QUEUE, account.queued);
                let blocked = Cause::ALL.map(blocked).into_iter().zip(account.blocked);
                let waits = blocked.chain([(key::STETH_WHY_THROTTLED, account.throttled)]);
                for (key, time) in waits.filter(|(_, time)| *time != Nanos(0)) {
                    self.seconds(key, time);
                }
                self.number(key::STETH_WHY_SWITCHES, account.switches.into());
                if account.shared {
                    self.0.push((key::STETH_WHY_SHARED, Value::Bool(true)));
                }
            }
            Err(unknown) => {
                if let Some(name) = unknown.name() {
                    self.fixed(key::STETH_WHY_MISSING, name);
                }
            }
        }
    }

    fn places(&mut self, pending: &Pending, head: &Head<'_>) {
        let lines = &head.lines;
        let peer = address(&pending.peer);
        if let Some(peer) = &peer {
            self.text(key::NETWORK_PEER_ADDRESS, peer);
            self.number(key::NETWORK_PEER_PORT, pending.peer.port.into());
        }
        if pending.role == Role::Client || head.host.is_some() {
            let (host, port) = place(pending, head, scheme(pending.role, lines));
            self.text(key::SERVER_ADDRESS, &host);
            self.number(key::SERVER_PORT, port.into());
        }
        if pending.role == Role::Server
            && let Some(client) = forwarded(lines).or(peer)
        {
            self.text(key::CLIENT_ADDRESS, &client);
        }
    }
}

const fn blocked(cause: Cause) -> Key {
    match cause {
        Cause::Disk => key::STETH_WHY_BLOCKED_DISK,
        Cause::Network => key::STETH_WHY_BLOCKED_NETWORK,
        Cause::Lock => key::STETH_WHY_BLOCKED_LOCK,
        Cause::Sleep => key::STETH_WHY_BLOCKED_SLEEP,
        Cause::Other => key::STETH_WHY_BLOCKED_OTHER,
    }
}

/// Where a request was sent, by its own word, else by the connection.
fn place(pending: &Pending, head: &Head<'_>, scheme: &str) -> (String, u16) {
    let default = if scheme == "https" { 443 } else { 80 };
    match head.host {
        Some((host, port)) => {
            let short: String = host.chars().take(MAX_NAME).collect();
            (redact::tidy(short.as_bytes()), port.unwrap_or(default))
        }
        None => match address(&pending.peer) {
            Some(address) => (address, pending.peer.port),
            None => ("unix".to_owned(), 0),
        },
    }
}

/// The other end's address; none for Unix sockets.
fn address(peer: &Peer) -> Option<String> {
    let known = peer.address != [0; 16] || peer.port != 0;
    known.then(|| Ipv6Addr::from(peer.address).to_canonical().to_string())
}

/// The scheme by the word of the proxy nearest to the client, else the connection's.
fn scheme(role: Role, lines: &Lines<'_>) -> &'static str {
    let said = match role {
        Role::Server => parameter(lines, "proto").or_else(|| first(lines, b"x-forwarded-proto")),
        Role::Client => None,
    };
    match said {
        Some(said) if said.eq_ignore_ascii_case("https") => "https",
        _ => "http",
    }
}

/// The client's address by the word of the proxy nearest to it.
fn forwarded(lines: &Lines<'_>) -> Option<String> {
    let said = parameter(lines, "for").or_else(|| first(lines, b"x-forwarded-for"))?;
    let host = if let Some(rest) = said.strip_prefix('[') {
        rest.split_once(']')?.0
    } else if said.matches(':').count() == 1 {
        said.split_once(':')?.0
    } else {
        said
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || b".:-_%".contains(&b);
    let known = !host.is_empty() && host.len() <= MAX_NAME && host.bytes().all(fits);
    (known && !host.eq_ignore_ascii_case("unknown")).then(|| host.to_owned())
}

/// The first element of a list.
fn first<'a>(lines: &Lines<'a>, wanted: &[u8]) -> Option<&'a str> {
    let (_, value) = lines.headers().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
    Some(str::from_utf8(value).ok()?.split(',').next()?.trim()).filter(|text| !text.is_empty())
}

/// A parameter of the first element of `Forwarded` (RFC 7239).
fn parameter<'a>(lines: &Lines<'a>, wanted: &str) -> Option<&'a str> {
    let element = first(lines, b"forwarded")?;
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
    Some(value.trim().trim_matches('"'))
}
