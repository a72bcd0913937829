//! The same connection seen from both ends on this host: the request that went in at one end is
//! the one that came out at the other.
//!
//! Two exchanges are one only if all of this holds, and if nothing else in the window fits either:
//!
//! - their connections have the same two ports, and both or neither are on loopback; or they are Unix sockets of
//!   which the kernel says that each is the other's peer;
//! - what was seen of both heads is the same, and so are method, path, status and trace context;
//! - the server took the request up after the exchange before it had ended at the client and before this
//!   one had, and its answer did not end before the client began to ask;
//! - the server took it up after the client's clock said that it was asked, or, since that clock is
//!   read when the call is over and the server may have been faster, it stands in the same place of the
//!   stream: both are the first, or they are as far apart as others of the two connections were;
//! - neither connection was ever joined with a third.
//!
//! Where ports are translated between the ends, the first holds of the client's connection as the server sees
//! it, if the kernel's tracking of connections says so ([`Links::translate`]), and the client's address as well. A wrong pair
//! would need two connections of the same ports in two namespaces, with the same requests at the same time;
//! then both fit and none is joined.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use agent_common::record;

use super::pending::Pending;
use super::window::{At, Window};
use crate::cluster::{Far, Fars};
use crate::event::{ConnId, Nanos, Peer, Pid, Timestamp};
use crate::host::Translations;
use crate::host::conntrack::{Dialled, Taken};
use crate::protocol::Role;
use crate::red::ByNumber;

/// Unix sockets that are remembered.
const JOINTS: usize = 65_536;
/// Between two looks for what can be forgotten.
const LOOK_AGAIN: Nanos = Nanos(1_000_000_000);
/// Exchanges of one connection that are looked at for one of the other end.
const LOOK: usize = 16;

/// What both ends of a connection have in common: both ports, or what the kernel side made of both Unix
/// sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports {
    unix: bool,
    number: u64,
}

impl Hash for Ports {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.number ^ u64::from(self.unix));
    }
}

impl Ports {
    /// As the server sees them.
    fn of(pending: &Pending) -> Option<Self> {
        let Peer { port, local_port, address } = pending.peer;
        if (port == 0 && local_port == 0) || address == [0; 16] {
            return pending.joint().map(|number| Self { unix: true, number });
        }
        if let Some(taken) = pending.taken() {
            return Some(Self::tcp(taken.port, taken.at));
        }
        Some(match pending.role {
            Role::Client => Self::tcp(local_port, port),
            Role::Server => Self::tcp(port, local_port),
        })
    }

    fn tcp(client: u16, server: u16) -> Self {
        Self { unix: false, number: u64::from(client) << 16 | u64::from(server) }
    }
}

/// One end of a connection.
#[derive(Debug)]
struct End {
    conn: ConnId,
    role: Role,
    loopback: bool,
    /// Its exchanges in the window and when each had ended, oldest first: a sweep tells one that is over ahead
    /// of those that the ring still holds. Before them some that have left it already.
    waiting: VecDeque<(At, Timestamp)>,
    /// When the last that has left it had ended.
    left: Timestamp,
    /// When it was last used.
    used: Timestamp,
    /// The other end, and how much further positions are at the server's.
    other: Option<(ConnId, Option<i128>)>,
    /// Whose it is.
    pid: Pid,
    /// What a client has dialled.
    dialled: Option<Dialled>,
    /// Nobody has looked yet whether it is translated.
    unasked: bool,
}

impl End {
    /// Nothing before `first` is in the window any more.
    fn trim(&mut self, first: At) {
        while let Some((_, ended)) = self.waiting.pop_front_if(|(at, _)| *at < first) {
            self.left = self.left.max(ended);
        }
    }

    /// Takes one that ended then. Gives when the one before it had ended, and the one behind it.
    fn take(&mut self, at: At, ended: Timestamp) -> (Timestamp, Option<At>) {
        let later = self.waiting.iter().rev().take_while(|(_, other)| *other > ended).count();
        let place = self.waiting.len() - later;
        let before = place.checked_sub(1).and_then(|before| self.waiting.get(before));
        let before = before.map_or(self.left, |(_, ended)| *ended);
        let behind = self.waiting.get(place).map(|(at, _)| *at);
        self.waiting.insert(place, (at, ended));
        (before, behind)
    }
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
    /// A span came from another host, but the head that may name its trace was not seen whole.
    Cut,
    /// A client's: its process had no request in hand.
    Idle,
    /// A client's: what made it ask is not in its tree, or was not known when that was decided on.
    Unsettled,
}

