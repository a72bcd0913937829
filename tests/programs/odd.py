"""Servers that use sockets as few do: odd.py MODE [ARGUMENT ..] PORT. Every one answers 200 to every request.

    plain HOST      one thread a connection, listening at HOST
    prefork N       the parent listens, N children accept
    pass PATH       accepts, hands each connection over the Unix socket PATH, and forgets it
    answer PATH     answers what is handed over at PATH (PORT is not used)
    dup             answers the first half on the descriptor, the rest on a duplicate
    peek            looks with MSG_PEEK until the head is whole, then takes it byte by byte, never blocking
    thread          one thread reads, another writes
"""

import os
import queue
import select
import signal
import socket
import sys
import threading

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"


def requests(connection):
    """Each request's head, until the other end is done."""
    got = b""
    while True:
        while b"\r\n\r\n" not in got:
            more = connection.recv(4096)
            if not more:
                return
            got += more
        head, got = got.split(b"\r\n\r\n", 1)
        yield head


def plain(connection):
    with connection:
        for _ in requests(connection):
            connection.sendall(ANSWER)


def dup(connection):
    while more := connection.recv(4096):
        assert more.endswith(b"\r\n\r\n"), "a request in two parts"
        connection.send(ANSWER[:30])
        twin = connection.dup()
        connection.close()
        twin.send(ANSWER[30:])
        connection = twin
    connection.close()


def peek(connection):
    connection.setblocking(False)
    poll = select.epoll()
    poll.register(connection, select.EPOLLIN | select.EPOLLET)
    with connection:
        while True:
            try:
                seen = connection.recv(4096, socket.MSG_PEEK)
            except BlockingIOError:
                poll.poll(1)
                continue
            if not seen:
                return
            if b"\r\n\r\n" not in seen:
                poll.poll(0.001)
                continue
            for _ in range(seen.index(b"\r\n\r\n") + 4):
                connection.recv(1)
            for _ in range(3):
                try:
                    connection.recv(1)
                except BlockingIOError:
                    pass
            connection.sendall(ANSWER)


def thread(connection):
    todo = queue.Queue()

    def write():
        while todo.get():
            connection.sendall(ANSWER)

    writer = threading.Thread(target=write)
    writer.start()
    for _ in requests(connection):
        todo.put(True)
    todo.put(False)
    writer.join()
    connection.close()


def accept(listener, serve):
    while True:
        connection = listener.accept()[0]
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def listen(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind((host, int(sys.argv[-1])))
    listener.listen(128)
    return listener


mode = sys.argv[1]
if mode == "plain":
    accept(listen(sys.argv[2]), plain)
elif mode == "prefork":
    listener = listen()
    for _ in range(int(sys.argv[2])):
        if os.fork() == 0:
            # One connection at a time, so that all of them get some.
            while True:
                plain(listener.accept()[0])
    signal.pause()
elif mode == "pass":
    listener = listen()
    while True:
        connection = listener.accept()[0]
        with socket.socket(socket.AF_UNIX) as way:
            way.connect(sys.argv[2])
            socket.send_fds(way, [b"x"], [connection.fileno()])
        connection.close()
elif mode == "answer":
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[2])
    listener.listen(128)
    while True:
        way = listener.accept()[0]
        _, fds, _, _ = socket.recv_fds(way, 1, 1)
        way.close()
        threading.Thread(target=plain, args=(socket.socket(fileno=fds[0]),), daemon=True).start()
else:
    accept(listen(), {"dup": dup, "peek": peek, "thread": thread}[mode])
