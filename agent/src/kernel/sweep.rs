//! Reading the state of all sockets through an iterator over a map's elements.
//!
//! aya 0.14 attaches iterators without naming a map, so the link is made here by bpf(2) itself: the
//! one place of the agent with unsafe code.
#![allow(unsafe_code, reason = "bpf(2) has no safe wrapper for iterators over a map")]

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

use aya::{Ebpf, maps::Map, programs::Iter};

const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_ITER_CREATE: libc::c_long = 33;
const BPF_TRACE_ITER: u32 = 28;
/// Bytes of `union bpf_iter_link_info`.
const INFO: u32 = 16;

/// A link to an iterator; reading a sweep makes a fresh run of it.
#[derive(Debug)]
pub(crate) struct Sweep {
    link: OwnedFd,
    buffer: Vec<u64>,
}

#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    info: u64,
    info_len: u32,
    reserved: u32,
}

#[repr(C)]
struct IterCreate {
    link: u32,
    flags: u32,
}

impl Sweep {
    /// Links the loaded `program` to what is no map's: tasks, open files.
    pub(crate) fn attach_plain(bpf: &Ebpf, program: &str) -> io::Result<Self> {
        let attr = LinkCreate {
            program: descriptor(bpf, program)?,
            target: 0,
            attach_type: BPF_TRACE_ITER,
            flags: 0,
            info: 0,
            info_len: 0,
            reserved: 0,
        };
        Ok(Self { link: bpf_call(BPF_LINK_CREATE, &attr)?, buffer: Vec::new() })
    }

    /// Links the loaded `program` to the elements of `map`.
    pub(crate) fn attach(bpf: &Ebpf, program: &str, map: &str) -> io::Result<Self> {
        let program = descriptor(bpf, program)?;
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let map = match bpf.map(map).ok_or_else(missing)? {
            Map::SkStorage(data) | Map::HashMap(data) | Map::Unsupported(data) => {
                data.fd().as_fd().as_raw_fd()
            }
            _ => return Err(missing()),
        };
        // `union bpf_iter_link_info`: the map's descriptor comes first.
        let info: [u32; INFO as usize / 4] = [map.cast_unsigned(), 0, 0, 0];
        let attr = LinkCreate {
            program,
            target: 0,
            attach_type: BPF_TRACE_ITER,
            flags: 0,
            info: info.as_ptr() as u64,
            info_len: INFO,
            reserved: 0,
        };
        Ok(Self { link: bpf_call(BPF_LINK_CREATE, &attr)?, buffer: Vec::new() })
    }

    /// Whether a run can be had, which is then left.
    pub(crate) fn answers(&self) -> io::Result<()> {
        // The first elements.
        let mut few = [0; 1024];
        self.begin()?.read(&mut few).map(drop)
    }

    fn begin(&self) -> io::Result<File> {
        let attr = IterCreate { link: self.link.as_raw_fd().cast_unsigned(), flags: 0 };
        bpf_call(BPF_ITER_CREATE, &attr).map(File::from)
    }

    /// One sweep: every row as the kernel side wrote it.
    pub(crate) fn rows(&mut self, mut each: impl FnMut(&mut [u8])) -> io::Result<()> {
        let mut file = self.begin()?;
        let mut bytes = Vec::new();
        let mut chunk = vec![0; 64 * 1024];
        loop {
            match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => bytes.extend_from_slice(chunk.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
            self.take(&mut bytes, &mut each);
        }
        Ok(())
    }

    /// Hands over the whole rows in `bytes`, keeps the rest.
    fn take(&mut self, bytes: &mut Vec<u8>, each: &mut impl FnMut(&mut [u8])) {
        let mut at = 0;
        while let Some(len) = bytes.get(at..at + 8).and_then(|b| b.try_into().ok()) {
            let len = usize::try_from(u64::from_ne_bytes(len)).unwrap_or(usize::MAX).min(4096);
            let Some(row) = bytes.get(at + 8..at + 8 + len) else { break };
            // Records are decoded in place, and must stand at a multiple of eight.
            self.buffer.clear();
            self.buffer.resize(len.div_ceil(8), 0);
            let aligned = zerocopy::IntoBytes::as_mut_bytes(self.buffer.as_mut_slice());
            if let Some(to) = aligned.get_mut(..len) {
                to.copy_from_slice(row);
                each(to);
            }
            at += 8 + len;
        }
        bytes.drain(..at);
    }
}

fn descriptor(bpf: &Ebpf, program: &str) -> io::Result<u32> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let program: &Iter =
        bpf.program(program).ok_or_else(missing)?.try_into().map_err(io::Error::other)?;
    Ok(program.fd().map_err(io::Error::other)?.as_fd().as_raw_fd().cast_unsigned())
}

fn bpf_call<T>(command: libc::c_long, attr: &T) -> io::Result<OwnedFd> {
    // SAFETY: `attr` is the command's part of `union bpf_attr`, alive for the call; the kernel reads
    // no further than the size given.
    let fd =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
