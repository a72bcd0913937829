//! Every attribute key the agent writes.

/// An attribute's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub &'static str);

/// The type of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text.
    Text,
    /// A whole number.
    Int,
    /// True or false.
    Bool,
    /// A list of texts.
    List,
    /// A fraction.
    Double,
}

/// The method of a request.
pub const HTTP_REQUEST_METHOD: Key = Key("http.request.method");
/// The status of a response.
pub const HTTP_RESPONSE_STATUS_CODE: Key = Key("http.response.status_code");
/// The matched route.
pub const HTTP_ROUTE: Key = Key("http.route");
/// Whether a connection has a request in flight.
pub const HTTP_CONNECTION_STATE: Key = Key("http.connection.state");
/// The scheme of a request.
pub const URL_SCHEME: Key = Key("url.scheme");
/// The template of a request's path.
pub const URL_TEMPLATE: Key = Key("url.template");
/// The host that was asked.
pub const SERVER_ADDRESS: Key = Key("server.address");
/// The port that was asked.
pub const SERVER_PORT: Key = Key("server.port");
/// What went wrong.
pub const ERROR_TYPE: Key = Key("error.type");
/// The application protocol.
pub const NETWORK_PROTOCOL_NAME: Key = Key("network.protocol.name");
/// The version of the application protocol.
pub const NETWORK_PROTOCOL_VERSION: Key = Key("network.protocol.version");
/// The transport protocol.
pub const NETWORK_TRANSPORT: Key = Key("network.transport");
/// Set on the series for everything beyond a budget of series.
pub const OTEL_METRIC_OVERFLOW: Key = Key("otel.metric.overflow");
/// The name of a scope, where scopes are labels.
pub const OTEL_SCOPE_NAME: Key = Key("otel.scope.name");
/// The version of a scope, where scopes are labels.
pub const OTEL_SCOPE_VERSION: Key = Key("otel.scope.version");
/// The logical name of the service.
pub const SERVICE_NAME: Key = Key("service.name");
/// What tells services of one name apart.
pub const SERVICE_NAMESPACE: Key = Key("service.namespace");
/// The instance of a service.
pub const SERVICE_INSTANCE_ID: Key = Key("service.instance.id");
/// The version of a service.
pub const SERVICE_VERSION: Key = Key("service.version");
/// The logical name of the service at the other end.
pub const SERVICE_PEER_NAME: Key = Key("service.peer.name");
/// What tells services of that name apart.
pub const SERVICE_PEER_NAMESPACE: Key = Key("service.peer.namespace");
/// The process id.
pub const PROCESS_PID: Key = Key("process.pid");
/// The parent's process id.
pub const PROCESS_PARENT_PID: Key = Key("process.parent_pid");
/// When the process was made.
pub const PROCESS_CREATION_TIME: Key = Key("process.creation.time");
/// The name of the executable.
pub const PROCESS_EXECUTABLE_NAME: Key = Key("process.executable.name");
/// The path of the executable.
pub const PROCESS_EXECUTABLE_PATH: Key = Key("process.executable.path");
/// The command that started the process.
pub const PROCESS_COMMAND: Key = Key("process.command");
/// The command and its arguments.
pub const PROCESS_COMMAND_ARGS: Key = Key("process.command_args");
/// The command and its arguments as one text.
pub const PROCESS_COMMAND_LINE: Key = Key("process.command_line");
/// The user that owns the process.
pub const PROCESS_OWNER: Key = Key("process.owner");
/// The name of the runtime.
pub const PROCESS_RUNTIME_NAME: Key = Key("process.runtime.name");
/// The version of the runtime.
pub const PROCESS_RUNTIME_VERSION: Key = Key("process.runtime.version");
/// The runtime in words.
pub const PROCESS_RUNTIME_DESCRIPTION: Key = Key("process.runtime.description");
/// The control group of the process.
pub const PROCESS_LINUX_CGROUP: Key = Key("process.linux.cgroup");
/// The machine id.
pub const HOST_ID: Key = Key("host.id");
/// The name of the host.
pub const HOST_NAME: Key = Key("host.name");
/// The processor.
pub const HOST_ARCH: Key = Key("host.arch");
/// The type of host.
pub const HOST_TYPE: Key = Key("host.type");
/// The operating system.
pub const OS_TYPE: Key = Key("os.type");
/// The name of the operating system's distribution.
pub const OS_NAME: Key = Key("os.name");
/// The version of the operating system.
pub const OS_VERSION: Key = Key("os.version");
/// The operating system in words.
pub const OS_DESCRIPTION: Key = Key("os.description");
/// What made the telemetry.
pub const TELEMETRY_SDK_NAME: Key = Key("telemetry.sdk.name");
/// The language of the program observed.
pub const TELEMETRY_SDK_LANGUAGE: Key = Key("telemetry.sdk.language");
/// The version of what made the telemetry.
pub const TELEMETRY_SDK_VERSION: Key = Key("telemetry.sdk.version");
/// The distribution that made the telemetry.
pub const TELEMETRY_DISTRO_NAME: Key = Key("telemetry.distro.name");
/// Its version.
pub const TELEMETRY_DISTRO_VERSION: Key = Key("telemetry.distro.version");
/// The container.
pub const CONTAINER_ID: Key = Key("container.id");
/// The name of the container.
pub const CONTAINER_NAME: Key = Key("container.name");
/// The image of the container.
pub const CONTAINER_IMAGE_NAME: Key = Key("container.image.name");
/// The runtime that runs the container.
pub const CONTAINER_RUNTIME_NAME: Key = Key("container.runtime.name");
/// The pod's uid.
pub const K8S_POD_UID: Key = Key("k8s.pod.uid");
/// The pod's name.
pub const K8S_POD_NAME: Key = Key("k8s.pod.name");
/// The pod's namespace.
pub const K8S_NAMESPACE_NAME: Key = Key("k8s.namespace.name");
/// The container's name in the pod.
pub const K8S_CONTAINER_NAME: Key = Key("k8s.container.name");
/// The node's name.
pub const K8S_NODE_NAME: Key = Key("k8s.node.name");
/// The tags of the container's image.
pub const CONTAINER_IMAGE_TAGS: Key = Key("container.image.tags");
/// When the node took the pod on.
pub const K8S_POD_START_TIME: Key = Key("k8s.pod.start_time");
/// How often the container was begun anew before.
pub const K8S_CONTAINER_RESTART_COUNT: Key = Key("k8s.container.restart_count");
/// The Deployment's name.
pub const K8S_DEPLOYMENT_NAME: Key = Key("k8s.deployment.name");
/// The `ReplicaSet`'s name.
pub const K8S_REPLICASET_NAME: Key = Key("k8s.replicaset.name");
/// The `ReplicaSet`'s uid.
pub const K8S_REPLICASET_UID: Key = Key("k8s.replicaset.uid");
/// The Deployment's uid.
pub const K8S_DEPLOYMENT_UID: Key = Key("k8s.deployment.uid");
/// The `StatefulSet`'s name.
pub const K8S_STATEFULSET_NAME: Key = Key("k8s.statefulset.name");
/// The `StatefulSet`'s uid.
pub const K8S_STATEFULSET_UID: Key = Key("k8s.statefulset.uid");
/// The `DaemonSet`'s name.
pub const K8S_DAEMONSET_NAME: Key = Key("k8s.daemonset.name");
/// The `DaemonSet`'s uid.
pub const K8S_DAEMONSET_UID: Key = Key("k8s.daemonset.uid");
/// The Job's name.
pub const K8S_JOB_NAME: Key = Key("k8s.job.name");
/// The Job's uid.
pub const K8S_JOB_UID: Key = Key("k8s.job.uid");
/// The `CronJob`'s name.
pub const K8S_CRONJOB_NAME: Key = Key("k8s.cronjob.name");
/// The `CronJob`'s uid.
pub const K8S_CRONJOB_UID: Key = Key("k8s.cronjob.uid");
/// The node's uid.
pub const K8S_NODE_UID: Key = Key("k8s.node.uid");
/// What stands for the cluster's uid: that of its namespace `kube-system`.
pub const K8S_CLUSTER_UID: Key = Key("k8s.cluster.uid");
/// What the processor did.
pub const CPU_MODE: Key = Key("cpu.mode");
/// A device.
pub const SYSTEM_DEVICE: Key = Key("system.device");
/// What memory is used for.
pub const SYSTEM_MEMORY_STATE: Key = Key("system.memory.state");
/// Whether memory of the kernel can be had back.
pub const SYSTEM_MEMORY_LINUX_SLAB_STATE: Key = Key("system.memory.linux.slab.state");
/// Whether huge pages are used.
pub const SYSTEM_MEMORY_LINUX_HUGEPAGES_STATE: Key = Key("system.memory.linux.hugepages.state");
/// Whether swap is used.
pub const SYSTEM_PAGING_STATE: Key = Key("system.paging.state");
/// Whether a page had to be read.
pub const SYSTEM_PAGING_FAULT_TYPE: Key = Key("system.paging.fault.type");
/// To or from swap.
pub const SYSTEM_PAGING_DIRECTION: Key = Key("system.paging.direction");
/// Whether space is used.
pub const SYSTEM_FILESYSTEM_STATE: Key = Key("system.filesystem.state");
/// The kind of file system.
pub const SYSTEM_FILESYSTEM_TYPE: Key = Key("system.filesystem.type");
/// Whether it can be written.
pub const SYSTEM_FILESYSTEM_MODE: Key = Key("system.filesystem.mode");
/// Where it is mounted.
pub const SYSTEM_FILESYSTEM_MOUNTPOINT: Key = Key("system.filesystem.mountpoint");
/// Read or written.
pub const DISK_IO_DIRECTION: Key = Key("disk.io.direction");
/// Sent or received.
pub const NETWORK_IO_DIRECTION: Key = Key("network.io.direction");
/// A network interface.
pub const NETWORK_INTERFACE_NAME: Key = Key("network.interface.name");
/// The state of a connection.
pub const NETWORK_CONNECTION_STATE: Key = Key("network.connection.state");
/// The version of the internet protocol.
pub const NETWORK_TYPE: Key = Key("network.type");
/// A part of the hardware.
pub const HW_ID: Key = Key("hw.id");
/// Its kind.
pub const HW_TYPE: Key = Key("hw.type");
/// What was waited for.
pub const STETH_RESOURCE: Key = Key("steth.resource");
/// Whether some or all runnable tasks waited.
pub const STETH_PRESSURE_SCOPE: Key = Key("steth.pressure.scope");
/// What a page of memory holds.
pub const STETH_PAGE_TYPE: Key = Key("steth.page.type");
/// Who reclaims memory.
pub const STETH_RECLAIM_ACTOR: Key = Key("steth.reclaim.actor");
/// Whether a block device stands on others; adding up one layer counts nothing twice.
pub const STETH_DISK_LAYER: Key = Key("steth.disk.layer");
/// Which side opened a connection.
pub const STETH_CONNECTION_ROLE: Key = Key("steth.connection.role");
/// What has become of a socket.
pub const STETH_SOCKET_STATE: Key = Key("steth.socket.state");
/// Which limit was met.
pub const STETH_LIMIT_KIND: Key = Key("steth.limit.kind");
/// How far away the other end is, by the class of its address.
pub const STETH_PEER_REACH: Key = Key("steth.peer.reach");
/// What a request to a block device did.
pub const STETH_DISK_OPERATION: Key = Key("steth.disk.operation");
/// What memory was looked for.
pub const STETH_RECLAIM_KIND: Key = Key("steth.reclaim.kind");
/// The last part of a control group's path.
pub const STETH_CGROUP_NAME: Key = Key("steth.cgroup.name");
/// The name of a process that was killed.
pub const STETH_OOM_VICTIM: Key = Key("steth.oom.victim");
/// How bad a fault is.
pub const STETH_SEVERITY: Key = Key("steth.severity");
/// What a segment is for.
pub const STETH_TCP_SEGMENT: Key = Key("steth.tcp.segment");
/// The stage of the agent.
pub const STETH_STAGE: Key = Key("steth.stage");
/// Why something was lost.
pub const STETH_REASON: Key = Key("steth.reason");
/// The kind of a kernel record.
pub const STETH_RECORD_KIND: Key = Key("steth.record.kind");
/// A kernel map.
pub const STETH_BPF_MAP_NAME: Key = Key("steth.bpf.map.name");
/// A kernel program.
pub const STETH_BPF_PROGRAM_NAME: Key = Key("steth.bpf.program.name");
/// Metrics, traces or logs.
pub const STETH_SIGNAL: Key = Key("steth.signal");
/// What came of an export.
pub const STETH_OUTCOME: Key = Key("steth.outcome");
/// A probe.
pub const STETH_PROBE_NAME: Key = Key("steth.probe.name");
/// The state of a probe.
pub const STETH_PROBE_STATE: Key = Key("steth.probe.state");
/// What a thread that is ready to run waits for.
pub const STETH_RUN_QUEUE_CAUSE: Key = Key("steth.run_queue.cause");
/// Who takes the processor from a thread.
pub const STETH_PREEMPTED_BY: Key = Key("steth.preempted_by");
/// What a thread that does not run waits for.
pub const STETH_OFF_CPU_CAUSE: Key = Key("steth.off_cpu.cause");