impl Missing {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Cause,
        Self::Address,
        Self::Peer,
        Self::Ambiguous,
        Self::Order,
        Self::Unfinished,
        Self::Cut,
        Self::Idle,
        Self::Unsettled,
    ];

    /// Its name as an attribute's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cause => "cause_unknown",
            Self::Address => "no_address",
            Self::Peer => "peer_not_seen",
            Self::Ambiguous => "ambiguous",
            Self::Order => "out_of_order",
            Self::Unfinished => "unfinished",
            Self::Cut => "head_cut",
            Self::Idle => "no_request",
            Self::Unsettled => "unsettled",
        }
    }
}

/// The ends of all connections that have exchanges in the window, or had a while ago.
#[derive(Debug, Default)]
pub(super) struct Links {
    ends: HashMap<Ports, Vec<End>, ByNumber>,
    /// Connections of clients that the server sees differently, with who that is, by name.
    taken: HashMap<ConnId, (Taken, Option<Arc<Far>>)>,
    /// Unix sockets, and when they were last used.
    joints: HashMap<ConnId, (u64, Timestamp)>,
    /// When to look for what can be forgotten.
    due: Timestamp,
}

impl Links {
    /// Takes what a Unix socket has in common with its other end.
    pub(super) fn joint(&mut self, joint: &record::Joint) {
        if joint.key != 0 && self.joints.len() < JOINTS {
            self.joints.insert(ConnId(joint.conn), (joint.key, Timestamp(joint.time)));
        }
    }

    /// Takes note of one that is about to come into the window, and notes when the one before it on its
    /// connection had ended.
    pub(super) fn add(&mut self, pending: &mut Pending, now: Timestamp, window: &mut Window) {
        if pending.role == Role::Client
            && !self.taken.is_empty()
            && let Some((taken, far)) = self.taken.get(&pending.conn)
        {
            translated(pending, *taken, far.as_ref());
        }
        if !self.joints.is_empty()
            && let Some((key, used)) = self.joints.get_mut(&pending.conn)
        {
            *used = (*used).max(now);
            pending.rare_mut().joint = Some(*key);
        }
        let Some(ports) = Ports::of(pending) else { return };
        let ends = self.ends.entry(ports).or_default();
        let Pending { conn, role, ended, .. } = *pending;
        let place = ends.iter().position(|end| end.conn == conn && end.role == role);
        let place = place.unwrap_or_else(|| {
            ends.push(End {
                conn,
                role,
                loopback: is_loopback(pending),
                waiting: VecDeque::new(),
                left: Timestamp::default(),
                used: now,
                other: None,
                pid: pending.pid,
                dialled: dialled(pending),
                unasked: pending.taken().is_none(),
            });
            ends.len() - 1
        });
        let Some(end) = ends.get_mut(place) else { return };
        end.trim(window.first());
        end.used = now;
        let (before, behind) = end.take(window.next(), ended);
        pending.before = before;
        if let Some(behind) = behind.and_then(|at| window.get_mut(at)) {
            behind.before = ended;
        }
    }

    /// Processes with connections whose other end is not on this host as far as the ports tell, and of
    /// which nobody has said whether they are translated. Asks for each once.
    pub(super) fn strangers(&mut self) -> Vec<Pid> {
        let mut pids = Vec::new();
        for ends in self.ends.values_mut().filter(|ends| ends.iter().any(|end| end.unasked)) {
            let served = ends.iter().any(|end| end.role == Role::Server);
            for end in ends.iter_mut().filter(|end| end.unasked && end.dialled.is_some()) {
                end.unasked = false;
                if !served && !end.waiting.is_empty() {
                    pids.push(end.pid);
                }
            }
        }
        pids.sort_unstable_by_key(|pid| pid.0);
        pids.dedup();
        pids
    }

