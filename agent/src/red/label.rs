//! The labels of a series as enums and interned ids, and how they read.

use std::sync::Arc;

use crate::cluster::Far;
use crate::metric::key;
use crate::metric::snapshot::{Attribute, Value};
use crate::protocol::{Fault, Method, Role, Version};

use super::far::FarId;
use super::route::{Name, OTHER, RouteId};
use super::server::{Server, ServerId};

/// What tells the series of one service apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Labels {
    pub(super) role: Role,
    pub(super) method: Method,
    pub(super) route: RouteId,
    /// 0 if none came.
    pub(super) status: u16,
    /// Only where it says more than the status.
    pub(super) fault: Option<Fault>,
    pub(super) version: Option<Version>,
    pub(super) server: ServerId,
    /// A client's alone.
    pub(super) far: FarId,
}

impl Labels {
    /// All of them in one number: equal only for equal labels.
    #[inline]
    pub(super) fn packed(self) -> u64 {
        let Self { role, method, route, status, fault, version, server, far } = self;
        u64::from(route.0)
            | u64::from(server.0) << 16
            | u64::from(status) << 32
            | (role as u64) << 48
            | (method as u64) << 49
            | fault.map_or(0, |fault| fault as u64 + 1) << 53
            | version.map_or(0, |version| version as u64 + 1) << 56
            | u64::from(far.0) << 58
    }

    /// Whether the exchanges of this series failed.
    pub(super) fn failed(self) -> bool {
        self.fault.is_some() || is_error(self.role, self.status)
    }

    /// The labels by their names. `route`, `server` and `far` are what the ids stand for.
    pub(super) fn attributes(
        self,
        route: Option<&Name>,
        server: Option<&Server>,
        far: Option<&Far>,
        guessed_as_template: bool,
    ) -> Arc<[Attribute]> {
        let mut attributes = Vec::with_capacity(11);
        attributes.push((key::HTTP_REQUEST_METHOD, Value::Static(method(self.method))));
        attributes.push((key::URL_SCHEME, Value::Static("http")));
        if self.status != 0 {
            attributes.push((key::HTTP_RESPONSE_STATUS_CODE, Value::Int(self.status.into())));
        }
        if is_error(self.role, self.status) {
            attributes.push((key::ERROR_TYPE, Value::Text(self.status.to_string().into())));
        } else if let Some(fault) = self.fault {
            attributes.push((key::ERROR_TYPE, Value::Static(error_type(fault))));
        }
        if let Some(version) = self.version {
            attributes.push((key::NETWORK_PROTOCOL_VERSION, Value::Static(self::version(version))));
        }
        if self.route != RouteId::NONE {
            let (text, guessed) = match route {
                Some(name) => (Value::Text(name.text.clone()), name.guessed),
                None => (Value::Static(OTHER), true),
            };
            let template = self.role == Role::Client || (guessed && guessed_as_template);
            let key = if template { key::URL_TEMPLATE } else { key::HTTP_ROUTE };
            attributes.push((key, text));
        }
        push_server(&mut attributes, self.server, server);
        push_far(&mut attributes, far);
        attributes.sort_unstable_by_key(|(key, _)| *key);
        attributes.into()
    }
}

/// Adds where a request was sent.
pub(super) fn push_server(attributes: &mut Vec<Attribute>, id: ServerId, server: Option<&Server>) {
    if id == ServerId::NONE {
        return;
    }
    match server {
        Some(server) => {
            attributes.push((key::SERVER_ADDRESS, Value::Text(server.address.clone())));
            attributes.push((key::SERVER_PORT, Value::Int(server.port.into())));
        }
        None => attributes.push((key::SERVER_ADDRESS, Value::Static("_OTHER"))),
    }
}

/// Adds who is at the far end, if that is known.
pub(crate) fn push_far(attributes: &mut Vec<Attribute>, far: Option<&Far>) {
    let Some(Far { name, namespace }) = far else { return };
    attributes.push((key::SERVICE_PEER_NAME, Value::Text(Arc::clone(name))));
    let namespace = namespace.iter().filter(|namespace| !namespace.is_empty());
    attributes
        .extend(namespace.map(|of| (key::SERVICE_PEER_NAMESPACE, Value::Text(Arc::clone(of)))));
}

/// The labels of a series for all that a budget has no room for.
pub(super) fn overflow() -> Arc<[Attribute]> {
    [(key::OTEL_METRIC_OVERFLOW, Value::Bool(true))].into()
}

/// Whether a status is an error for the one who sees it.
pub(crate) fn is_error(role: Role, status: u16) -> bool {
    match role {
        Role::Server => status >= 500,
        Role::Client => status >= 400,
    }
}

/// The fault, unless the status already says that the exchange failed.
#[inline]
pub(super) fn beyond_status(role: Role, status: u16, fault: Option<Fault>) -> Option<Fault> {
    if is_error(role, status) { None } else { fault }
}

/// The word for a fault.
pub(crate) fn error_type(fault: Fault) -> &'static str {
    match fault {
        Fault::Closed => "connection_closed",
        Fault::Reset => "connection_reset",
        Fault::Timeout => "timeout",
        Fault::Refused => "connection_refused",
        Fault::Unreachable => "host_unreachable",
        Fault::Other => "_OTHER",
    }
}

/// The word for a method.
pub(crate) fn method(method: Method) -> &'static str {
    match method {
        Method::Connect => "CONNECT",
        Method::Delete => "DELETE",
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Options => "OPTIONS",
        Method::Patch => "PATCH",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Query => "QUERY",
        Method::Trace => "TRACE",
        Method::Other => "_OTHER",
    }
}

/// The word for a version.
pub(crate) fn version(version: Version) -> &'static str {
    match version {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
    }
}
