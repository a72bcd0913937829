//! Bytes of one record to an [`Event`].

use agent_common::record::{self, Direction, End, Kind};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{Event, Exec, Pair, Segment, Why};

/// A record that makes no sense; counted, never logged one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than its header, or than the lengths in it.
    Short,
    /// An unknown kind.
    Kind,
    /// A field outside its range.
    Field,
    /// Not aligned to eight bytes.
    Alignment,
}

/// The event that `bytes` (one whole record, eight-byte aligned) stand for.
pub fn decode(bytes: &[u8]) -> Result<Event<'_>, Malformed> {
    let kind = Kind::of(*bytes.first().ok_or(Malformed::Short)?).ok_or(Malformed::Kind)?;
    Ok(match kind {
        Kind::Pair => {
            let (header, rest) = head::<record::Pair>(bytes)?;
            let (ask, rest) = split(rest, header.ask_head)?;
            let (answer, _) = split(rest, header.answer_head)?;
            let end = End::of(header.end).ok_or(Malformed::Field)?;
            let why = Why::of(header).ok_or(Malformed::Field)?;
            Event::Pair(Pair { header, end, ask, answer, why })
        }
        Kind::Segment => {
            let (header, rest) = head::<record::Segment>(bytes)?;
            let (data, _) = split(rest, header.len)?;
            let direction = match header.direction {
                0 => Direction::In,
                1 => Direction::Out,
                _ => return Err(Malformed::Field),
            };
            if header.end.wrapping_sub(header.start) < data.len() as u64 {
                return Err(Malformed::Field);
            }
            Event::Segment(Segment { header, direction, data })
        }
        Kind::Close => Event::Close(head(bytes)?.0),
        Kind::Progress => Event::Progress(head(bytes)?.0),
        Kind::Carried => Event::Carried(head(bytes)?.0),
        Kind::Joint => Event::Joint(head(bytes)?.0),
        Kind::ConnectFailed => Event::ConnectFailed(head(bytes)?.0),
        Kind::Exec => {
            let (header, rest) = head::<record::Exec>(bytes)?;
            let (args, rest) = split(rest, header.args)?;
            let (env, rest) = split(rest, header.env)?;
            let (groups, _) = split(rest, header.groups)?;
            Event::Exec(Exec { header, args, env, groups })
        }
        Kind::Fork => Event::Fork(head(bytes)?.0),
        Kind::Exit => Event::Exit(head(bytes)?.0),
    })
}

fn head<T: FromBytes + KnownLayout + Immutable>(bytes: &[u8]) -> Result<(&T, &[u8]), Malformed> {
    T::ref_from_prefix(bytes).map_err(|e| match e {
        zerocopy::CastError::Alignment(_) => Malformed::Alignment,
        _ => Malformed::Short,
    })
}

fn split(bytes: &[u8], at: u16) -> Result<(&[u8], &[u8]), Malformed> {
    bytes.split_at_checked(usize::from(at)).ok_or(Malformed::Short)
}