/// The number of a logical processor.
pub const CPU_LOGICAL_NUMBER: Key = Key("cpu.logical_number");
/// Whether a process was pushed off its processor.
pub const PROCESS_CONTEXT_SWITCH_TYPE: Key = Key("process.context_switch.type");
/// What a process does.
pub const PROCESS_STATE: Key = Key("process.state");
/// A family of USE.
pub const STETH_USAGE_FAMILY: Key = Key("steth.usage.family");
/// The path of a control group.
pub const STETH_CGROUP_PATH: Key = Key("steth.cgroup.path");
/// Over how long an average was taken.
pub const STETH_LOAD_PERIOD: Key = Key("steth.load.period");
/// A kind of soft interrupt.
pub const STETH_SOFTIRQ_NAME: Key = Key("steth.softirq.name");
/// Whether an interrupt is a hard or a soft one.
pub const STETH_INTERRUPT_KIND: Key = Key("steth.interrupt.kind");

/// The method as it was written, where it is none that is known.
pub const HTTP_REQUEST_METHOD_ORIGINAL: Key = Key("http.request.method_original");
/// Bytes of a request's body.
pub const HTTP_REQUEST_BODY_SIZE: Key = Key("http.request.body.size");
/// Bytes of a response's body.
pub const HTTP_RESPONSE_BODY_SIZE: Key = Key("http.response.body.size");
/// The path of a URL.
pub const URL_PATH: Key = Key("url.path");
/// The query of a URL.
pub const URL_QUERY: Key = Key("url.query");
/// A whole URL.
pub const URL_FULL: Key = Key("url.full");
/// Who asks, by the word of its program.
pub const USER_AGENT_ORIGINAL: Key = Key("user_agent.original");
/// Who asked, behind all proxies.
pub const CLIENT_ADDRESS: Key = Key("client.address");
/// The address of a connection's other end.
pub const NETWORK_PEER_ADDRESS: Key = Key("network.peer.address");
/// Its port.
pub const NETWORK_PEER_PORT: Key = Key("network.peer.port");
/// How a span was linked to its parent.
pub const STETH_LINK_METHOD: Key = Key("steth.link.method");
/// Why a span has no parent.
pub const STETH_LINK_MISSING: Key = Key("steth.link.missing");
/// Why a span was kept.
pub const STETH_SAMPLING_REASON: Key = Key("steth.sampling.reason");
/// That a span's request has not ended, and why it is told of.
pub const STETH_SPAN_STATE: Key = Key("steth.span.state");

