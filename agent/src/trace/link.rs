//! The same TCP connection seen from both ends on this host: the request that went in at one end is
//! the one that came out at the other.
//!
//! Two exchanges are one only if all of this holds, and if nothing else in the window fits either:
//!
//! - their connections have the same two ports, and both or neither are on loopback;
//! - what was seen of both heads is the same, and so are method, path, status and trace context;
//! - the server took the request up after the exchange before it had ended at the client and before this
//!   one had, and its answer did not end before the client began to ask;
//! - the server took it up after the client's clock said that it was asked, or, since that clock is
//!   read when the call is over and the server may have been faster, it stands in the same place of the
//!   stream: both are the first, or they are as far apart as others of the two connections were;
//! - neither connection was ever joined with a third.
//!
//! Port translation between the ends hides the first: such exchanges stay apart. A wrong pair would
//! need two connections of the same ports in two namespaces, with the same requests at the same time;
//! then both fit and none is joined.

use std::collections::{HashMap, VecDeque};

use super::pending::Pending;
use super::window::{At, Window};
use crate::event::{ConnId, Nanos, Peer, Timestamp};
use crate::protocol::Role;

/// Exchanges of one connection that are looked at for one of the other end.
const LOOK: usize = 16;

/// Both ports of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Ports {
    client: u16,
    server: u16,
}

impl Ports {
    fn of(role: Role, peer: &Peer) -> Option<Self> {
        let Peer { port, local_port, address } = *peer;
        if (port == 0 && local_port == 0) || address == [0; 16] {
            return None;
        }
        Some(match role {
            Role::Client => Self { client: local_port, server: port },
            Role::Server => Self { client: port, server: local_port },
        })
    }
}

/// One end of a connection.
#[derive(Debug)]
struct End {
    conn: ConnId,
    role: Role,
    loopback: bool,
    /// Its exchanges in the window, oldest first.
    waiting: VecDeque<At>,
    /// When the last of its exchanges had ended.
    ended: Timestamp,
    /// When it was last used.
    used: Timestamp,
    /// The other end, and how much further positions are at the server's.
    other: Option<(ConnId, Option<i128>)>,
}

/// What was found at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mate {
    /// This one.
    Is(At),
    /// Nothing, and why.
    None(Missing),
}

/// Why a span has no parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A client's: what made it ask is not known.
    Cause,
    /// The connection has no addresses.
    Address,
    /// The other end is not on this host, or was not seen.
    Peer,
    /// More than one exchange fits.
    Ambiguous,
    /// One fits, but not in its place in the stream.
    Order,
    /// It is not over: what it belongs to is looked for when it is.
    Unfinished,
}

impl Missing {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Cause, Self::Address, Self::Peer, Self::Ambiguous, Self::Order, Self::Unfinished];

    /// Its name as an attribute's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cause => "cause_unknown",
            Self::Address => "no_address",
            Self::Peer => "peer_not_seen",
            Self::Ambiguous => "ambiguous",
            Self::Order => "out_of_order",
            Self::Unfinished => "unfinished",
        }
    }
}

/// The ends of all connections that have exchanges in the window, or had a while ago.
#[derive(Debug, Default)]
pub(super) struct Links {
    ends: HashMap<Ports, Vec<End>>,
}

impl Links {
    /// Takes note of one that comes into the window at `at`. Gives when the one before it on its
    /// connection had ended.
    pub(super) fn add(&mut self, at: At, pending: &Pending, now: Timestamp) -> Timestamp {
        let Some(ports) = Ports::of(pending.role, &pending.peer) else {
            return Timestamp::default();
        };
        let ends = self.ends.entry(ports).or_default();
        let Pending { conn, role, ended, .. } = *pending;
        let place = ends.iter().position(|end| end.conn == conn && end.role == role);
        let place = place.unwrap_or_else(|| {
            ends.push(End {
                conn,
                role,
                loopback: is_loopback(&pending.peer),
                waiting: VecDeque::new(),
                ended: Timestamp::default(),
                used: now,
                other: None,
            });
            ends.len() - 1
        });
        let Some(end) = ends.get_mut(place) else { return Timestamp::default() };
        end.waiting.push_back(at);
        end.used = now;
        let before = end.ended;
        end.ended = before.max(ended);
        before
    }

    /// The same exchange at the other end. What is refused once is refused for good, and so is all
    /// that it may have been joined with: when one of two that fit has left the window, the other
    /// must not look like the only one.
    pub(super) fn mate(&mut self, window: &mut Window, at: At) -> Mate {
        match self.find(window, at) {
            Ok(other) => Mate::Is(other),
            Err((why, involved)) => {
                for other in involved {
                    window.refuse(other, why);
                }
                Mate::None(why)
            }
        }
    }

