//! The heads of the exchanges that wait: bytes one behind the other, freed in the order they came.
//!
//! Nearly all of them are never looked at again, so nothing is made of them before somebody asks: to keep
//! one is to copy its bytes, and to free many at once is to drop a chunk.

use std::collections::VecDeque;

use crate::protocol::{Authority, Exchange, Lines};

/// Bytes that are allocated at a time.
const CHUNK: usize = 1 << 16;

/// The bytes.
#[derive(Debug, Default)]
pub(super) struct Heads {
    chunks: VecDeque<Vec<u8>>,
    /// The number of the first of them.
    first: u32,
    /// A chunk that was freed and is as good as a new one.
    spare: Vec<u8>,
}

/// Where a head is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    chunk: u32,
    at: u32,
    path: u16,
    host: u16,
    lines: u16,
    port: Option<u16>,
    named: bool,
    cut: bool,
}

/// A head, to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) path: &'a str,
    pub(super) host: Option<(&'a str, Option<u16>)>,
    pub(super) lines: Lines<'a>,
}

impl Heads {
    /// Keeps what is known of an exchange's head: at most so many bytes of each of its path, its host and its
    /// lines.
    #[inline]
    pub(super) fn add(&mut self, exchange: &Exchange<'_>, most: usize) -> Place {
        let most = most.min(usize::from(u16::MAX)).min(CHUNK / 4);
        let Authority { host, port } =
            exchange.authority.unwrap_or(Authority { host: "", port: None });
        let (path, host) = (shortened(exchange.path, most), shortened(host, most));
        let lines = exchange.lines.bytes();
        let seen = lines.get(..most).unwrap_or(lines);
        let len = path.len() + host.len() + seen.len();
        if self.chunks.back().is_none_or(|chunk| chunk.len() + len > chunk.capacity()) {
            self.begin();
        }
        let number = self.first.wrapping_add(u32::try_from(self.chunks.len()).unwrap_or(0));
        let Some(chunk) = self.chunks.back_mut() else { return Place::default() };
        let at = chunk.len();
        chunk.extend_from_slice(path.as_bytes());
        chunk.extend_from_slice(host.as_bytes());
        chunk.extend_from_slice(seen);
        let short = |text: usize| u16::try_from(text).unwrap_or(u16::MAX);
        Place {
            chunk: number.wrapping_sub(1),
            at: u32::try_from(at).unwrap_or(u32::MAX),
            path: short(path.len()),
            host: short(host.len()),
            lines: short(seen.len()),
            port,
            named: exchange.authority.is_some(),
            cut: exchange.lines.is_cut() || seen.len() < lines.len(),
        }
    }

    #[cold]
    fn begin(&mut self) {
        let mut chunk = std::mem::take(&mut self.spare);
        chunk.clear();
        chunk.reserve_exact(CHUNK);
        self.chunks.push_back(chunk);
    }

    /// The place of a head that there is not.
    pub(super) fn none(&self) -> Place {
        let last = u32::try_from(self.chunks.len()).unwrap_or(0).saturating_sub(1);
        Place { chunk: self.first.wrapping_add(last), ..Place::default() }
    }

    /// What was kept; nothing of what has been freed.
    pub(super) fn get(&self, place: &Place) -> Head<'_> {
        let chunk = self.chunks.get(place.chunk.wrapping_sub(self.first) as usize);
        let bytes = chunk.and_then(|chunk| chunk.get(place.at as usize..)).unwrap_or_default();
        let mut rest = bytes;
        let mut piece = |len: u16| {
            let (piece, more) = rest.split_at_checked(usize::from(len)).unwrap_or_default();
            rest = more;
            piece
        };
        let [path, host, lines] = [place.path, place.host, place.lines].map(&mut piece);
        let text = |bytes| str::from_utf8(bytes).unwrap_or_default();
        Head {
            path: text(path),
            host: place.named.then(|| (text(host), place.port)),
            lines: Lines::new(lines, place.cut),
        }
    }

    /// All that came before `place` is freed; all there is, without one.
    pub(super) fn free(&mut self, before: Option<&Place>) {
        let all = self.chunks.len();
        let held = before.map_or(all, |place| place.chunk.wrapping_sub(self.first) as usize);
        for chunk in self.chunks.drain(..if held > all { 0 } else { held }) {
            self.first = self.first.wrapping_add(1);
            self.spare = chunk;
        }
    }
}

impl Place {
    /// Bytes of memory it stands for.
    pub(super) fn weight(&self) -> usize {
        usize::from(self.path) + usize::from(self.host) + usize::from(self.lines)
    }

    /// The head was not seen whole.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }
}

/// The first bytes of a text, not ending inside a character.
fn shortened(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::tests::{exchange, served};

    #[test]
    fn heads_are_what_they_were_until_they_are_freed() {
        let mut heads = Heads::default();
        let paths = |n: usize| format!("/{n}/{}", "x".repeat(n * 7 % 900));
        let places: Vec<Place> = (0..1000)
            .map(|n| heads.add(&exchange(&served(&paths(n), 200, (0, 1))), 4096))
            .collect();
        assert!(heads.chunks.len() > 4);
        let check = |heads: &Heads, n: usize| {
            let ask = served(&paths(n), 200, (0, 1));
            let head = heads.get(&places[n]);
            let expect = exchange(&ask);
            assert_eq!((head.path, head.lines), (expect.path, expect.lines));
            assert_eq!(head.host, Some(("shop.test", Some(8080))));
        };
        (0..1000).for_each(|n| check(&heads, n));
        heads.free(Some(&places[500]));
        (500..1000).for_each(|n| check(&heads, n));
        assert_eq!(heads.get(&places[0]).path, "");
        heads.free(None);
        assert_eq!(heads.get(&places[999]).path, "");
        let again = heads.add(&exchange(&served("/again", 200, (0, 1))), 4);
        assert_eq!((heads.get(&again).path, heads.get(&again).lines.is_cut()), ("/aga", true));
    }
}