/// Before the name of what a request's time went into.
pub const STETH_WHY: &str = "steth.why.";

/// Which side of a request the service was on.
pub const STETH_REQUEST_ROLE: Key = Key("steth.request.role");
/// What a request waited for.
pub const STETH_REQUEST_WAIT_CAUSE: Key = Key("steth.request.wait.cause");
/// Time from a connection's establishment until it was accepted; of its first request alone.
pub const STETH_WHY_ACCEPT_QUEUE: Key = Key("steth.why.accept_queue");
/// No accept can be seen on this host: that time ends with the first read, of bytes that came before the accept.
pub const STETH_WHY_ACCEPT_UNSEEN: Key = Key("steth.why.accept_unseen");
/// Time the first bytes of a request (of the response, for its client) lay there before they were read.
pub const STETH_WHY_RECEIVE_QUEUE: Key = Key("steth.why.receive_queue");
/// Time of the thread on a processor, between the first bytes of request and response.
pub const STETH_WHY_CPU: Key = Key("steth.why.cpu");
/// The same, ready and waiting for a processor.
pub const STETH_WHY_RUN_QUEUE: Key = Key("steth.why.run_queue");
/// The same, waiting for the next period because the quota of its control group was used up.
pub const STETH_WHY_THROTTLED: Key = Key("steth.why.throttled");
/// The same, waiting for a block device or a page of a file.
pub const STETH_WHY_BLOCKED_DISK: Key = Key("steth.why.blocked.disk");
/// The same, waiting for a socket, or for what poll, select and epoll watch.
pub const STETH_WHY_BLOCKED_NETWORK: Key = Key("steth.why.blocked.network");
/// The same, waiting for a futex: a lock, a condition, another thread.
pub const STETH_WHY_BLOCKED_LOCK: Key = Key("steth.why.blocked.lock");
/// The same, waiting for the clock.
pub const STETH_WHY_BLOCKED_SLEEP: Key = Key("steth.why.blocked.sleep");
/// The same, waiting for anything else: a pipe, a child, a signal.
pub const STETH_WHY_BLOCKED_OTHER: Key = Key("steth.why.blocked.other");
/// Time from the first byte of the request to the first byte of the response.
pub const STETH_WHY_FIRST_BYTE: Key = Key("steth.why.first_byte");
/// Time from the first byte of the request to the last byte of the response.
pub const STETH_WHY_LAST_BYTE: Key = Key("steth.why.last_byte");
/// Times the thread left a processor between the first bytes of request and response.
pub const STETH_WHY_SWITCHES: Key = Key("steth.why.switches");
/// The thread was at other requests in between, as an event loop is: its time was not for this one alone.
pub const STETH_WHY_SHARED: Key = Key("steth.why.shared");
/// Why nothing is told of the thread's time.
pub const STETH_WHY_MISSING: Key = Key("steth.why.missing");

