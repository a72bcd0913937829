"""One link of a chain of services: what it sends for a request is named after it, `/KIND/ID` -> `/KIND/ID.N`.

chain.py MODE UPSTREAM BACKGROUND PORT, MODE one of threads, prefork, asyncio. BACKGROUND not 0: it
makes calls of its own all the time, named `/BACKGROUND/bN`. UPSTREAM 0: it only answers."""

import asyncio
import http.client
import itertools
import os
import random
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

MODE, UPSTREAM, BACKGROUND, PORT = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])


def plan(kind, name):
    """What is sent for a request: groups one after the other, those of a group at once."""
    to = lambda port, kind, n: (port, "/%s/%s.%d" % (kind, name, n))
    if UPSTREAM == 0:
        return []
    if kind == "s":
        return [[to(PORT, "s", 1)]] if name.count(".") < 3 else []
    return {
        "c": [[to(UPSTREAM, "c", 1)]],
        "d": [[to(UPSTREAM, "l", 1)]],
        "q": [[to(UPSTREAM, "l", 1)], [to(UPSTREAM, "l", 2)]],
        "p": [[to(UPSTREAM, "l", n) for n in (1, 2, 3)]],
        "r": [[to(UPSTREAM, "f", 1)], [to(UPSTREAM, "l", 2)]],
    }.get(kind, [])


def pause(kind):
    return random.uniform(0.001, 0.02) if kind == "d" else random.uniform(0, 0.003) if kind == "l" else 0


# Threads and processes: blocking calls.
local = threading.local()


def ask(port, path):
    connection = getattr(local, "to", {}).get(port)
    if connection is None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        local.to = {**getattr(local, "to", {}), port: connection}
    connection.request("GET", path)
    connection.getresponse().read()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)

    def do_GET(self):
        _, kind, name = self.path.split("/")
        time.sleep(pause(kind))
        for group in plan(kind, name):
            if len(group) == 1:
                ask(*group[0])
                continue
            asking = [threading.Thread(target=ask, args=one) for one in group]
            for one in asking:
                one.start()
            for one in asking:
                one.join()
        self.send_response(503 if kind == "f" else 200)
        self.send_header("Content-Length", "2")
        if MODE == "prefork":
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def background():
    for n in itertools.count():
        time.sleep(random.uniform(0.002, 0.008))
        ask(UPSTREAM, "/%s/b%d" % (BACKGROUND, n))


# An event loop.
idle = {}


async def fetch(port, path):
    free = idle.setdefault(port, [])
    reader, writer = free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path.encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    if b"connection: close" in head.lower():
        writer.close()
    else:
        free.append((reader, writer))


async def answer(reader, writer):
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            break
        _, kind, name = head.split(b" ")[1].decode().split("/")
        wait = pause(kind)
        if wait:
            await asyncio.sleep(wait)
        for group in plan(kind, name):
            if len(group) == 1:
                await fetch(*group[0])
            else:
                await asyncio.gather(*(fetch(*one) for one in group))
        status = b"503" if kind == "f" else b"200"
        writer.write(b"HTTP/1.1 %s Said\r\nContent-Length: 2\r\n\r\nok" % status)
    writer.close()


async def on_its_own():
    for n in itertools.count():
        await asyncio.sleep(random.uniform(0.002, 0.008))
        await fetch(UPSTREAM, "/%s/b%d" % (BACKGROUND, n))


async def loop():
    own = asyncio.create_task(on_its_own()) if BACKGROUND != "0" else None
    server = await asyncio.start_server(answer, "127.0.0.1", PORT, backlog=256)
    await server.serve_forever()
    del own


HTTPServer.request_queue_size = 256
if MODE == "asyncio":
    asyncio.run(loop())
elif MODE == "prefork":
    server = HTTPServer(("127.0.0.1", PORT), Handler)
    workers = [os.fork() for _ in range(1)]
    while all(workers) and len(workers) < 8:
        workers.append(os.fork())
    if BACKGROUND != "0" and not all(workers):
        threading.Thread(target=background, daemon=True).start()
    server.serve_forever()
else:
    if BACKGROUND != "0":
        threading.Thread(target=background, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
