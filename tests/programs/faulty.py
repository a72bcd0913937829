"""A server that fails as its path says: faulty.py PORT."""

import socket
import struct
import sys
import threading
import time


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def head(connection):
    got = b""
    while b"\r\n\r\n" not in got:
        more = connection.recv(4096)
        if not more:
            return None
        got += more
    return got.split(b" ")[1].decode()


def until_gone(connection):
    try:
        while connection.recv(4096):
            pass
    except OSError:
        pass


def answer(connection, path):
    if path == "/ok":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    elif path == "/ok-close":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    elif path == "/ok-reset":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        reset(connection)
    elif path == "/drop":
        time.sleep(0.1)
    elif path == "/reset":
        reset(connection)
    elif path in ("/half", "/half-reset"):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 100)
        # As long as the client may take to read that: a reset takes from it what it has not read.
        time.sleep(0.3)
        if path == "/half-reset":
            reset(connection)
    elif path == "/never":
        until_gone(connection)
    elif path == "/endless":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        try:
            while True:
                connection.sendall(b"x" * 65536)
        except OSError:
            pass


def serve(connection):
    with connection:
        while True:
            path = head(connection)
            if path is None:
                return
            answer(connection, path)
            if path != "/ok":
                return


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
