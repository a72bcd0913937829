//! Hosts that requests were sent to, interned for each service, so many and no more.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::event::Peer;
use crate::protocol::Authority;

use super::hash::ByNumber;

/// The port of `http` where none is said.
const DEFAULT_PORT: u16 = 80;
/// The longest name that DNS allows.
const MAX_NAME: usize = 253;

/// A host and port, interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ServerId(pub(super) u16);

impl ServerId {
    /// Not known, or not asked for.
    pub(super) const NONE: Self = Self(0);
    /// One of those that there is no room for.
    pub(super) const OTHER: Self = Self(1);
    const FIRST: u16 = 2;
}

/// Where a request was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Server {
    pub(super) address: Arc<str>,
    pub(super) port: u16,
}

/// The servers of one service.
#[derive(Debug, Default)]
pub(super) struct Servers {
    known: Vec<Server>,
    ids: HashMap<Server, ServerId>,
    /// By a hash of what was said, in any spelling.
    said: HashMap<u64, ServerId, ByNumber>,
}

impl Servers {
    pub(super) fn name(&self, id: ServerId) -> Option<&Server> {
        self.known.get(usize::from(id.0.checked_sub(ServerId::FIRST)?))
    }

    /// Where a request was sent, by its own word, else by the other end of its connection.
    pub(super) fn id(
        &mut self,
        authority: Option<Authority<'_>>,
        peer: &Peer,
        limit: usize,
        hash: &RandomState,
    ) -> ServerId {
        let said = match authority {
            Some(authority) => hash.hash_one((authority.host, authority.port)),
            None => hash.hash_one((peer.address, peer.port)),
        };
        if let Some(id) = self.said.get(&said) {
            return *id;
        }
        let id = match server(authority, peer) {
            Named::Nowhere => ServerId::NONE,
            Named::Nonsense => ServerId::OTHER,
            Named::Server(server) => self.intern(server, limit),
        };
        if self.said.len() < 2 * limit {
            self.said.insert(said, id);
        }
        id
    }

    fn intern(&mut self, server: Server, limit: usize) -> ServerId {
        if let Some(id) = self.ids.get(&server) {
            return *id;
        }
        let place =
            u16::try_from(self.known.len()).ok().and_then(|n| n.checked_add(ServerId::FIRST));
        match place {
            Some(place) if self.known.len() < limit => {
                self.known.push(server.clone());
                self.ids.insert(server, ServerId(place));
                ServerId(place)
            }
            _ => ServerId::OTHER,
        }
    }
}

enum Named {
    Nowhere,
    Nonsense,
    Server(Server),
}

fn server(authority: Option<Authority<'_>>, peer: &Peer) -> Named {
    let Some(Authority { host, port }) = authority.filter(|a| !a.host.is_empty()) else {
        if peer.address == [0; 16] && peer.port == 0 {
            return Named::Nowhere;
        }
        let address = Ipv6Addr::from(peer.address).to_canonical().to_string().into();
        return Named::Server(Server { address, port: peer.port });
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
    if host.len() > MAX_NAME || !host.bytes().all(plain) {
        return Named::Nonsense;
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let address = host.to_ascii_lowercase().into();
    Named::Server(Server { address, port: port.unwrap_or(DEFAULT_PORT) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_has_one_id_however_it_is_spelled() {
        let (mut servers, hash) = (Servers::default(), RandomState::new());
        let peer = Peer {
            address: Ipv6Addr::from_bits(0xffff_7f00_0001).octets(),
            port: 81,
            local_port: 1,
        };
        let mut id =
            |host, port, limit| servers.id(Some(Authority { host, port }), &peer, limit, &hash);
        let first = id("Example.org", None, 2);
        assert_eq!(id("example.org.", Some(80), 2), first);
        assert_ne!(id("example.org", Some(81), 2), first);
        assert_eq!(id("example.com", None, 2), ServerId::OTHER);
        assert_eq!(id("<script>", None, 9), ServerId::OTHER);
        let by_peer = servers.id(None, &peer, 9, &hash);
        let expect = Server { address: "127.0.0.1".into(), port: 81 };
        assert_eq!(servers.name(by_peer), Some(&expect));
        assert_eq!(servers.id(None, &Peer::default(), 9, &hash), ServerId::NONE);
    }
}