    /// Takes in how servers see connections. Those that wait are moved to where their other ends are.
    pub(super) fn translate(
        &mut self,
        window: &mut Window,
        all: &Translations,
        fars: Option<&Fars>,
    ) {
        let mut moved = Vec::new();
        for ends in self.ends.values_mut() {
            if ends.iter().any(|end| end.role == Role::Server) {
                continue;
            }
            let is = |end: &End| end.dialled.as_ref().and_then(|dialled| all.get(dialled));
            for end in ends.extract_if(.., |end| !end.waiting.is_empty() && is(end).is_some()) {
                moved.extend(is(&end).map(|taken| (end, taken)));
            }
        }
        self.ends.retain(|_, ends| !ends.is_empty());
        for (mut end, taken) in moved {
            let far = fars.and_then(|fars| fars.at(taken.address)).cloned();
            for (at, _) in &end.waiting {
                if let Some(pending) = window.get_mut(*at) {
                    translated(pending, taken, far.as_ref());
                }
            }
            self.taken.insert(end.conn, (taken, far));
            end.dialled = None;
            end.loopback = loops(taken.client);
            let ports = Ports::tcp(taken.port, taken.at);
            self.ends.entry(ports).or_default().push(end);
        }
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
        let ports = Ports::of(pending);
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

    /// Forgets connections that nothing was heard of for so long.
    pub(super) fn forget(&mut self, now: Timestamp, after: Nanos, first: At) {
        if now < self.due {
            return;
        }
        self.due = Timestamp(now.0.saturating_add(LOOK_AGAIN.0));
        self.ends.retain(|_, ends| {
            for end in ends.iter_mut() {
                end.trim(first);
            }
            ends.retain(|end| !end.waiting.is_empty() || now.since(end.used) < after);
            !ends.is_empty()
        });
        self.joints.retain(|_, (_, used)| now.since(*used) < after);
        if !self.taken.is_empty() {
            let all: HashSet<ConnId> = self.ends.values().flatten().map(|end| end.conn).collect();
            self.taken.retain(|conn, _| all.contains(conn));
        }
    }

    /// Ends that are remembered.
    pub(super) fn len(&self) -> usize {
        self.ends.values().map(Vec::len).sum()
    }
}

/// Those that fit at the other end.
fn fitting(ends: &[End], window: &Window, one: &Pending) -> Vec<At> {
    let loopback = is_loopback(one);
    let mut found = Vec::new();
    for end in ends.iter().filter(|end| end.role != one.role && end.loopback == loopback) {
        let from = end.waiting.partition_point(|(_, ended)| *ended <= one.begun);
        for (at, _) in end.waiting.iter().skip(from).take(LOOK) {
            let Some(other) = window.get(*at) else { continue };
            if other.begun >= one.ended {
                break;
            }
            let (client, server) = match one.role {
                Role::Client => (one, other),
                Role::Server => (other, one),
            };
            if fits(window, client, server) {
                found.push(*at);
            }
        }
    }
    found
}

fn fits(window: &Window, client: &Pending, server: &Pending) -> bool {
    let in_time =
        server.begun > client.before && server.begun < client.ended && server.ended > client.begun;
    let status = match (client.status, server.status) {
        (Some(client), Some(server)) => client == server,
        _ => true,
    };
    let trace = match (client.context(), server.context()) {
        (Some(client), Some(server)) => client == server,
        _ => true,
    };
    let seen = client.taken().is_none_or(|taken| taken.client == server.peer.address);
    let plain = in_time && seen && status && trace && client.method == server.method;
    plain && window.alike(client, server)
}

/// Whether the connection is on loopback, as the server sees it.
fn is_loopback(pending: &Pending) -> bool {
    loops(pending.taken().map_or(pending.peer.address, |taken| taken.client))
}

fn loops(address: [u8; 16]) -> bool {
    std::net::Ipv6Addr::from(address).to_canonical().is_loopback()
}

/// A client's is known to be translated. Who is behind that is who is there.
fn translated(pending: &mut Pending, taken: Taken, far: Option<&Arc<Far>>) {
    pending.rare_mut().taken = Some(taken);
    if let Some(far) = far {
        pending.far = Some(Arc::clone(far));
    }
}

/// What a client has dialled that may be translated.
fn dialled(pending: &Pending) -> Option<Dialled> {
    let Peer { address, port, local_port } = pending.peer;
    let may = pending.role == Role::Client && pending.taken().is_none();
    (may && address != [0; 16]).then_some(Dialled { port: local_port, address, to: port })
}
