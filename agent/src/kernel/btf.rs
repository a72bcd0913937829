//! The running kernel's own description of its types, read for the offsets of a few fields.
//!
//! Hand-written because aya's reader does not give out members. Reads the format's every kind up to
//! `ENUM64` (kernel 6.0); an unknown kind ends the reading with an error, since its size is unknown.

use std::collections::HashMap;

/// Why the description cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Cannot be read at all.
    #[error("cannot read {path}: {source} (the kernel needs CONFIG_DEBUG_INFO_BTF=y)")]
    Read {
        /// Where it was looked for.
        path: String,
        /// What happened.
        source: std::io::Error,
    },
    /// Ends in the middle, or is something else.
    #[error("the kernel's type description is malformed at byte {0}")]
    Malformed(usize),
    /// A kind that is newer than this reader.
    #[error("the kernel's type description has an unknown kind {kind} at byte {at}")]
    Kind {
        /// The kind.
        kind: u32,
        /// Where.
        at: usize,
    },
}

const STRUCT: u32 = 4;
const UNION: u32 = 5;
const TYPEDEF: u32 = 8;
const ENUM: u32 = 6;
const ENUM64: u32 = 19;
const POINTER: u32 = 2;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;

/// The types of a kernel.
pub struct Types {
    data: Vec<u8>,
    strings: usize,
    /// Where each type stands; the first has id 1.
    at: Vec<u32>,
    /// Structs, enumerations and functions by name.
    structs: HashMap<Box<str>, u32>,
    functions: HashMap<Box<str>, u32>,
    /// Tracepoints that take typed arguments, and the types that say which.
    tracepoints: HashMap<Box<str>, u32>,
}

struct Header {
    name: u32,
    kind: u32,
    many: u32,
    bitfields: bool,
    size_or_type: u32,
}

impl Types {
    /// The types of the kernel that runs, from `path`.
    pub fn read(
        path: &std::path::Path,
        structs: &[&str],
        functions: &[&str],
    ) -> Result<Self, Error> {
        let data = std::fs::read(path)
            .map_err(|source| Error::Read { path: path.display().to_string(), source })?;
        Self::parse(data, structs, functions)
    }

    /// Indexes `data`, remembering the named structs (and enumerations) and functions.
    pub fn parse(data: Vec<u8>, structs: &[&str], functions: &[&str]) -> Result<Self, Error> {
        let word = |at: usize| word(&data, at);
        if word(0)? & 0xffff != 0xeb9f {
            return Err(Error::Malformed(0));
        }
        let header = word(4)? as usize;
        let from = header + word(8)? as usize;
        let to = from + word(12)? as usize;
        let strings = header + word(16)? as usize;
        let mut types = Self {
            at: Vec::new(),
            strings,
            structs: HashMap::new(),
            functions: HashMap::new(),
            tracepoints: HashMap::new(),
            data: Vec::new(),
        };
        let mut at = from;
        let mut id = 0;
        while at < to {
            id += 1;
            types.at.push(u32::try_from(at).map_err(|_| Error::Malformed(at))?);
            let (name, info) = (word(at)?, word(at + 4)?);
            let (kind, many) = (info >> 24 & 0x1f, info & 0xffff);
            if matches!(kind, STRUCT | ENUM | ENUM64 | FUNC) {
                let name = text(&data, strings, name);
                let (wanted, found) = if kind == FUNC {
                    (functions, &mut types.functions)
                } else {
                    (structs, &mut types.structs)
                };
                if wanted.contains(&name) {
                    found.entry(name.into()).or_insert(id);
                }
            }
            if kind == TYPEDEF
                && let Some(name) = text(&data, strings, name).strip_prefix("btf_trace_")
            {
                let of = word(at + 8)?;
                types.tracepoints.insert(name.into(), of);
            }
            at += 12 + extra(kind, many as usize).ok_or(Error::Kind { kind, at })?;
        }
        types.data = data;
        Ok(types)
    }

    fn header(&self, id: u32) -> Option<(Header, usize)> {
        let at = *self.at.get((id as usize).checked_sub(1)?)? as usize;
        let info = word(&self.data, at + 4).ok()?;
        let header = Header {
            name: word(&self.data, at).ok()?,
            kind: info >> 24 & 0x1f,
            many: info & 0xffff,
            bitfields: info >> 31 != 0,
            size_or_type: word(&self.data, at + 8).ok()?,
        };
        Some((header, at + 12))
    }

    /// The offset in bytes of `path` (`a.b.c`, through anonymous members) in struct `name`.
    pub fn offset(&self, name: &str, path: &str) -> Option<u32> {
        self.bit(name, path).map(|bit| bit / 8)
    }