/// Before the name of a request's header that is told because somebody asked for it.
pub const HTTP_REQUEST_HEADER: &str = "http.request.header.";
/// Before the key of a pod's label that is told because somebody asked for it.
pub const K8S_POD_LABEL: &str = "k8s.pod.label.";
/// Before the key of such an annotation.
pub const K8S_POD_ANNOTATION: &str = "k8s.pod.annotation.";

/// All of them with the types of their values.
pub const ALL: &[(Key, Type)] = &[
    (HTTP_REQUEST_METHOD, Type::Text),
    (HTTP_RESPONSE_STATUS_CODE, Type::Int),
    (HTTP_ROUTE, Type::Text),
    (HTTP_CONNECTION_STATE, Type::Text),
    (URL_SCHEME, Type::Text),
    (URL_TEMPLATE, Type::Text),
    (SERVER_ADDRESS, Type::Text),
    (SERVER_PORT, Type::Int),
    (ERROR_TYPE, Type::Text),
    (NETWORK_PROTOCOL_NAME, Type::Text),
    (NETWORK_PROTOCOL_VERSION, Type::Text),
    (NETWORK_TRANSPORT, Type::Text),
    (OTEL_METRIC_OVERFLOW, Type::Bool),
    (OTEL_SCOPE_NAME, Type::Text),
    (OTEL_SCOPE_VERSION, Type::Text),
    (SERVICE_NAME, Type::Text),
    (SERVICE_NAMESPACE, Type::Text),
    (SERVICE_INSTANCE_ID, Type::Text),
    (SERVICE_VERSION, Type::Text),
    (SERVICE_PEER_NAME, Type::Text),
    (SERVICE_PEER_NAMESPACE, Type::Text),
    (PROCESS_PID, Type::Int),
    (PROCESS_PARENT_PID, Type::Int),
    (PROCESS_CREATION_TIME, Type::Text),
    (PROCESS_EXECUTABLE_NAME, Type::Text),
    (PROCESS_EXECUTABLE_PATH, Type::Text),
    (PROCESS_COMMAND, Type::Text),
    (PROCESS_COMMAND_ARGS, Type::List),
    (PROCESS_COMMAND_LINE, Type::Text),
    (PROCESS_OWNER, Type::Text),
    (PROCESS_RUNTIME_NAME, Type::Text),
    (PROCESS_RUNTIME_VERSION, Type::Text),
    (PROCESS_RUNTIME_DESCRIPTION, Type::Text),
    (PROCESS_LINUX_CGROUP, Type::Text),
    (HOST_ID, Type::Text),
    (HOST_NAME, Type::Text),
    (HOST_ARCH, Type::Text),
    (HOST_TYPE, Type::Text),
    (OS_TYPE, Type::Text),
    (OS_NAME, Type::Text),
    (OS_VERSION, Type::Text),
    (OS_DESCRIPTION, Type::Text),
    (TELEMETRY_SDK_NAME, Type::Text),
    (TELEMETRY_SDK_LANGUAGE, Type::Text),
    (TELEMETRY_SDK_VERSION, Type::Text),
    (TELEMETRY_DISTRO_NAME, Type::Text),
    (TELEMETRY_DISTRO_VERSION, Type::Text),
    (CONTAINER_ID, Type::Text),
    (CONTAINER_NAME, Type::Text),
    (CONTAINER_IMAGE_NAME, Type::Text),
    (CONTAINER_RUNTIME_NAME, Type::Text),
    (K8S_POD_UID, Type::Text),
    (K8S_POD_NAME, Type::Text),
    (K8S_NAMESPACE_NAME, Type::Text),
    (K8S_CONTAINER_NAME, Type::Text),
    (K8S_NODE_NAME, Type::Text),
    (CONTAINER_IMAGE_TAGS, Type::List),
    (K8S_POD_START_TIME, Type::Text),
    (K8S_CONTAINER_RESTART_COUNT, Type::Int),
    (K8S_DEPLOYMENT_NAME, Type::Text),
    (K8S_REPLICASET_NAME, Type::Text),
    (K8S_REPLICASET_UID, Type::Text),
    (K8S_STATEFULSET_NAME, Type::Text),
    (K8S_STATEFULSET_UID, Type::Text),
    (K8S_DAEMONSET_NAME, Type::Text),
    (K8S_DAEMONSET_UID, Type::Text),
    (K8S_JOB_NAME, Type::Text),
    (K8S_JOB_UID, Type::Text),
    (K8S_CRONJOB_NAME, Type::Text),
    (K8S_CRONJOB_UID, Type::Text),
    (K8S_DEPLOYMENT_UID, Type::Text),
    (K8S_NODE_UID, Type::Text),
    (K8S_CLUSTER_UID, Type::Text),
    (CPU_MODE, Type::Text),
    (SYSTEM_DEVICE, Type::Text),
    (SYSTEM_MEMORY_STATE, Type::Text),
    (SYSTEM_MEMORY_LINUX_SLAB_STATE, Type::Text),
    (SYSTEM_MEMORY_LINUX_HUGEPAGES_STATE, Type::Text),
    (SYSTEM_PAGING_STATE, Type::Text),
    (SYSTEM_PAGING_FAULT_TYPE, Type::Text),
    (SYSTEM_PAGING_DIRECTION, Type::Text),
    (SYSTEM_FILESYSTEM_STATE, Type::Text),
    (SYSTEM_FILESYSTEM_TYPE, Type::Text),
    (SYSTEM_FILESYSTEM_MODE, Type::Text),
    (SYSTEM_FILESYSTEM_MOUNTPOINT, Type::Text),
    (DISK_IO_DIRECTION, Type::Text),
    (NETWORK_IO_DIRECTION, Type::Text),
    (NETWORK_INTERFACE_NAME, Type::Text),
    (NETWORK_CONNECTION_STATE, Type::Text),
    (NETWORK_TYPE, Type::Text),
    (HW_ID, Type::Text),
    (HW_TYPE, Type::Text),
    (STETH_RESOURCE, Type::Text),
    (STETH_PRESSURE_SCOPE, Type::Text),
    (STETH_PAGE_TYPE, Type::Text),
    (STETH_RECLAIM_ACTOR, Type::Text),
    (STETH_DISK_LAYER, Type::Text),
    (STETH_CONNECTION_ROLE, Type::Text),
    (STETH_SOCKET_STATE, Type::Text),
    (STETH_LIMIT_KIND, Type::Text),
    (STETH_PEER_REACH, Type::Text),
    (STETH_DISK_OPERATION, Type::Text),
    (STETH_RECLAIM_KIND, Type::Text),
    (STETH_CGROUP_NAME, Type::Text),
    (STETH_OOM_VICTIM, Type::Text),
    (STETH_SEVERITY, Type::Text),
    (STETH_TCP_SEGMENT, Type::Text),
    (STETH_STAGE, Type::Text),
    (STETH_REASON, Type::Text),
    (STETH_RECORD_KIND, Type::Text),
    (STETH_BPF_MAP_NAME, Type::Text),
    (STETH_BPF_PROGRAM_NAME, Type::Text),
    (STETH_SIGNAL, Type::Text),
    (STETH_OUTCOME, Type::Text),
    (STETH_PROBE_NAME, Type::Text),
    (STETH_PROBE_STATE, Type::Text),
    (STETH_RUN_QUEUE_CAUSE, Type::Text),
    (STETH_PREEMPTED_BY, Type::Text),
    (STETH_OFF_CPU_CAUSE, Type::Text),
    (CPU_LOGICAL_NUMBER, Type::Int),
    (PROCESS_CONTEXT_SWITCH_TYPE, Type::Text),
    (PROCESS_STATE, Type::Text),
    (STETH_USAGE_FAMILY, Type::Text),
    (STETH_CGROUP_PATH, Type::Text),
    (STETH_LOAD_PERIOD, Type::Text),
    (STETH_SOFTIRQ_NAME, Type::Text),
    (STETH_INTERRUPT_KIND, Type::Text),
    (HTTP_REQUEST_METHOD_ORIGINAL, Type::Text),
    (HTTP_REQUEST_BODY_SIZE, Type::Int),
    (HTTP_RESPONSE_BODY_SIZE, Type::Int),
    (URL_PATH, Type::Text),
    (URL_QUERY, Type::Text),
    (URL_FULL, Type::Text),
    (USER_AGENT_ORIGINAL, Type::Text),
    (CLIENT_ADDRESS, Type::Text),
    (NETWORK_PEER_ADDRESS, Type::Text),
    (NETWORK_PEER_PORT, Type::Int),
    (STETH_LINK_METHOD, Type::Text),
    (STETH_LINK_MISSING, Type::Text),
    (STETH_SAMPLING_REASON, Type::Text),
    (STETH_REQUEST_ROLE, Type::Text),
    (STETH_REQUEST_WAIT_CAUSE, Type::Text),
    (STETH_WHY_ACCEPT_QUEUE, Type::Double),
    (STETH_WHY_ACCEPT_UNSEEN, Type::Bool),
    (STETH_WHY_RECEIVE_QUEUE, Type::Double),
    (STETH_WHY_CPU, Type::Double),
    (STETH_WHY_RUN_QUEUE, Type::Double),
    (STETH_WHY_THROTTLED, Type::Double),
    (STETH_WHY_BLOCKED_DISK, Type::Double),
    (STETH_WHY_BLOCKED_NETWORK, Type::Double),
    (STETH_WHY_BLOCKED_LOCK, Type::Double),
    (STETH_WHY_BLOCKED_SLEEP, Type::Double),
    (STETH_WHY_BLOCKED_OTHER, Type::Double),
    (STETH_WHY_FIRST_BYTE, Type::Double),
    (STETH_WHY_LAST_BYTE, Type::Double),
    (STETH_WHY_SWITCHES, Type::Int),
    (STETH_WHY_SHARED, Type::Bool),
    (STETH_WHY_MISSING, Type::Text),
    (STETH_SPAN_STATE, Type::Text),
];
