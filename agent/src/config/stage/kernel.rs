//! What [`crate::kernel`] is given.

use crate::config::Config;
use crate::config::keys::{self, Capture};
use crate::kernel::{Carry, Options, Tier, TierChoice};

impl From<&Config> for Options {
    /// The process id of the agent is not configuration: set `own` unless [`keys::Observe`] says
    /// that it is to be watched as well.
    fn from(config: &Config) -> Self {
        let Capture { tier, unix, statistics: _ } = &config.capture;
        let (included, excluded) = (&config.filter.include.ports, &config.filter.exclude.ports);
        let ports_only = !included.is_empty();
        let ports = if ports_only {
            included.iter().filter(|port| !excluded.contains(port)).copied().collect()
        } else {
            excluded.clone()
        };
        let root = &config.host.root;
        let carry = config.traces.hosts.group();
        let carry = carry.map(|group| Carry { root: root.clone(), group: group.to_owned() });
        let ring_bytes = u32::try_from(config.limits.ring.bytes()).unwrap_or(u32::MAX);
        Self {
            tier: choice(*tier),
            unix: *unix,
            ports,
            ports_only,
            ring_bytes,
            carry,
            ..Self::default()
        }
    }
}

fn choice(tier: keys::Tier) -> TierChoice {
    match tier {
        keys::Tier::Auto => TierChoice::Auto,
        keys::Tier::Sockets => TierChoice::Only(Tier::Sockets),
        keys::Tier::Functions => TierChoice::Only(Tier::Protocols),
        keys::Tier::Syscalls => TierChoice::Only(Tier::Calls),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::kernel::Options;

    #[test]
    fn what_is_excluded_is_stronger() {
        let check = |include: &[u16], exclude: &[u16], ports: &[u16], only: bool| {
            let mut config = Config::default();
            config.filter.include.ports = include.to_vec();
            config.filter.exclude.ports = exclude.to_vec();
            let options = Options::from(&config);
            assert_eq!((options.ports.as_slice(), options.ports_only), (ports, only));
        };
        check(&[], &[], &[], false);
        check(&[80, 443], &[], &[80, 443], true);
        check(&[], &[22], &[22], false);
        check(&[80, 443], &[443], &[80], true);
        check(&[80], &[80], &[], true);
    }
}