    /// The same in bits, for a member that is one.
    pub fn bit(&self, name: &str, path: &str) -> Option<u32> {
        let mut id = *self.structs.get(name)?;
        let mut offset = 0;
        for part in path.split('.') {
            let (bits, next) = self.member(id, part, 0)?;
            offset += bits;
            id = next;
        }
        Some(offset)
    }

    /// Bit offset and type of a member; anonymous structs and unions are looked through.
    fn member(&self, id: u32, wanted: &str, depth: u32) -> Option<(u32, u32)> {
        let (header, at) = self.header(self.plain(id)?)?;
        if (header.kind != STRUCT && header.kind != UNION) || depth > 8 {
            return None;
        }
        for i in 0..header.many as usize {
            let at = at + i * 12;
            let name = text(&self.data, self.strings, word(&self.data, at).ok()?);
            let of = word(&self.data, at + 4).ok()?;
            let mut bits = word(&self.data, at + 8).ok()?;
            if header.bitfields {
                bits &= 0x00ff_ffff;
            }
            if name == wanted {
                return Some((bits, of));
            }
            if name.is_empty()
                && let Some((inner, of)) = self.member(of, wanted, depth + 1)
            {
                return Some((bits + inner, of));
            }
        }
        None
    }

    /// The type behind typedefs and qualifiers.
    fn plain(&self, mut id: u32) -> Option<u32> {
        for _ in 0..16 {
            let (header, _) = self.header(id)?;
            match header.kind {
                // Typedef, volatile, const, restrict, type tag.
                8 | 9 | 10 | 11 | 18 => id = header.size_or_type,
                _ => return Some(id),
            }
        }
        None
    }

    /// Whether the kernel has a tracepoint with typed arguments of this name.
    pub fn has_tracepoint(&self, name: &str) -> bool {
        self.tracepoints.contains_key(name)
    }

    /// How many arguments a tracepoint hands over.
    pub fn arguments(&self, tracepoint: &str) -> Option<u32> {
        let (pointer, _) = self.header(*self.tracepoints.get(tracepoint)?)?;
        let (proto, _) = self.header(pointer.size_or_type)?;
        // The first parameter is the tracepoint's own.
        (pointer.kind == POINTER && proto.kind == FUNC_PROTO).then(|| proto.many.checked_sub(1))?
    }

    /// The names and values of an enumeration; the lower halves of wide ones.
    pub fn values(&self, enumeration: &str) -> Vec<(&str, u32)> {
        let found = self.structs.get(enumeration).and_then(|id| self.header(*id));
        let Some((header, at)) = found else { return Vec::new() };
        let size = match header.kind {
            ENUM => 8,
            ENUM64 => 12,
            _ => return Vec::new(),
        };
        let value = |i: usize| {
            let at = at + i * size;
            let name = text(&self.data, self.strings, word(&self.data, at).ok()?);
            Some((name, word(&self.data, at + 4).ok()?))
        };
        (0..header.many as usize).map_while(value).collect()
    }

    /// How many parameters a function has.
    pub fn parameters(&self, function: &str) -> Option<u32> {
        let (header, _) = self.header(*self.functions.get(function)?)?;
        let (proto, _) = self.header(header.size_or_type)?;
        debug_assert!(header.name != 0);
        (proto.kind == FUNC_PROTO).then_some(proto.many)
    }
}

/// Bytes behind the common part of a type.
fn extra(kind: u32, many: usize) -> Option<usize> {
    Some(match kind {
        1 | 14 | 17 => 4,
        2 | 7..=12 | 16 | 18 => 0,
        3 => 12,
        4 | 5 | 15 | 19 => many * 12,
        6 | 13 => many * 8,
        _ => return None,
    })
}

fn word(data: &[u8], at: usize) -> Result<u32, Error> {
    let bytes = data.get(at..at + 4).ok_or(Error::Malformed(at))?;
    Ok(u32::from_ne_bytes(bytes.try_into().map_err(|_| Error::Malformed(at))?))
}

fn text(data: &[u8], strings: usize, at: u32) -> &str {
    let rest = data.get(strings + at as usize..).unwrap_or_default();
    let end = rest.iter().position(|b| *b == 0).unwrap_or(0);
    std::str::from_utf8(rest.get(..end).unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_what_is_not_btf() {
        for data in [vec![], vec![0; 3], vec![0xff; 64], {
            let mut cut = vec![0x9f, 0xeb, 1, 0];
            for word in [24u32, 0, 400, 0, 8] {
                cut.extend(word.to_ne_bytes());
            }
            cut
        }] {
            assert!(Types::parse(data, &[], &[]).is_err());
        }
    }
}
