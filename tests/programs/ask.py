"""Clients that use sockets as few do: ask.py MODE HOST PORT CONNECTIONS REQUESTS.

    plain           one request after the other, REQUESTS a connection
    from PORT       the same, from a source port
    half            says it has nothing more to send, then reads to the end (one request a connection)
    bytes           sends a byte at a time
    thread          one thread sends, another reads
    wait            opens all connections, one request each; the rest when a line comes on the standard input
"""

import queue
import socket
import sys
import threading


def request(host):
    host = f"[{host}]" if ":" in host else host
    return f"GET /odd HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def answer(connection):
    got = b""
    while not got.endswith(b"0123456789"):
        more = connection.recv(4096)
        if not more:
            sys.exit("no answer")
        got += more


def connect(host, port, source=None):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    connection = socket.socket(family)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if source:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.bind((host, source))
    connection.connect((host, port))
    return connection


words = sys.argv[1:]
mode = words.pop(0)
source = int(words.pop(0)) if mode == "from" else None
host, port, connections, each = words[0], int(words[1]), int(words[2]), int(words[3])
if mode == "wait":
    open_ones = [connect(host, port) for _ in range(connections)]
    for connection in open_ones:
        connection.sendall(request(host))
        answer(connection)
    print("open", flush=True)
    sys.stdin.readline()
    for _ in range(each):
        for connection in open_ones:
            connection.sendall(request(host))
            answer(connection)
    sys.exit()
for _ in range(connections):
    with connect(host, port, source) as connection:
        if mode == "half":
            connection.sendall(request(host))
            connection.shutdown(socket.SHUT_WR)
            answer(connection)
            assert connection.recv(1) == b""
        elif mode == "thread":
            turn = queue.Queue()
            turn.put(None)

            def send():
                for _ in range(each):
                    turn.get()
                    connection.sendall(request(host))

            sender = threading.Thread(target=send)
            sender.start()
            for _ in range(each):
                answer(connection)
                turn.put(None)
            sender.join()
        else:
            for _ in range(each):
                if mode == "bytes":
                    for byte in request(host):
                        connection.send(bytes([byte]))
                else:
                    connection.sendall(request(host))
                answer(connection)
