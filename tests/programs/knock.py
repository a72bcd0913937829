"""Connects so many times and holds on, whatever comes of it: knock.py COUNT PORT"""
import socket, sys, time

held = []
for _ in range(int(sys.argv[1])):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("127.0.0.1", int(sys.argv[2])))
    held.append(s)
print("knocked", flush=True)
time.sleep(600)
