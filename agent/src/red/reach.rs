//! How far away the other end of a connection is, by its address alone: four classes, and no address among labels.

use std::net::{IpAddr, Ipv6Addr};

/// A class of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// This host, or the network namespace's own loopback.
    Loopback,
    /// One link only.
    Link,
    /// A network that is not the internet's: RFC 1918, RFC 6598, unique local IPv6.
    Private,
    /// Anything else.
    Global,
}

impl Reach {
    /// The class of an address; IPv4 as v4-mapped.
    pub(super) fn of(address: [u8; 16]) -> Self {
        match Ipv6Addr::from(address).to_canonical() {
            ip if ip.is_loopback() || ip.is_unspecified() => Self::Loopback,
            IpAddr::V4(ip) if ip.is_link_local() => Self::Link,
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Self::Link,
            IpAddr::V4(ip) if ip.is_private() || is_shared(ip.octets()) => Self::Private,
            IpAddr::V6(ip) if ip.is_unique_local() => Self::Private,
            _ => Self::Global,
        }
    }

    /// Its name as an attribute's value.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Link => "link_local",
            Self::Private => "private",
            Self::Global => "global",
        }
    }
}

/// Behind a carrier's translation: 100.64.0.0/10.
const fn is_shared([first, second, ..]: [u8; 4]) -> bool {
    first == 100 && second & 0xc0 == 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_class() {
        let check = |address: &str, expect| {
            let octets = match address.parse::<IpAddr>().unwrap() {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            assert_eq!(Reach::of(octets), expect, "{address}");
        };
        check("127.0.0.1", Reach::Loopback);
        check("127.9.9.9", Reach::Loopback);
        check("0.0.0.0", Reach::Loopback);
        check("::1", Reach::Loopback);
        check("169.254.169.254", Reach::Link);
        check("fe80::1", Reach::Link);
        check("10.1.2.3", Reach::Private);
        check("172.31.0.1", Reach::Private);
        check("192.168.0.1", Reach::Private);
        check("100.64.0.1", Reach::Private);
        check("100.128.0.1", Reach::Global);
        check("fd00::1", Reach::Private);
        check("192.0.2.9", Reach::Global);
        check("2001:db8::1", Reach::Global);
    }
}
