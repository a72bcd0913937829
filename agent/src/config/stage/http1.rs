//! What [`crate::protocol::http1`] is given.

use crate::config::Config;
use crate::protocol::http1::Limits;

impl From<&Config> for Limits {
    fn from(config: &Config) -> Self {
        let limits = &config.limits;
        Self {
            connections: limits.connections.number() as usize,
            bytes: usize::try_from(limits.stream_bytes.bytes()).unwrap_or(usize::MAX),
            ..Self::default()
        }
    }
}
