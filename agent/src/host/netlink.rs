//! The two questions to the kernel that no file answers cheaply: what waits in the queues of the
//! interfaces, and in which state the TCP sockets are.
//!
//! Asked of the network namespace the agent is in: [`ours`] says whether that is the host's. Answers are
//! the kernel's own, and read as if they were anybody's.

use std::os::unix::fs::MetadataExt;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send,
    socket_with,
};

use super::root::{HostRoot, Unread};

/// Bytes of an answer that are taken in one call; the kernel cuts its answers to what fits.
const BUFFER: usize = 64 * 1024;
/// Calls for one question: a hundred megabytes of answers.
const CALLS: usize = 2048;
const HEADER: usize = 16;
const DUMP: u16 = 0x301;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// What tells the network namespace of a process from others that there are now: the number of a file
/// that every namespace has one of. Its link under `/proc/PID/ns` says as much, but only to those who may
/// trace the process.
pub fn space(host: &HostRoot, pid: u32) -> Option<u64> {
    Some(host.path(format!("/proc/{pid}/net/dev")).metadata().ok()?.ino())
}

/// Whether the agent is in the host's network namespace: that of its first process.
pub fn ours(host: &HostRoot) -> bool {
    // Numbers of `/proc` begin here: a directory that only looks like a host has others.
    const FIRST: u64 = 0xf000_0000;
    let own = std::fs::metadata("/proc/self/net/dev").map(|meta| meta.ino()).ok();
    own.is_some_and(|own| own >= FIRST && space(host, 1) == Some(own))
}

/// The queue that stands between an interface and its driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// The interface, by number.
    pub interface: u32,
    /// Packets that wait.
    pub packets: u32,
    /// Bytes that wait.
    pub bytes: u32,
    /// Packets dropped, in 32 bits.
    pub drops: u32,
    /// Packets held back by a rate limit, in 32 bits.
    pub overlimits: u32,
}

/// The root queue of every interface that has one.
pub fn queues(mut each: impl FnMut(Queue)) -> Result<(), Unread> {
    const GETQDISC: u16 = 38;
    const NEWQDISC: u16 = 36;
    ask(None, GETQDISC, &[0; 20], |kind, body| {
        if kind == NEWQDISC
            && let Some(queue) = Queue::parse(body)
        {
            each(queue);
        }
    })
}

impl Queue {
    /// From a `tcmsg` with its attributes.
    pub fn parse(body: &[u8]) -> Option<Self> {
        const ROOT: u32 = 0xffff_ffff;
        const KIND: u16 = 1;
        const STATS: u16 = 7;
        const QUEUE: u16 = 3;
        let interface = word(body, 4)?;
        // The root's numbers are those of all below it; what has no queue has none.
        if word(body, 12)? != ROOT {
            return None;
        }
        let attributes = body.get(20..)?;
        if attribute(attributes, KIND).is_some_and(|kind| kind.starts_with(b"noqueue")) {
            return None;
        }
        let queue = attribute(attribute(attributes, STATS)?, QUEUE)?;
        Some(Self {
            interface,
            packets: word(queue, 0)?,
            bytes: word(queue, 4)?,
            drops: word(queue, 8)?,
            overlimits: word(queue, 16)?,
        })
    }
}

/// A TCP socket: its state as the kernel numbers it, and its own port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Socket {
    /// `TCP_ESTABLISHED` is 1.
    pub state: u8,
    /// Its port here.
    pub port: u16,
}

/// The TCP sockets in these states (a bit each), of both versions of the protocol.
pub fn sockets(states: u32, mut each: impl FnMut(Socket)) -> Result<(), Unread> {
    const BY_FAMILY: u16 = 20;
    const TCP: u8 = 6;
    // AF_INET and AF_INET6; a kernel without the second answers nothing.
    for family in [2u8, 10] {
        let mut request = [0; 56];
        if let Some(head) = request.first_chunk_mut::<8>() {
            let [a, b, c, d] = states.to_ne_bytes();
            *head = [family, TCP, 0, 0, a, b, c, d];
        }
        ask(Some(netlink::SOCK_DIAG), BY_FAMILY, &request, |kind, body| {
            if kind == BY_FAMILY
                && let Some(socket) = Socket::parse(body)
            {
                each(socket);
            }
        })?;
    }
    Ok(())
}

impl Socket {
    /// From an `inet_diag_msg`.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let port = u16::from_be_bytes(*body.get(4..)?.first_chunk()?);
        Some(Self { state: *body.get(1)?, port })
    }
}

/// Sends one question and hands on every message of the answer.
fn ask(
    protocol: Option<Protocol>,
    kind: u16,
    body: &[u8],
    mut each: impl FnMut(u16, &[u8]),
) -> Result<(), Unread> {
    let failed = |_| Unread::Failed;
    let socket =
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)
            .map_err(|errno| match errno {
                Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT => Unread::Vanished,
                _ => Unread::Failed,
            })?;
    // The kernel answers while it is asked; a second is for a kernel that does not.
    let patience = Some(std::time::Duration::from_secs(1));
    set_socket_timeout(&socket, Timeout::Recv, patience).map_err(failed)?;
    let length = u32::try_from(HEADER + body.len()).map_err(|_| Unread::Failed)?;
    let mut request = Vec::with_capacity(HEADER + body.len());
    request.extend_from_slice(&length.to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&DUMP.to_ne_bytes());
    request.extend_from_slice(&[0; 8]);
    request.extend_from_slice(body);
    send(&socket, &request, SendFlags::empty()).map_err(failed)?;
    let mut buffer = vec![0; BUFFER];
    for _ in 0..CALLS {
        let (count, _) =
            recv(&socket, buffer.as_mut_slice(), RecvFlags::empty()).map_err(failed)?;
        let Some(answer) = buffer.get(..count).filter(|answer| !answer.is_empty()) else { break };
        if let Some(end) = messages(answer, &mut each) {
            return end;
        }
    }
    Err(Unread::Failed)
}