    fn find(&mut self, window: &Window, at: At) -> Result<At, (Missing, Vec<At>)> {
        let none = |why| (why, Vec::new());
        let pending = window.get(at).ok_or_else(|| none(Missing::Peer))?;
        let ports = Ports::of(pending.role, &pending.peer);
        let ports = ports.ok_or_else(|| none(Missing::Address))?;
        if let Some(why) = pending.refused {
            return Err(none(why));
        }
        let ends = self.ends.get_mut(&ports).ok_or_else(|| none(Missing::Peer))?;
        let fit = fitting(ends, window, pending);
        let first = fit.first().copied();
        let Some((other, found)) = first.and_then(|other| Some((other, window.get(other)?))) else {
            return Err(none(Missing::Peer));
        };
        let back = fitting(ends, window, found);
        if let Some(why) = fit.iter().find_map(|at| window.get(*at)?.refused) {
            return Err((why, [fit, back].concat()));
        }
        if fit.len() > 1 || back.len() != 1 {
            return Err((Missing::Ambiguous, [fit, back].concat()));
        }
        let (client, server) = match pending.role {
            Role::Client => (pending, found),
            Role::Server => (found, pending),
        };
        let apart = client.position.zip(server.position);
        let apart = apart.map(|(client, server)| i128::from(server) - i128::from(client));
        let agrees = |end: &End, conn: ConnId| match end.other {
            None => true,
            Some((known, _)) if known != conn => false,
            Some((_, known)) => known.is_none() || apart.is_none() || known == apart,
        };
        let of = |one: &Pending| (one.conn, one.role);
        let sound = ends.iter().all(|end| {
            let is = (end.conn, end.role);
            (is != of(client) || agrees(end, server.conn))
                && (is != of(server) || agrees(end, client.conn))
        });
        // The times of a client's exchanges do not overlap, and a server takes none up before the one
        // before it has ended: one taken up inside of one that was asked is that one.
        let inside = server.begun >= client.begun;
        let known = ends.iter().find(|end| (end.conn, end.role) == of(server));
        let known = known.and_then(|end| end.other?.1);
        let first = client.position == Some(0) && server.position == Some(0);
        let placed = if known.is_some() { known == apart } else { first };
        if !sound || !(inside || placed) {
            return Err((Missing::Order, vec![other]));
        }
        for end in ends.iter_mut() {
            let is = (end.conn, end.role);
            let conn = if is == of(client) {
                server.conn
            } else if is == of(server) {
                client.conn
            } else {
                continue;
            };
            let known = end.other.and_then(|(_, known)| known);
            end.other = Some((conn, known.or(apart)));
        }
        Ok(other)
    }

    /// One has left the window.
    pub(super) fn remove(&mut self, at: At, pending: &Pending) {
        let Some(ports) = Ports::of(pending.role, &pending.peer) else { return };
        let Some(ends) = self.ends.get_mut(&ports) else { return };
        let mut ends = ends.iter_mut();
        if let Some(end) = ends.find(|end| end.conn == pending.conn && end.role == pending.role)
            && let Ok(place) = end.waiting.binary_search(&at)
        {
            end.waiting.remove(place);
        }
    }

    /// Forgets connections that nothing was heard of for so long.
    pub(super) fn forget(&mut self, now: Timestamp, after: Nanos) {
        self.ends.retain(|_, ends| {
            ends.retain(|end| !end.waiting.is_empty() || now.since(end.used) < after);
            !ends.is_empty()
        });
    }

    /// Ends that are remembered.
    pub(super) fn len(&self) -> usize {
        self.ends.values().map(Vec::len).sum()
    }
}

/// Those that fit at the other end.
fn fitting(ends: &[End], window: &Window, one: &Pending) -> Vec<At> {
    let loopback = is_loopback(&one.peer);
    let mut found = Vec::new();
    for end in ends.iter().filter(|end| end.role != one.role && end.loopback == loopback) {
        let over = |at: &At| window.get(*at).is_none_or(|other| other.ended <= one.begun);
        let from = end.waiting.partition_point(over);
        for at in end.waiting.iter().skip(from).take(LOOK) {
            let Some(other) = window.get(*at) else { continue };
            if other.begun >= one.ended {
                break;
            }
            let (client, server) = match one.role {
                Role::Client => (one, other),
                Role::Server => (other, one),
            };
            if fits(client, server) {
                found.push(*at);
            }
        }
    }
    found
}

fn fits(client: &Pending, server: &Pending) -> bool {
    let in_time =
        server.begun > client.before && server.begun < client.ended && server.ended > client.begun;
    let status = match (client.status, server.status) {
        (Some(client), Some(server)) => client == server,
        _ => true,
    };
    let trace = match (&client.context, &server.context) {
        (Some(client), Some(server)) => client == server,
        _ => true,
    };
    in_time
        && status
        && trace
        && client.method == server.method
        && client.path == server.path
        && client.lines.agrees(&server.lines)
}

fn is_loopback(peer: &Peer) -> bool {
    std::net::Ipv6Addr::from(peer.address).to_canonical().is_loopback()
}
