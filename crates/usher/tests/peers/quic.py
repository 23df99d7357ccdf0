"""A client of HTTP/3 made of aioquic; what it finds is checked here or printed."""

import asyncio
import collections
import os
import socket
import sys

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamReset

HOST = b"site.test"
Answer = collections.namedtuple("Answer", "status fields body")


class Client(QuicConnectionProtocol):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.http = H3Connection(self._quic)
        self.waiting, self.partial = {}, {}

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            for future in self.waiting.values():
                future.set_exception(ConnectionError(f"{event.error_code:#x} {event.reason_phrase}"))
            self.waiting = {}
        if isinstance(event, StreamReset):
            future = self.waiting.pop(event.stream_id, None)
            if future:
                future.set_exception(ConnectionResetError(f"{event.error_code:#x}"))
        for part in self.http.handle_event(event):
            heads, body = self.partial.setdefault(part.stream_id, ([], bytearray()))
            if isinstance(part, HeadersReceived):
                heads.append(part.headers)
            elif isinstance(part, DataReceived):
                body += part.data
            if part.stream_ended and part.stream_id in self.waiting:
                fields = {name.decode(): value.decode() for head in heads for name, value in head}
                answer = Answer(int(fields[":status"]), fields, bytes(body))
                self.waiting.pop(part.stream_id).set_result(answer)

    def ask(self, method, path, body=b"", fields=()):
        stream = self._quic.get_next_available_stream_id()
        head = [(b":method", method.encode()), (b":scheme", b"https"), (b":authority", HOST), (b":path", path.encode())]
        self.http.send_headers(stream, head + list(fields), end_stream=not body)
        if body:
            self.http.send_data(stream, body, end_stream=True)
        self.waiting[stream] = asyncio.get_running_loop().create_future()
        self.transmit()
        return asyncio.wait_for(self.waiting[stream], 50)


def configuration(ca):
    made = QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name=HOST.decode(), idle_timeout=50)
    made.load_verify_locations(ca)
    return made


def client(port, ca, **options):
    options.setdefault("configuration", configuration(ca))
    return connect("127.0.0.1", int(port), create_protocol=Client, **options)


async def bodies(port, ca):
    """Large ones both ways, many streams at once, fields behind the body."""
    content = os.urandom(1 << 20)
    async with client(port, ca) as one:
        answer = await one.ask("POST", "/echo", content)
        assert (answer.status, answer.body == content) == (200, True), (answer.status, len(answer.body))
        answer = await one.ask("GET", "/large")
        assert answer.status == 200 and len(answer.body) == int(answer.fields["content-length"]) == 5 << 20
        for _ in range(5):
            answers = await asyncio.gather(*(one.ask("POST", "/echo", b"%d" % n * 1000) for n in range(90)))
            assert [answer.body for answer in answers] == [b"%d" % n * 1000 for n in range(90)]
        answer = await one.ask("GET", "/trailers")
        assert (answer.body, answer.fields.get("x-sum")) == (b"hello", "5d41"), answer
        # No HEAD: aioquic takes the length of what is not sent for a broken promise.
        assert (await one.ask("GET", "/missing")).status == 404

    async def another(number):
        async with client(port, ca) as one:
            for _ in range(5):
                assert (await one.ask("GET", "/echo")).status == 200, number

    await asyncio.gather(*(another(number) for number in range(20)))


async def move(port, ca):
    """Other addresses and ports in the middle of everything: with a new connection ID (RFC 9000 section 9) and without
    (NAT)."""
    content = os.urandom(300_000)
    loop = asyncio.get_running_loop()
    async with client(port, ca) as one:
        assert (await one.ask("GET", "/echo")).status == 200
        for number in range(12):
            under_way = one.ask("POST", "/echo", content)
            under_way = asyncio.ensure_future(under_way)
            await asyncio.sleep(0)
            place = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            place.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            place.bind((f"::ffff:127.0.0.{number // 3 + 1}", 0))
            if number % 2:
                one.change_connection_id()
            await loop.create_datagram_endpoint(lambda: one, sock=place)
            answer = await under_way
            assert (answer.status, answer.body == content) == (200, True), (number, answer.status)
            assert (await one.ask("GET", f"/echo?{number}")).status == 200


async def early(port, ca):
    """Requests in the first packets of a client that comes back."""
    tickets = []
    async with client(port, ca, session_ticket_handler=tickets.append) as one:
        assert (await one.ask("GET", "/seen")).body == b"early="
        while not tickets:
            await one.ping()
    assert tickets[-1].max_early_data_size, "0-RTT is offered"
    again = configuration(ca)
    again.session_ticket = tickets[-1]
    async with client(port, ca, configuration=again, wait_connected=False) as one:
        safe = one.ask("GET", "/seen")
        other = one.ask("POST", "/seen", b"not twice, please")
        safe, other = await safe, await other
        assert one._quic.tls.early_data_accepted
        assert (safe.status, safe.body) == (200, b"early=1"), safe
        # Refused, or answered when the handshake was complete: but never as if it were safe.
        assert other.status == 425 or (other.status, other.body) == (200, b"early="), other
        assert (await one.ask("POST", "/seen", b"now")).body == b"early="


async def refused(port, ca):
    """A listener that was not asked to take early data offers none."""
    tickets = []
    async with client(port, ca, session_ticket_handler=tickets.append) as one:
        assert (await one.ask("GET", "/seen")).status == 200
        while not tickets:
            await one.ping()
    assert not tickets[-1].max_early_data_size
    again = configuration(ca)
    again.session_ticket = tickets[-1]
    async with client(port, ca, configuration=again) as one:
        assert one._quic.tls.session_resumed
        assert (await one.ask("POST", "/seen", b"x")).body == b"early="


async def stay(port, ca):
    """Asks again and again on one connection, and says how often when a line comes; then reads on until its end."""
    lines, asked = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline), 0
    async with client(port, ca) as one:
        while not lines.done():
            assert (await one.ask("POST", "/echo", b"x" * 20_000)).status == 200
            asked += 1
            if asked == 1:
                print("begun", flush=True)
        print("asked", asked, flush=True)


WHAT = {"bodies": bodies, "move": move, "early": early, "refused": refused, "stay": stay}
asyncio.run(WHAT[sys.argv[1]](*sys.argv[2:]))
print("done")
