//! What an error of the socket means for the exchange it cut short.

use crate::protocol::Fault;

/// The fault an errno stands for. 0 is an end in order.
pub(super) fn fault(errno: u16) -> Fault {
    match i32::from(errno) {
        0 => Fault::Closed,
        libc::ECONNRESET | libc::EPIPE => Fault::Reset,
        libc::ETIMEDOUT => Fault::Timeout,
        libc::ECONNREFUSED => Fault::Refused,
        libc::EHOSTUNREACH | libc::ENETUNREACH => Fault::Unreachable,
        _ => Fault::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_socket_have_their_names() {
        let check = |errno, expect| assert_eq!(fault(errno), expect, "{errno}");
        check(0, Fault::Closed);
        check(104, Fault::Reset);
        check(32, Fault::Reset);
        check(110, Fault::Timeout);
        check(111, Fault::Refused);
        check(113, Fault::Unreachable);
        check(101, Fault::Unreachable);
        check(103, Fault::Other);
    }
}
