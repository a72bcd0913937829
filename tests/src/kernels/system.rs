//! The few system calls PID 1 of a guest needs and the standard library does not have.

#![expect(
    unsafe_code,
    reason = "mount, reboot, kill and an ioctl have no safe form in the standard library"
)]

use std::ffi::CString;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

/// Mounts a kernel file system of this type on `target`, which exists.
pub fn mount(kind: &str, target: &str) -> io::Result<()> {
    let (kind, target) = (CString::new(kind)?, CString::new(target)?);
    // SAFETY: both are strings that end in 0 and outlive the call; the kernel takes no data for these types.
    let result =
        unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) };
    outcome(result)
}

/// Brings the loopback interface up.
pub fn bring_loopback_up() -> io::Result<()> {
    // Interface requests go through any socket, whatever its family.
    let socket = UnixDatagram::unbound()?;
    // SAFETY: all zeroes is a valid `ifreq`: a name of no characters and an empty union.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open, and the request is an `ifreq` the kernel reads name and flags of.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    outcome(result)
}

/// Asks a child to end.
pub fn terminate(pid: u32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: a plain system call without pointers; the caller has not yet waited for this child, so the id is its own.
    outcome(unsafe { libc::kill(pid, libc::SIGTERM) })
}

/// Switches the machine off. Comes back only when the kernel refuses, to whom it is not PID 1.
pub fn power_off() -> io::Result<()> {
    // SAFETY: plain system calls without pointers.
    outcome(unsafe { libc::reboot(libc::RB_POWER_OFF) })
}

fn outcome(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
