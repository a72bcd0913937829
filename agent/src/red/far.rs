//! Who requests were sent to, by name, where the cluster knows the address: interned for each service, so many and
//! no more.
//!
//! Found out once a connection and kept for as long as it is open: an address may be another's tomorrow. What was
//! not known then is looked for again when more is known; what was told until then stays as it was told.

use std::collections::HashMap;
use std::sync::Arc;

use crate::cluster::{Far, Fars};
use crate::event::{ConnId, Peer};

use super::hash::ByNumber;

/// Far ends of one service that are told apart: what six bits of a series' key hold, but for none.
pub(super) const FARS: usize = 63;
/// Connections of one service of which it is remembered who is there.
const CONNECTIONS: usize = 16_384;

/// A far end, interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FarId(pub(super) u8);

impl FarId {
    /// Not known, or one of those that there is no room for.
    pub(super) const NONE: Self = Self(0);
}

#[derive(Debug)]
struct Memo {
    id: FarId,
    /// How much was known when it was looked for.
    generation: u64,
    /// Who had the address then had it still.
    is_sure: bool,
    /// Something was seen of the connection since the last whole sweep.
    seen: bool,
}

/// The far ends of one service.
#[derive(Debug, Default)]
pub(super) struct FarEnds {
    known: Vec<Arc<Far>>,
    ids: HashMap<Arc<Far>, FarId>,
    memos: HashMap<ConnId, Memo, ByNumber>,
}

impl FarEnds {
    pub(super) fn name(&self, id: FarId) -> Option<&Arc<Far>> {
        self.known.get(usize::from(id.0.checked_sub(1)?))
    }

    /// Who is at the other end of a connection; `fars` is none where no address is known.
    #[inline]
    pub(super) fn id(
        &mut self,
        conn: ConnId,
        peer: &Peer,
        fars: Option<&Fars>,
        other: &mut u64,
    ) -> FarId {
        match fars {
            Some(fars) => self.of(conn, peer, fars, other),
            None => FarId::NONE,
        }
    }

    fn of(&mut self, conn: ConnId, peer: &Peer, fars: &Fars, other: &mut u64) -> FarId {
        let generation = fars.generation();
        let mut before = FarId::NONE;
        if let Some(memo) = self.memos.get_mut(&conn) {
            memo.seen = true;
            if memo.is_sure || memo.generation == generation {
                return memo.id;
            }
            before = memo.id;
        }
        // Who is gone may have left the address to somebody of whom nothing was heard yet.
        let (id, is_sure) = match fars.holder(peer.address) {
            Some((far, is_there)) => (self.intern(far, other), is_there),
            None => (before, false),
        };
        if self.memos.len() < CONNECTIONS || self.memos.contains_key(&conn) {
            self.memos.insert(conn, Memo { id, generation, is_sure, seen: true });
        }
        id
    }

    /// The id of a far end that was found out elsewhere; `other` counts those that there is no room for.
    pub(super) fn intern(&mut self, far: &Arc<Far>, other: &mut u64) -> FarId {
        if let Some(id) = self.ids.get(far) {
            return *id;
        }
        match u8::try_from(self.known.len() + 1) {
            Ok(place) if self.known.len() < FARS => {
                self.known.push(Arc::clone(far));
                self.ids.insert(Arc::clone(far), FarId(place));
                FarId(place)
            }
            _ => {
                *other += 1;
                FarId::NONE
            }
        }
    }

    /// Who was found at the other end of a connection.
    pub(super) fn found(&self, conn: ConnId) -> Option<&Arc<Far>> {
        self.name(self.memos.get(&conn)?.id)
    }

    /// A whole sweep is over: connections that neither it nor a request has shown since the one before are closed.
    pub(super) fn sweep(&mut self) {
        self.memos.retain(|_, memo| std::mem::take(&mut memo.seen));
    }
}
