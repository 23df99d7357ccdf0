"""WebSocket by extended CONNECT, over HTTP/2 (RFC 8441) and HTTP/3 (RFC 9220): the frames are made by hand."""

import asyncio
import os
import socket
import ssl
import sys

HEAD = [
    (b":method", b"CONNECT"),
    (b":protocol", b"websocket"),
    (b":scheme", b"https"),
    (b":authority", b"site.test"),
    (b":path", b"/chat"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-protocol", b"second"),
]


def message(payload, kind=1):
    """A frame of a client's (RFC 6455 section 5.2): masked."""
    mask, length = os.urandom(4), len(payload)
    if length < 126:
        size = bytes([0x80 | length])
    else:
        size = b"\xfe" + length.to_bytes(2, "big") if length < 1 << 16 else b"\xff" + length.to_bytes(8, "big")
    return bytes([0x80 | kind]) + size + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def parse(data):
    """The first whole frame of a server's, and the rest."""
    if len(data) < 2:
        return None, data
    length, start = data[1], 2
    if length >= 126:
        start = 4 if length == 126 else 10
        length = int.from_bytes(data[2:start], "big")
    if len(data) < start + length:
        return None, data
    return (data[0] & 15, bytes(data[start : start + length])), data[start + length :]


async def conversation(head, send, receive):
    """What is said and heard, whatever it is carried by."""
    assert head[b":status"] == b"200", head
    assert head[b"sec-websocket-protocol"] == b"second", head
    data = b""
    words = [b"hello", b"x" * 300, b"y" * 70_000] + [b"%d" % number for number in range(50)]
    for word in words:
        await send(message(word))
        while True:
            frame, data = parse(data)
            if frame:
                break
            data += await receive()
        assert frame == (1, b"echo: " + word), frame
    await send(message(b"close 4001 enough"))
    while frame is None or frame[0] != 8:
        data += await receive()
        frame, data = parse(data)
    assert frame[1] == (4001).to_bytes(2, "big") + b"enough", frame
    await send(message(frame[1], 8))


async def over_h2(port, ca):
    import h2.config
    import h2.connection
    import h2.events

    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port), ssl=context, server_hostname="site.test")
    one = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
    one.initiate_connection()
    heard, heads, ended = {}, {}, set()

    async def pump():
        writer.write(one.data_to_send())
        await writer.drain()
        data = await asyncio.wait_for(reader.read(65536), 50)
        assert data, "the connection ended"
        for event in one.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                heads[event.stream_id] = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                one.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                heard[event.stream_id] = heard.get(event.stream_id, b"") + event.data
            elif isinstance(event, h2.events.StreamEnded):
                ended.add(event.stream_id)
            assert not isinstance(event, h2.events.StreamReset), event
        writer.write(one.data_to_send())

    # Until extended CONNECT is offered.
    while one.remote_settings.enable_connect_protocol != 1:
        await pump()
    for _ in range(3):
        stream = one.get_next_available_stream_id()
        one.send_headers(stream, HEAD)
        while stream not in heads:
            await pump()

        async def send(data):
            while data:
                room = min(one.local_flow_control_window(stream), one.max_outbound_frame_size, len(data))
                if room:
                    one.send_data(stream, data[:room])
                    data = data[room:]
                else:
                    await pump()
            writer.write(one.data_to_send())

        async def receive():
            while not heard.get(stream):
                await pump()
            return heard.pop(stream)

        await conversation(heads[stream], send, receive)
        one.end_stream(stream)
        while stream not in ended:
            await pump()
    writer.close()


async def over_h3(port, ca):
    from aioquic.asyncio.client import connect
    from aioquic.asyncio.protocol import QuicConnectionProtocol
    from aioquic.h3.connection import H3Connection
    from aioquic.h3.events import DataReceived, HeadersReceived
    from aioquic.quic.configuration import QuicConfiguration

    class Client(QuicConnectionProtocol):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.http, self.heard, self.ended = H3Connection(self._quic), asyncio.Queue(), asyncio.Event()

        def quic_event_received(self, event):
            for part in self.http.handle_event(event):
                if isinstance(part, HeadersReceived):
                    self.heard.put_nowait(dict(part.headers))
                elif isinstance(part, DataReceived):
                    self.heard.put_nowait(part.data)
                    if part.stream_ended:
                        self.ended.set()

    made = QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="site.test")
    made.load_verify_locations(ca)
    async with connect("127.0.0.1", int(port), configuration=made, create_protocol=Client) as one:
        while one.http.received_settings is None:
            await one.ping()
        assert one.http.received_settings[8] == 1, "extended CONNECT is offered"
        stream = one._quic.get_next_available_stream_id()
        one.http.send_headers(stream, HEAD)
        one.transmit()

        async def send(data):
            one.http.send_data(stream, data, end_stream=False)
            one.transmit()

        async def receive():
            return await asyncio.wait_for(one.heard.get(), 50)

        await conversation(await receive(), send, receive)
        # Closing the connection at once could overtake the last frame.
        await asyncio.wait_for(one.ended.wait(), 50)


asyncio.run({"h2": over_h2, "h3": over_h3}[sys.argv[1]](*sys.argv[2:]))
print("done")
