//! One signal's collector, from the variables of the signal and those of all signals.

use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};

use super::value::Variables;
use super::{Error, Otlp, Overrides};
use crate::export::config::{ClientIdentity, Compression, Protocol, Target, Tls};

/// How long an attempt may take if nobody says.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The signal whose variables are read.
#[derive(Clone, Copy)]
pub(super) enum Signal {
    Metrics,
    Traces,
}

/// The names of one setting: the signal's own first, then that of all signals.
struct Names(String, String);

impl Names {
    fn pair(&self) -> [&str; 2] {
        let Self(own, general) = self;
        [own, general]
    }
}

impl Signal {
    fn names(self, setting: &str) -> Names {
        let signal = match self {
            Self::Metrics => "METRICS",
            Self::Traces => "TRACES",
        };
        Names(
            format!("OTEL_EXPORTER_OTLP_{signal}_{setting}"),
            format!("OTEL_EXPORTER_OTLP_{setting}"),
        )
    }

    /// Behind the base address, for HTTP.
    fn path(self) -> &'static str {
        match self {
            Self::Metrics => "v1/metrics",
            Self::Traces => "v1/traces",
        }
    }
}

/// The collector of a signal; `None` if the signal is off.
pub(super) fn target(
    read: &mut Variables<'_>,
    overrides: &Overrides,
    signal: Signal,
    otlp: Otlp,
) -> Result<Option<Target>, Error> {
    let names = signal.names("ENDPOINT");
    let Names(own, general) = &names;
    let given = match &overrides.endpoint {
        Some(endpoint) => Some(("endpoint", endpoint.as_str(), true)),
        None => read
            .first(&names.pair())
            .map(|(variable, value)| (variable, value, variable == general.as_str())),
    };
    if otlp == Otlp::Off || (otlp == Otlp::IfAddressed && given.is_none()) {
        return Ok(None);
    }
    let protocol = protocol(read, overrides, signal)?;
    let default = match protocol {
        Protocol::Grpc => "http://localhost:4317",
        Protocol::HttpProtobuf => "http://localhost:4318",
    };
    let (variable, address, base) = given.unwrap_or((own.as_str(), default, true));
    let insecure = match read.first(&signal.names("INSECURE").pair()) {
        Some((variable, _)) => read.truth(variable),
        None => false,
    };
    let endpoint = match protocol {
        Protocol::Grpc => grpc_endpoint(variable, address, insecure)?,
        Protocol::HttpProtobuf => http_endpoint(variable, address, base.then_some(signal.path()))?,
    };
    let (usual, other) = match protocol {
        Protocol::Grpc => (4318, "http/protobuf"),
        Protocol::HttpProtobuf => (4317, "grpc"),
    };
    if endpoint.port_u16() == Some(usual) {
        read.warn(format!(
            "{variable}: port {usual} is that of {other} by convention; \
             set OTEL_EXPORTER_OTLP_PROTOCOL={other} if the collector does not answer"
        ));
    }
    let timeout = match overrides.timeout {
        Some(timeout) => Some(timeout),
        None => match read.first(&signal.names("TIMEOUT").pair()) {
            Some((variable, _)) => read.millis(variable)?,
            None => None,
        },
    };
    Ok(Some(Target {
        endpoint,
        protocol,
        headers: headers(read, overrides, signal)?,
        timeout: timeout.unwrap_or(TIMEOUT),
        compression: compression(read, overrides, signal)?,
        tls: tls(read, overrides, signal)?,
    }))
}

fn protocol(
    read: &Variables<'_>,
    overrides: &Overrides,
    signal: Signal,
) -> Result<Protocol, Error> {
    if let Some(protocol) = overrides.protocol {
        return Ok(protocol);
    }
    let names = signal.names("PROTOCOL");
    let Some((variable, _)) = read.first(&names.pair()) else {
        return Ok(Protocol::HttpProtobuf);
    };
    let choices = [("http/protobuf", Protocol::HttpProtobuf), ("grpc", Protocol::Grpc)];
    Ok(read.choice(variable, &choices)?.unwrap_or(Protocol::HttpProtobuf))
}

fn compression(
    read: &Variables<'_>,
    overrides: &Overrides,
    signal: Signal,
) -> Result<Compression, Error> {
    if let Some(compression) = overrides.compression {
        return Ok(compression);
    }
    let names = signal.names("COMPRESSION");
    let Some((variable, _)) = read.first(&names.pair()) else { return Ok(Compression::None) };
    let choices =
        [("gzip", Compression::Gzip), ("zstd", Compression::Zstd), ("none", Compression::None)];
    Ok(read.choice(variable, &choices)?.unwrap_or(Compression::None))
}

