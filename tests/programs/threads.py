"""Threads that wait for one thing each: says on standard output how long, in nanoseconds, then stays."""

import ctypes
import mmap
import os
import select
import socket
import sys
import threading
import time

now = time.monotonic_ns


def waited(times, wait):
    """Nanoseconds in so many calls of `wait`."""
    total = 0
    for _ in range(times):
        begun = now()
        wait()
        total += now() - begun
    return total


def every(seconds, times, act):
    """Another process that acts so many times, so often."""
    child = os.fork()
    if child == 0:
        for _ in range(times):
            time.sleep(seconds)
            act()
        os._exit(0)


def sleep():
    return waited(20, lambda: time.sleep(0.05))


def lock():
    # A word that is shared with another process: no thread of our own runs meanwhile.
    word = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_uint32.from_buffer(word))
    call = ctypes.CDLL(None, use_errno=True).syscall
    every(0.05, 20, lambda: call(202, ctypes.c_void_p(address), 1, 1, None, None, 0))
    return waited(20, lambda: call(202, ctypes.c_void_p(address), 0, 0, None, None, 0))


def pipe():
    ours, theirs = os.pipe()
    every(0.05, 20, lambda: os.write(theirs, b"x"))
    return waited(20, lambda: os.read(ours, 1))


def read_socket():
    ours, theirs = socket.socketpair()
    every(0.05, 20, lambda: theirs.send(b"x"))
    return waited(20, lambda: os.read(ours.fileno(), 1))


def poll():
    ours, theirs = socket.socketpair()
    every(0.05, 20, lambda: theirs.send(b"x"))
    asks = select.epoll()
    asks.register(ours, select.EPOLLIN)

    def one():
        asks.poll()
        ours.recv(1)

    return waited(20, one)


def disk():
    path = sys.argv[2]
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    size = os.fstat(file).st_size
    buffer = mmap.mmap(-1, 1 << 20)
    return waited(size >> 20, lambda: os.readv(file, [buffer]))


def burn():
    end = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        pass
    return 0


def brief():
    for _ in range(int(sys.argv[2])):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {"OTEL_SERVICE_NAME": "brief"}), 0)
    return 0


def threads():
    def one():
        for _ in range(5):
            time.sleep(0.001)

    for _ in range(50):
        thread = threading.Thread(target=one)
        thread.start()
        thread.join()
    return 0


WAITS = {
    "sleep": sleep,
    "lock": lock,
    "pipe": pipe,
    "socket": read_socket,
    "poll": poll,
    "disk": disk,
    "burn": burn,
    "brief": brief,
    "threads": threads,
}
print(WAITS[sys.argv[1]](), flush=True)
sys.stdin.read()
