"""A WebSocket server and its client, both of the library `websockets`; what they find is checked here or printed."""

import asyncio
import os
import sys

import websockets

LARGE = os.urandom(1 << 20)


async def serve_one(socket, _path=None):
    try:
        async for message in socket:
            if isinstance(message, bytes):
                await socket.send(message)
            elif message.startswith("close "):
                _, code, reason = message.split(" ", 2)
                await socket.close(int(code), reason)
            elif message == "ping me":
                await (await socket.ping(b"from the server"))
                await socket.send("you answered")
            elif message == "in fragments":
                await socket.send(piece for piece in ["one ", "", "two ", "three"])
            else:
                await socket.send("echo: " + message)
    except websockets.exceptions.ConnectionClosedError:
        pass
    print(f"closed {socket.close_code} {socket.close_reason!r}", flush=True)


async def serve():
    options = {"subprotocols": ["second", "third"], "max_size": 4 << 20}
    server = await websockets.serve(serve_one, "127.0.0.1", 0, **options)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


def connect(url, **options):
    return websockets.connect(url, max_size=4 << 20, **options)


async def messages(url, compression):
    async with connect(url, compression=compression, subprotocols=["first", "second"]) as socket:
        assert socket.subprotocol == "second", socket.subprotocol
        for text in ["", "hello", "schöne Grüße \U0001f600", "x" * 70_000]:
            await socket.send(text)
            answer = await socket.recv()
            assert answer == "echo: " + text, answer[:80]
        for length in [0, 1, 125, 126, 65_535, 65_536, len(LARGE)]:
            await socket.send(LARGE[:length])
            assert await socket.recv() == LARGE[:length], length
        # Both directions in fragments, and many at once before the first answer is read.
        await socket.send(piece for piece in [LARGE[:70_000], b"", LARGE[70_000:]])
        assert await socket.recv() == LARGE
        await socket.send("in fragments")
        assert await socket.recv() == "one two three"
        for number in range(200):
            await socket.send(str(number))
        for number in range(200):
            assert await socket.recv() == f"echo: {number}"
        await (await socket.ping(b"from the client"))
        await socket.send("ping me")
        assert await socket.recv() == "you answered"


async def closed(socket):
    try:
        message = await socket.recv()
        raise AssertionError(f"open, and said {message!r}")
    except websockets.exceptions.ConnectionClosed:
        return (socket.close_code, socket.close_reason)


async def closing(url):
    async with connect(url) as socket:
        await socket.send("close 4001 the server has enough")
        assert await closed(socket) == (4001, "the server has enough")
    async with connect(url) as socket:
        await socket.close(4002, "the client has enough")
        assert (socket.close_code, socket.close_reason) == (4002, "the client has enough")


async def stay(url):
    """Says what comes back for each line of standard input, until the connection ends."""
    lines = asyncio.get_running_loop()
    async with connect(url) as socket:
        print("open", flush=True)
        while line := await lines.run_in_executor(None, sys.stdin.readline):
            if line == "wait for the end\n":
                print("ended", await closed(socket), flush=True)
                return
            await socket.send(line.strip())
            print(await socket.recv(), flush=True)


async def client(url):
    for compression in [None, "deflate"]:
        await messages(url, compression)
    await closing(url)
    await asyncio.gather(*(messages(url, None) for _ in range(4)))


WHAT = {"serve": serve, "client": client, "stay": stay}
asyncio.run(WHAT[sys.argv[1]](*sys.argv[2:]))
