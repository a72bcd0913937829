//! Every attribute key the agent writes.

/// An attribute's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub &'static str);

/// The method of a request.
pub const HTTP_REQUEST_METHOD: Key = Key("http.request.method");
/// The status of a response.
pub const HTTP_RESPONSE_STATUS_CODE: Key = Key("http.response.status_code");
/// The matched route.
pub const HTTP_ROUTE: Key = Key("http.route");
/// The logical name of the service.
pub const SERVICE_NAME: Key = Key("service.name");
