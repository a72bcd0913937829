"""A path between two network namespaces that does something to segments with the option that carries a trace: two
TUN devices and this program between them.

options.py NAMESPACE NAMESPACE pass|strip|drop|nat SEEN

`nat` leaves the option alone and gives the client another port. How many ids came by is written to SEEN."""
import ctypes, fcntl, os, select, struct, sys

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 1, 0x1000, 0x40000000
OPTION, TRANSLATED = b"\xfe\x1c\x57\xe7", 0x0100
libc = ctypes.CDLL(None, use_errno=True)


def tun(space):
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    other = os.open("/run/netns/" + space, os.O_RDONLY)
    assert libc.setns(other, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"path", IFF_TUN | IFF_NO_PI))
    assert libc.setns(own, CLONE_NEWNET) == 0
    os.close(own)
    os.close(other)
    return fd


def summed(packet, head):
    packet[head + 16 : head + 18] = b"\0\0"
    segment = bytes(packet[head:])
    data = bytes(packet[12:20]) + struct.pack(">HH", 6, len(segment)) + segment
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    packet[head + 16 : head + 18] = struct.pack(">H", ~total & 0xFFFF)


def treated(packet, mode, outward, seen):
    if packet[0] >> 4 != 4 or packet[9] != 6:
        return packet
    head = (packet[0] & 15) * 4
    end = head + (packet[head + 12] >> 4) * 4
    at = packet.find(OPTION, head + 20, end)
    if at >= 0:
        # A segment may be cut into several, each with the same ids.
        seen.add(bytes(packet[at : at + 28]))
        if mode == "drop":
            return None
        if mode == "strip":
            packet[at : at + 28] = b"\1" * 28
            summed(packet, head)
    if mode == "nat":
        place = head if outward else head + 2
        port = struct.unpack_from(">H", packet, place)[0]
        struct.pack_into(">H", packet, place, port ^ TRANSLATED)
        summed(packet, head)
    return packet


near, far = (tun(space) for space in sys.argv[1:3])
mode, seen = sys.argv[3], set()
poll = select.epoll()
for end in (near, far):
    poll.register(end, select.EPOLLIN)
while True:
    for end, _ in poll.poll():
        before = len(seen)
        packet = treated(bytearray(os.read(end, 65536)), mode, end == near, seen)
        if len(seen) != before:
            with open(sys.argv[4], "w") as file:
                file.write(str(len(seen)))
        if packet is not None:
            try:
                os.write(far if end == near else near, packet)
            except OSError:
                pass  # the device is down