/// Hands on the messages of one answer; gives how the whole ended, if it did.
pub fn messages(mut answer: &[u8], mut each: impl FnMut(u16, &[u8])) -> Option<Result<(), Unread>> {
    while let (Some(length), Some(kind)) = (word(answer, 0), half(answer, 4)) {
        let length = usize::try_from(length).ok()?;
        let body = answer.get(HEADER..length);
        match (kind, body) {
            (DONE, _) => return Some(Ok(())),
            (ERROR, body) => return Some(Err(refused(body.unwrap_or_default()))),
            (_, None) => return Some(Err(Unread::Malformed)),
            (_, Some(body)) => each(kind, body),
        }
        answer = answer.get(length.checked_next_multiple_of(4)?..).unwrap_or_default();
    }
    None
}

/// What an error says: a kernel without the part that was asked answers that there is none.
fn refused(body: &[u8]) -> Unread {
    match word(body, 0).map(|errno| errno.cast_signed().saturating_neg()) {
        Some(libc::ENOENT | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT) => Unread::Vanished,
        Some(libc::EPERM | libc::EACCES) => Unread::Denied,
        _ => Unread::Failed,
    }
}

/// The content of the first attribute of this kind.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    // The two upper bits say how it is written.
    const KIND: u16 = 0x3fff;
    loop {
        let length = usize::from(half(attributes, 0)?);
        let content = attributes.get(4..length)?;
        if half(attributes, 2)? & KIND == wanted {
            return Some(content);
        }
        attributes = attributes.get(length.checked_next_multiple_of(4)?..)?;
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut out = u32::try_from(HEADER + body.len()).unwrap().to_ne_bytes().to_vec();
        out.extend(kind.to_ne_bytes());
        out.extend([0; 10]);
        out.extend(body);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    fn attribute_of(kind: u16, content: &[u8]) -> Vec<u8> {
        let mut out = u16::try_from(4 + content.len()).unwrap().to_ne_bytes().to_vec();
        out.extend(kind.to_ne_bytes());
        out.extend(content);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    fn qdisc(parent: u32, kind: &[u8]) -> Vec<u8> {
        let mut body = vec![0; 20];
        body[4..8].copy_from_slice(&3u32.to_ne_bytes());
        body[12..16].copy_from_slice(&parent.to_ne_bytes());
        body.extend(attribute_of(1, kind));
        let queue: Vec<u8> = [1u32, 2, 3, 4, 5].iter().flat_map(|n| n.to_ne_bytes()).collect();
        // Written as nested, with one before it that is not looked at.
        let stats: Vec<u8> = [attribute_of(1, &[9; 6]), attribute_of(3, &queue)].concat();
        body.extend(attribute_of(7 | 0x8000, &stats));
        body
    }

    #[test]
    fn a_root_queue_is_read_and_no_other() {
        let check = |body: &[u8], expect: Option<Queue>| assert_eq!(Queue::parse(body), expect);
        let queue = Queue { interface: 3, packets: 1, bytes: 2, drops: 3, overlimits: 5 };
        check(&qdisc(u32::MAX, b"fq_codel\0"), Some(queue));
        check(&qdisc(0x8000_0001, b"fq_codel\0"), None);
        check(&qdisc(u32::MAX, b"noqueue\0"), None);
        let whole = qdisc(u32::MAX, b"mq\0");
        for cut in 0..whole.len() {
            let _ = Queue::parse(&whole[..cut]);
            let mut broken = whole.clone();
            broken[cut] = 0xff;
            let _ = Queue::parse(&broken);
        }
    }

    #[test]
    fn an_answer_ends_by_its_own_word() {
        let check = |answer: &[u8], kinds: &[u16], expect: Option<Result<(), Unread>>| {
            let mut got = Vec::new();
            assert_eq!(messages(answer, |kind, _| got.push(kind)), expect);
            assert_eq!(got, kinds);
        };
        let (one, done, error) =
            (message(36, &[1, 2, 3]), message(DONE, &[0; 4]), message(ERROR, &[0; 4]));
        check(&[one.clone(), one.clone(), done].concat(), &[36, 36], Some(Ok(())));
        check(&[one.clone(), error].concat(), &[36], Some(Err(Unread::Failed)));
        let none = message(ERROR, &(-libc::ENOENT).to_ne_bytes());
        check(&none, &[], Some(Err(Unread::Vanished)));
        check(&one, &[36], None);
        check(&[], &[], None);
        // Lengths that go nowhere, or beyond the end.
        check(&[0; 32], &[], Some(Err(Unread::Malformed)));
        check(&one[..18], &[], Some(Err(Unread::Malformed)));
        check(&[0xff; 32], &[], Some(Err(Unread::Malformed)));
    }

    #[test]
    fn the_kernel_answers() {
        let mut found = 0;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        sockets(1 << 10, |socket| {
            assert_eq!(socket.state, 10);
            found += u32::from(socket.port == port);
        })
        .unwrap();
        assert_eq!(found, 1);
        assert_eq!(queues(|queue| assert!(queue.interface > 0)), Ok(()));
        assert!(!ours(&HostRoot::new("/nowhere")));
        let own = space(&HostRoot::new("/"), std::process::id());
        assert_eq!(ours(&HostRoot::new("/")), own == space(&HostRoot::new("/"), 1));
    }
}
