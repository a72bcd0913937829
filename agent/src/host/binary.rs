//! What a native executable was made by, from the names of its ELF sections.
//!
//! A few bounded reads of the file; its code is never looked at.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::root::{HostRoot, Unread};
use crate::event::Pid;

/// Who made an executable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Toolchain {
    /// It does not say, or was not asked.
    #[default]
    Unknown = 0,
    /// Go since 1.18, which keeps the goroutine that runs in a register: its build information says so itself.
    Go = 1,
    /// Rust: its compiler has signed the comment section.
    Rust = 2,
    /// Go before that.
    OldGo = 3,
}

impl Toolchain {
    /// The toolchain a byte stands for.
    pub const fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Unknown,
            1 => Self::Go,
            2 => Self::Rust,
            3 => Self::OldGo,
            _ => return None,
        })
    }

    /// Its language as `telemetry.sdk.language` has it.
    pub const fn language(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Go | Self::OldGo => Some("go"),
            Self::Rust => Some("rust"),
        }
    }

    /// That of a process's executable.
    pub fn of_process(root: &HostRoot, pid: Pid) -> Result<Self, Unread> {
        let path = root.path(format!("/proc/{}/exe", pid.0));
        let file = File::open(path).map_err(|_| Unread::Denied)?;
        // A fixture or a hostile file system may have anything behind the link.
        if !file.metadata().is_ok_and(|meta| meta.is_file()) {
            return Ok(Self::Unknown);
        }
        Ok(Self::read(|offset, buffer| file.read_exact_at(buffer, offset).ok()).unwrap_or_default())
    }

    /// From a 64-bit little-endian ELF file: reads its header, section headers and their names.
    fn read(at: impl Fn(u64, &mut [u8]) -> Option<()>) -> Option<Self> {
        let mut header = [0; 64];
        at(0, &mut header)?;
        if !header.starts_with(b"\x7fELF\x02\x01") {
            return None;
        }
        let (offset, size) = (long(&header, 40)?, short(&header, 58)?);
        let (count, names) = (short(&header, 60)?, short(&header, 62)?);
        if size != 64 || count > 512 {
            return None;
        }
        let mut sections = vec![0; usize::from(count) * 64];
        at(offset, &mut sections)?;
        let sections: Vec<&[u8]> = sections.chunks_exact(64).collect();
        let content = |section: &[u8], most: u64| {
            let (from, size) = (long(section, 24)?, long(section, 32)?);
            let mut content = vec![0; usize::try_from(size.min(most)).ok()?];
            at(from, &mut content)?;
            Some(content)
        };
        let texts = content(sections.get(usize::from(names))?, 64 * 1024)?;
        let mut found = Self::Unknown;
        for section in &sections {
            let name = usize::try_from(word(section, 0)?).ok()?;
            let name = texts.get(name..).and_then(|text| text.split(|b| *b == 0).next());
            match name {
                Some(b".go.buildinfo") => {
                    let start = content(section, 16)?;
                    let inline = start.get(15).is_some_and(|flags| flags & 2 != 0);
                    return Some(if inline { Self::Go } else { Self::OldGo });
                }
                Some(b".note.go.buildid") => found = Self::OldGo,
                Some(b".comment") => {
                    let comment = content(section, 4096)?;
                    if comment.windows(6).any(|text| text == b"rustc ") {
                        found = Self::Rust;
                    }
                }
                _ => {}
            }
        }
        Some(found)
    }
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &[u8]) -> Option<Toolchain> {
        Toolchain::read(|offset, buffer| {
            let from = usize::try_from(offset).ok()?;
            buffer.copy_from_slice(file.get(from..)?.get(..buffer.len())?);
            Some(())
        })
    }

    /// Sections by name and content, the names' own last.
    fn elf(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut names = Vec::new();
        let mut body = Vec::new();
        let mut headers = Vec::new();
        let mut section = |name: u32, from: usize, size: usize| {
            let mut header = vec![0; 64];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[24..32].copy_from_slice(&(from as u64).to_le_bytes());
            header[32..40].copy_from_slice(&(size as u64).to_le_bytes());
            headers.extend(header);
        };
        for (name, content) in sections {
            section(u32::try_from(names.len()).unwrap(), 64 + body.len(), content.len());
            names.extend_from_slice(name.as_bytes());
            names.push(0);
            body.extend_from_slice(content);
        }
        section(0, 64 + body.len(), names.len());
        body.extend_from_slice(&names);
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[40..48].copy_from_slice(&(64 + body.len() as u64).to_le_bytes());
        file[58] = 64;
        file[60] = u8::try_from(sections.len() + 1).unwrap();
        file[62] = u8::try_from(sections.len()).unwrap();
        file.extend(body);
        file.extend(headers);
        file
    }

    #[test]
    fn sections_tell_the_toolchain() {
        let check = |sections: &[(&str, &[u8])], expect: Toolchain| {
            let file = elf(sections);
            assert_eq!(read(&file), Some(expect));
            for cut in 0..file.len() {
                let _ = read(&file[..cut]);
                let mut broken = file.clone();
                broken[cut] = 0xff;
                let _ = read(&broken);
            }
        };
        let info: &[u8] = b"\xff Go buildinf:\x08\x02 and more";
        check(
            &[(".text", b"x"), (".note.go.buildid", b""), (".go.buildinfo", info)],
            Toolchain::Go,
        );
        check(&[(".go.buildinfo", b"\xff Go buildinf:\x08\x00")], Toolchain::OldGo);
        check(&[(".note.go.buildid", b"")], Toolchain::OldGo);
        check(&[(".comment", b"GCC: 12\0rustc version 1.95.0\0")], Toolchain::Rust);
        check(&[(".comment", b"GCC: 12\0")], Toolchain::Unknown);
        check(&[], Toolchain::Unknown);
        assert_eq!(read(b"#!/bin/sh"), None);
    }

    #[test]
    fn these_tests_are_made_by_rust() {
        let own = Toolchain::of_process(&HostRoot::new("/"), Pid(std::process::id()));
        assert_eq!(own, Ok(Toolchain::Rust));
    }
}
