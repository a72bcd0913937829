//! The rings: one of processes that begin and end, and some of connections.
//!
//! A connection's records are in one ring, in their order. What is told of a process is handed over
//! before any record of a connection that was written later.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use agent_common::limit::{LIVES_BYTES, RINGS};
use agent_common::record::{Close, ConnectFailed, Kind, Pair, Segment};
use aya::Ebpf;
use aya::maps::of_maps::ArrayOfMaps;
use aya::maps::{Map, MapData, MapError, RingBuf};
use rustix::event::epoll;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::load::Error;

/// Where the rings of connections are handed to the kernel side.
const EVENTS: &str = "EVENTS";
/// The ring of processes.
const LIVES: &str = "LIVES";
/// Records taken from one ring before the next one's turn.
const TURN: usize = 1024;
/// What stands before each record.
const HEADER: u64 = 8;
/// The smallest ring of connections.
const LEAST: u32 = 1 << 16;

/// How the bytes for connections are divided into rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    many: usize,
    /// The size of each.
    pub(super) share: u32,
}

impl Shape {
    /// `bytes` in all, on a machine of so many processors.
    pub(super) fn of(bytes: u32, processors: usize) -> Self {
        let many = processors.clamp(1, RINGS).next_power_of_two();
        let share = bytes / u32::try_from(many).unwrap_or(1);
        Self { many, share: share.max(LEAST).next_power_of_two() }
    }
}

/// The rings of connections.
pub(super) struct Conns {
    rings: Vec<RingBuf<MapData>>,
    bytes: u64,
}

/// Makes the rings of connections and hands them to the programs, which need not be loaded yet.
pub(super) fn hand_over(bpf: &mut Ebpf, shape: Shape) -> Result<Conns, Error> {
    let used = |e| Error::MapUse(EVENTS, Box::new(e));
    let map = bpf.map_mut(EVENTS).ok_or(Error::Map(EVENTS))?;
    let mut places: ArrayOfMaps<&mut MapData, RingBuf<MapData>> =
        ArrayOfMaps::try_from(map).map_err(used)?;
    let rings: Vec<_> =
        (0..shape.many).map(|_| ring(shape.share)).collect::<Result<_, _>>().map_err(used)?;
    for (place, ring) in (0..places.len()).zip(rings.iter().cycle()) {
        places.set(place, ring, 0).map_err(used)?;
    }
    Ok(Conns { rings, bytes: shape.many as u64 * u64::from(shape.share) })
}

/// Readable when one of `rings` is.
fn watch<'a>(rings: impl Iterator<Item = &'a RingBuf<MapData>>) -> rustix::io::Result<OwnedFd> {
    let any = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for ring in rings {
        epoll::add(&any, ring, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
    }
    Ok(any)
}

/// All rings.
pub(super) struct Rings {
    lives: RingBuf<MapData>,
    conns: Vec<RingBuf<MapData>>,
    // Readable when one of them is.
    any: OwnedFd,
    bytes: u64,
    waited: u64,
}

impl Rings {
    /// All of them together: `conns` as [`hand_over`] made them, and that of processes.
    pub(super) fn of(bpf: &mut Ebpf, conns: Conns) -> Result<Self, Error> {
        let Conns { rings: conns, bytes } = conns;
        let map = bpf.take_map(LIVES).ok_or(Error::Map(LIVES))?;
        let lives = RingBuf::try_from(map).map_err(|e| Error::MapUse(LIVES, Box::new(e)))?;
        let any = watch(conns.iter().chain([&lives]))
            .map_err(|e| Error::MapUse(LIVES, Box::new(MapError::IoError(e.into()))))?;
        let bytes = bytes + u64::from(LIVES_BYTES);
        Ok(Self { lives, conns, any, bytes, waited: 0 })
    }

    /// Readable when one of them is.
    pub(super) fn wakes(&self) -> BorrowedFd<'_> {
        self.any.as_fd()
    }

    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that were taken when they were last emptied.
    pub(super) fn waited(&self) -> u64 {
        self.waited
    }

    /// Hands over about `most` records; gives how many there were, fewer only if no ring has more.
    pub(super) fn drain(
        &mut self,
        most: usize,
        now: impl Fn() -> u64,
        mut each: impl FnMut(&[u8]),
    ) -> usize {
        let Self { lives, conns, .. } = self;
        let (mut n, mut bytes) = (0, 0);
        let mut hand = |record: &[u8]| {
            n += 1;
            bytes += record.len() as u64 + HEADER;
            each(record);
            n
        };
        // What is written to that ring while it is read may be of any time up to its end.
        let mut told = now();
        while let Some(record) = lives.next() {
            hand(&record);
        }
        let mut all = 0;
        let mut more = true;
        while more && all < most {
            more = false;
            for ring in conns.iter_mut() {
                for taken in 1..=TURN {
                    let Some(record) = ring.next() else { break };
                    if begun(&record) > told {
                        told = now();
                        while let Some(record) = lives.next() {
                            hand(&record);
                        }
                    }
                    all = hand(&record);
                    more |= taken == TURN;
                }
            }
        }
        self.waited = bytes;
        n
    }
}

/// A time at which the process that a record tells of was there.
fn begun(record: &[u8]) -> u64 {
    let kind = record.first().and_then(|kind| Kind::of(*kind));
    let time = match kind {
        Some(Kind::Pair) => front::<Pair>(record).map(|pair| pair.ask.first.max(pair.answer.first)),
        Some(Kind::Segment) => front::<Segment>(record).map(|segment| segment.time),
        Some(Kind::Close) => front::<Close>(record).map(|close| close.time),
        Some(Kind::ConnectFailed) => front::<ConnectFailed>(record).map(|failed| failed.begun),
        _ => None,
    };
    time.unwrap_or_default()
}

fn front<T: FromBytes + KnownLayout + Immutable>(record: &[u8]) -> Option<&T> {
    T::ref_from_prefix(record).ok().map(|(front, _)| front)
}

fn ring(bytes: u32) -> Result<RingBuf<MapData>, MapError> {
    let kind = aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF as u32;
    let shape = aya_obj::Map::new_from_params(kind, 0, 0, bytes, 0);
    RingBuf::try_from(Map::RingBuf(MapData::create(shape, "EVENTS.ring", None)?))
}

#[cfg(test)]
mod tests {
    use super::Shape;

    #[test]
    fn every_processor_has_a_ring_until_there_are_too_many() {
        let check = |(bytes, processors), (many, share)| {
            let expect = Shape { many, share };
            assert_eq!(Shape::of(bytes, processors), expect, "{bytes} for {processors}");
        };
        check((4 << 20, 1), (1, 4 << 20));
        check((4 << 20, 2), (2, 2 << 20));
        check((4 << 20, 3), (4, 1 << 20));
        check((4 << 20, 256), (8, 512 << 10));
        check((1 << 16, 256), (8, 1 << 16));
        check((5_000_000, 2), (2, 4 << 20));
        check((0, 0), (1, 1 << 16));
    }
}
