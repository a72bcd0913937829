"""A client that ends connections as it is told.

rude.py ask PORT PATH END COUNT ...  each on a connection of its own; END is how it ends:
    read    reads to the end of the answer, or of the connection
    late    the same, when the other end has long gone
    half    the same, and said before that nothing more is sent
    close   closes before an answer came
    reset   the same with a reset
    part    reads the head, waits a little, closes with bytes unread
    kill    is killed while it waits
rude.py connect HOST PORT HOW COUNT  connects in vain: HOW is plain, twice (SYNs) or patience (0.3 s)
"""

import os
import select
import signal
import socket
import struct
import sys
import time


def ask(port, path, end):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: faulty\r\n\r\n".encode())
        try:
            if end == "half":
                connection.shutdown(socket.SHUT_WR)
            if end in ("late", "half"):
                time.sleep(0.05)
            if end in ("read", "late", "half"):
                got = b""
                while not got.endswith(b"ok") and (more := connection.recv(4096)):
                    got += more
            elif end == "part":
                connection.recv(4096)
                time.sleep(0.05)
            else:
                # As long as the server may take to have the request in hand, or to begin its answer.
                select.select([connection], [], [], 0.3)
        except ConnectionResetError:
            pass
        if end == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def connect(host, port, how):
    with socket.socket() as connection:
        if how == "twice":
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
        if how == "patience":
            connection.setblocking(False)
            connection.connect_ex((host, port))
            select.select([], [connection], [], 0.3)
            return
        try:
            connection.connect((host, port))
        except OSError as error:
            print(error, flush=True)
            return
        sys.exit("connected")


words = sys.argv[2:]
if sys.argv[1] == "ask":
    port = int(words.pop(0))
    while words:
        path, end, count, words = words[0], words[1], int(words[2]), words[3:]
        for _ in range(count):
            ask(port, path, end)
else:
    for _ in range(int(words[3])):
        connect(words[0], int(words[1]), words[2])
