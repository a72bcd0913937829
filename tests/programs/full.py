"""A server that answers one request and accepts no more: full.py BACKLOG PORT"""
import socket, sys, time

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[2])))
listener.listen(int(sys.argv[1]))
asker, _ = listener.accept()
asker.recv(65536)
asker.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nhi\n")
asker.close()
time.sleep(600)
