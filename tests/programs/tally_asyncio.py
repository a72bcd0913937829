"""asyncio streams: `/status/N` is answered with N. tally_asyncio.py PORT."""

import asyncio
import sys


async def answer(reader, writer):
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            break
        status = head.split(b" ")[1].rsplit(b"/", 1)[1]
        writer.write(b"HTTP/1.1 %s Said\r\nContent-Length: 10\r\n\r\n0123456789" % status)
        await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())
