//! What the Prometheus exposition adds to the names of instruments and keys.

/// The metric that carries what a resource is, once a resource.
pub const TARGET_INFO: &str = "target_info";
/// The same as OpenMetrics names its family.
pub const TARGET: &str = "target";
/// What that metric says of itself.
pub const TARGET_HELP: &str = "What is observed, by job and instance.";
/// Namespace and name of the service.
pub const JOB: &str = "job";
/// The instance of the service.
pub const INSTANCE: &str = "instance";
/// The upper bound of a bucket.
pub const LE: &str = "le";
/// Ends the name of a counter.
pub const TOTAL: &str = "total";
/// Ends the name of a gauge of unit 1.
pub const RATIO: &str = "ratio";

/// UCUM units by the words that end a name.
pub const UNITS: &[(&str, &str)] = &[
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
];

/// UCUM units behind a `/` by their words.
pub const PER: &[(&str, &str)] = &[
    ("s", "second"),
    ("min", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("wk", "week"),
    ("mo", "month"),
    ("a", "year"),
];
