//! `sendmsg`, `sendmmsg`, `recvmsg`: the calls that the standard library has no name for.
#![allow(unsafe_code, reason = "three system calls on arrays that outlive them")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

fn piece(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

fn header(pieces: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all zero is an empty header.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = pieces.as_mut_ptr();
    header.msg_iovlen = pieces.len();
    header
}

/// All pieces in one message; how many bytes of it were taken.
pub(crate) fn send(fd: BorrowedFd<'_>, pieces: &[String]) -> io::Result<usize> {
    let mut pieces: Vec<_> = pieces.iter().map(|text| piece(text.as_bytes())).collect();
    let header = header(&mut pieces);
    // SAFETY: the header and its pieces are alive, and only read.
    let moved = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, 0) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// A message each; how many bytes of them were taken.
pub(crate) fn send_many(fd: BorrowedFd<'_>, texts: &[String]) -> io::Result<usize> {
    let mut pieces: Vec<_> = texts.iter().map(|text| [piece(text.as_bytes())]).collect();
    let mut messages: Vec<_> = pieces
        .iter_mut()
        .map(|piece| libc::mmsghdr { msg_hdr: header(piece), msg_len: 0 })
        .collect();
    let many = u32::try_from(messages.len()).map_err(io::Error::other)?;
    // SAFETY: the headers and their pieces are alive; `msg_len` is written.
    let sent = unsafe { libc::sendmmsg(fd.as_raw_fd(), messages.as_mut_ptr(), many, 0) };
    let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
    Ok(messages.iter().take(sent).map(|message| message.msg_len as usize).sum())
}

/// One message into the two halves of `room`.
pub(crate) fn receive(fd: BorrowedFd<'_>, room: &mut [u8]) -> io::Result<usize> {
    let (first, second) = room.split_at_mut(room.len() / 2);
    let mut pieces = [first, second]
        .map(|half| libc::iovec { iov_base: half.as_mut_ptr().cast(), iov_len: half.len() });
    let mut header = header(&mut pieces);
    // SAFETY: both halves are borrowed for writing as long as the call lasts.
    let moved = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, 0) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}
