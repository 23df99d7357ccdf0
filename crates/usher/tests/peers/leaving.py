"""A client that is in the middle of something when the server leaves. It begins with `frames.py`."""


def over_h2(port, ca):
    raw, bodies, ended, farewells = Raw(port, ca), {}, set(), []
    raw.send(*(raw.head(stream) for stream in (1, 3, 5)))
    for frame in raw.frames():
        if isinstance(frame, HeadersFrame):
            bodies[frame.stream_id] = b""
            if len(bodies) == 3:
                print("begun", flush=True)
        elif isinstance(frame, DataFrame):
            bodies[frame.stream_id] += frame.data
        elif isinstance(frame, GoAwayFrame):
            farewells.append((frame.last_stream_id, frame.error_code))
            print("farewell", flush=True)
        elif isinstance(frame, PingFrame) and "ACK" not in frame.flags:
            # By this the server knows that no more requests are on their way.
            raw.send(PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))
        assert not isinstance(frame, RstStreamFrame), frame
        if "END_STREAM" in frame.flags:
            ended.add(frame.stream_id)
    assert ended == {1, 3, 5} and set(bodies.values()) == {b"word " * 3000}, (ended, list(map(len, bodies.values())))
    assert farewells and farewells[-1] == (5, 0), farewells


def over_h3(port, ca):
    import asyncio

    from aioquic.asyncio.client import connect
    from aioquic.asyncio.protocol import QuicConnectionProtocol
    from aioquic.h3.connection import H3Connection
    from aioquic.h3.events import DataReceived, HeadersReceived
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.events import ConnectionTerminated

    bodies, ended, farewells, codes = {}, set(), [], []

    class Http(H3Connection):
        def _check_control_frame_type(self, kind):
            if kind == 7:  # GOAWAY, which aioquic does not read
                farewells.append(kind)
                print("farewell", flush=True)
            super()._check_control_frame_type(kind)

    class Client(QuicConnectionProtocol):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.http = Http(self._quic)

        def quic_event_received(self, event):
            if isinstance(event, ConnectionTerminated):
                codes.append(event.error_code)
            for part in self.http.handle_event(event):
                if isinstance(part, HeadersReceived):
                    bodies[part.stream_id] = b""
                    if len(bodies) == 3:
                        print("begun", flush=True)
                elif isinstance(part, DataReceived):
                    bodies[part.stream_id] += part.data
                if part.stream_ended:
                    ended.add(part.stream_id)

    async def run():
        made = QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="site.test")
        made.load_verify_locations(ca)
        async with connect("127.0.0.1", int(port), configuration=made, create_protocol=Client) as one:
            for stream in (0, 4, 8):
                head = [(name.encode(), value.encode()) for name, value in HEAD]
                one.http.send_headers(one._quic.get_next_available_stream_id(), head, end_stream=True)
                one.transmit()
            await asyncio.wait_for(one.wait_closed(), 50)

    asyncio.run(run())
    assert ended == {0, 4, 8} and set(bodies.values()) == {b"word " * 3000}, (ended, list(map(len, bodies.values())))
    # H3_NO_ERROR (RFC 9114 section 8.1).
    assert farewells and codes == [0x100], (farewells, codes)


{"h2": over_h2, "h3": over_h3}[sys.argv[1]](*sys.argv[2:])
print("done")