fn headers(
    read: &Variables<'_>,
    overrides: &Overrides,
    signal: Signal,
) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    let names = signal.names("HEADERS");
    let Names(own, general) = &names;
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    let mut add = |variable: &str, pairs: Vec<(String, String)>| -> Result<(), Error> {
        for (key, value) in pairs {
            let (name, value) = header(variable, &key, &value)?;
            match headers.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => headers.push((name, value)),
            }
        }
        Ok(())
    };
    add(general, read.pairs(general)?)?;
    add(own, read.pairs(own)?)?;
    let typed = &overrides.headers;
    add("headers", typed.iter().map(|(key, value)| (key.clone(), value.clone())).collect())?;
    Ok(headers)
}

fn header(variable: &str, key: &str, value: &str) -> Result<(HeaderName, HeaderValue), Error> {
    let wrong = |wrong: String, right: &str| Error {
        variable: variable.to_owned(),
        wrong,
        right: right.to_owned(),
    };
    let name = HeaderName::from_bytes(key.as_bytes()).map_err(|_| {
        wrong(format!("`{key}` cannot be the name of a header"), "use letters, digits and hyphens")
    })?;
    if name.as_str().ends_with("-bin") {
        return Err(wrong(
            format!("`{key}` would be binary in gRPC"),
            "name a header that does not end in -bin",
        ));
    }
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        wrong(
            format!("the value of `{key}` cannot be that of a header"),
            "use printable ASCII, percent-encoded where a comma or a space stands",
        )
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn tls(read: &Variables<'_>, overrides: &Overrides, signal: Signal) -> Result<Tls, Error> {
    let file = |setting: &str, typed: &Option<PathBuf>| {
        let names = signal.names(setting);
        let given = read.first(&names.pair()).map(|(_, path)| PathBuf::from(path));
        typed.clone().or(given)
    };
    let ca = file("CERTIFICATE", &overrides.certificate);
    let certificate = file("CLIENT_CERTIFICATE", &overrides.client_certificate);
    let key = file("CLIENT_KEY", &overrides.client_key);
    let alone = |set: &str, missing: &str| Error {
        variable: format!("OTEL_EXPORTER_OTLP_{missing}"),
        wrong: format!("it is not set, yet OTEL_EXPORTER_OTLP_{set} is"),
        right: "set both or neither".to_owned(),
    };
    let client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(ClientIdentity { certificate, key }),
        (Some(_), None) => return Err(alone("CLIENT_CERTIFICATE", "CLIENT_KEY")),
        (None, Some(_)) => return Err(alone("CLIENT_KEY", "CLIENT_CERTIFICATE")),
        (None, None) => None,
    };
    Ok(Tls { ca, client })
}

/// The address of a signal over HTTP: behind a base address comes the signal's path, an address of
/// the signal itself is used as it is.
fn http_endpoint(variable: &str, address: &str, path: Option<&str>) -> Result<Uri, Error> {
    let right = "give an address such as http://collector:4318";
    let uri = with_scheme(variable, address, right)?;
    let Some(path) = path else { return Ok(uri) };
    let (scheme, authority) = (uri.scheme_str().unwrap_or("http"), host(&uri));
    let base = uri.path().trim_end_matches('/');
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    parsed(variable, &format!("{scheme}://{authority}{base}/{path}{query}"), right)
}

/// Scheme and authority. Without a scheme, whether it is TLS is for the `INSECURE` variable to say.
fn grpc_endpoint(variable: &str, address: &str, insecure: bool) -> Result<Uri, Error> {
    let right = "give an address such as http://collector:4317, or collector:4317";
    let uri = if address.contains("://") {
        with_scheme(variable, address, right)?
    } else {
        let scheme = if insecure { "http" } else { "https" };
        with_scheme(variable, &format!("{scheme}://{address}"), right)?
    };
    let (scheme, authority) = (uri.scheme_str().unwrap_or("http"), host(&uri));
    parsed(variable, &format!("{scheme}://{authority}"), right)
}

fn host(uri: &Uri) -> &str {
    uri.authority().map_or("", |authority| authority.as_str())
}

fn with_scheme(variable: &str, address: &str, right: &str) -> Result<Uri, Error> {
    let uri = parsed(variable, address, right)?;
    let wrong = |wrong: String, right: &str| Error {
        variable: variable.to_owned(),
        wrong,
        right: right.to_owned(),
    };
    match uri.scheme_str() {
        Some("http" | "https") => (),
        Some(other) => return Err(wrong(format!("the scheme `{other}` is not http(s)"), right)),
        None => return Err(wrong(format!("`{address}` has no scheme"), right)),
    }
    if host(&uri).contains('@') {
        return Err(wrong(
            "it holds a user or password".to_owned(),
            "put credentials into OTEL_EXPORTER_OTLP_HEADERS",
        ));
    }
    Ok(uri)
}

fn parsed(variable: &str, address: &str, right: &str) -> Result<Uri, Error> {
    let uri = address.parse::<Uri>().map_err(|error| Error {
        variable: variable.to_owned(),
        wrong: format!("it is not an address ({error})"),
        right: right.to_owned(),
    })?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(Error {
            variable: variable.to_owned(),
            wrong: format!("`{address}` names no host"),
            right: right.to_owned(),
        });
    }
    Ok(uri)
}
