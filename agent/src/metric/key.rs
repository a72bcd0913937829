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
/// A name that tells services of the same name apart.
pub const SERVICE_NAMESPACE: Key = Key("service.namespace");
/// The instance of a service.
pub const SERVICE_INSTANCE_ID: Key = Key("service.instance.id");
/// The version of a service.
pub const SERVICE_VERSION: Key = Key("service.version");
/// A process's id.
pub const PROCESS_PID: Key = Key("process.pid");
/// When a process was made, ISO 8601.
pub const PROCESS_CREATION_TIME: Key = Key("process.creation.time");
/// The name of a process's executable.
pub const PROCESS_EXECUTABLE_NAME: Key = Key("process.executable.name");
/// The path of a process's executable.
pub const PROCESS_EXECUTABLE_PATH: Key = Key("process.executable.path");
/// The host's id, its machine id.
pub const HOST_ID: Key = Key("host.id");
/// The host's name.
pub const HOST_NAME: Key = Key("host.name");
/// The host's processor.
pub const HOST_ARCH: Key = Key("host.arch");
/// The operating system.
pub const OS_TYPE: Key = Key("os.type");
/// A container's id.
pub const CONTAINER_ID: Key = Key("container.id");
/// Who made the telemetry.
pub const TELEMETRY_SDK_NAME: Key = Key("telemetry.sdk.name");
/// The language of the observed runtime.
pub const TELEMETRY_SDK_LANGUAGE: Key = Key("telemetry.sdk.language");
/// The version of who made the telemetry.
pub const TELEMETRY_SDK_VERSION: Key = Key("telemetry.sdk.version");
/// The distribution that made the telemetry.
pub const TELEMETRY_DISTRO_NAME: Key = Key("telemetry.distro.name");
/// The distribution's version.
pub const TELEMETRY_DISTRO_VERSION: Key = Key("telemetry.distro.version");
