"""Answers HTTP on one thread, each request with a wait of its own making, and tells what the kernel's
own accounts say of it: `why.py PORT`. Paths: /burn /sleep /lock /disk /upstream /later /thread /pair,
with `ms=` or what else they need in the query."""
import json, mmap, os, socket, sys, threading, time
from urllib.parse import parse_qs, urlsplit


def account():
    cpu, delay, _ = open("/proc/thread-self/schedstat").read().split()
    return {"wall": time.monotonic_ns(), "cpu": int(cpu), "delay": int(delay)}


def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def hold(seconds):
    lock, held = threading.Lock(), threading.Event()

    def holder():
        with lock:
            held.set()
            time.sleep(seconds)

    threading.Thread(target=holder).start()
    held.wait()
    with lock:
        pass


def read(path, count):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    room = mmap.mmap(-1, 4096)
    size = os.lseek(fd, 0, os.SEEK_END) // 4096
    for i in range(count):
        os.preadv(fd, [room], (i * 7919 % size) * 4096)
    os.close(fd)


def ask(port):
    with socket.create_connection(("127.0.0.1", port)) as upstream:
        upstream.sendall(b"GET /sleep?ms=200 HTTP/1.1\r\nHost: up\r\n\r\n")
        upstream.recv(65536)


def answer(connection, before):
    told = {name: (value - before[name]) / 1e9 for name, value in account().items()}
    body = json.dumps(told).encode()
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


waiting = []


def serve(connection):
    while True:
        head = connection.recv(65536)
        before = account()
        if not head:
            return
        target = urlsplit(head.split(b" ")[1].decode())
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        seconds = int(query.get("ms", "0")) / 1000
        if target.path == "/burn":
            burn(seconds)
        elif target.path == "/sleep":
            time.sleep(seconds)
        elif target.path == "/lock":
            hold(seconds)
        elif target.path == "/disk":
            read(query["path"], int(query["count"]))
        elif target.path == "/upstream":
            ask(int(query["port"]))
        elif target.path == "/thread":
            other = threading.Thread(target=answer, args=(connection, before))
            other.start()
            other.join()
            continue
        elif target.path == "/pair":
            # Answered when the next one has come: the thread is at both of them.
            waiting.append((connection, before))
            if len(waiting) == 2:
                while waiting:
                    answer(*waiting.pop(0))
            return
        answer(connection, before)
        if target.path == "/later":
            time.sleep(seconds)


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
while True:
    serve(listener.accept()[0])
