"""A path between two network namespaces that delays every packet and loses some: two TUN devices and
this program between them, for kernels without netem.

relay.py NAMESPACE NAMESPACE DELAY_MS LOSS_PERCENT"""
import collections, ctypes, fcntl, os, random, select, struct, sys, time

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 1, 0x1000, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def tun(space):
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    other = os.open("/run/netns/" + space, os.O_RDONLY)
    assert libc.setns(other, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"path", IFF_TUN | IFF_NO_PI))
    assert libc.setns(own, CLONE_NEWNET) == 0
    os.close(own)
    os.close(other)
    return fd


ends = [tun(space) for space in sys.argv[1:3]]
delay, loss = float(sys.argv[3]) / 1000, float(sys.argv[4]) / 100
dice = random.Random(5)
way = {ends[0]: (ends[1], collections.deque()), ends[1]: (ends[0], collections.deque())}
poll = select.epoll()
for end in ends:
    poll.register(end, select.EPOLLIN)
print("ready", flush=True)
while True:
    due = min((queue[0][0] for _, queue in way.values() if queue), default=None)
    wait = -1 if due is None else max(0, due - time.monotonic())
    for end, _ in poll.poll(wait):
        while True:
            try:
                packet = os.read(end, 65536)
            except BlockingIOError:
                break
            if dice.random() >= loss:
                way[end][1].append((time.monotonic() + delay, packet))
    now = time.monotonic()
    for to, queue in way.values():
        while queue and queue[0][0] <= now:
            try:
                os.write(to, queue.popleft()[1])
            except OSError:
                pass  # the device is down
