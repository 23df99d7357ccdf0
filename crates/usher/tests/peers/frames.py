"""A connection of HTTP/2 on which anything can be sent. Other scripts begin with this one."""

import http.client
import socket
import ssl
import sys
import threading

import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

HEAD = [(":method", "GET"), (":scheme", "https"), (":authority", "site.test"), (":path", "/large")]


class Raw:
    def __init__(self, port, ca, settings=None):
        context = ssl.create_default_context(cafile=ca)
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", int(port)), timeout=50)
        self.socket = context.wrap_socket(plain, server_hostname="site.test")
        assert self.socket.selected_alpn_protocol() == "h2"
        self.encoder, self.data, self.ended = hpack.Encoder(), b"", None
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.send(SettingsFrame(0, settings=settings or {}))

    def send(self, *frames):
        """Sends until the server no longer listens: false then."""
        try:
            self.socket.sendall(b"".join(frame.serialize() for frame in frames))
            return True
        except OSError:
            return False

    def head(self, stream, fields=(), flags=("END_HEADERS", "END_STREAM"), method="GET"):
        frame = HeadersFrame(stream, flags=flags)
        frame.data = self.encoder.encode([(":method", method)] + HEAD[1:] + list(fields))
        return frame

    def frames(self):
        """What the server sends, to the end of the connection."""
        while True:
            while len(self.data) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(self.data)[:9])
                if len(self.data) < 9 + length:
                    break
                frame.parse_body(memoryview(self.data)[9 : 9 + length])
                self.data = self.data[9 + length :]
                yield frame
            try:
                more = self.socket.recv(65536)
            except ConnectionError:
                more = b""
            if not more:
                return
            self.data += more

    def end(self):
        """How it ended: the code of the GOAWAY, or the end alone."""
        said = [frame.error_code for frame in self.frames() if isinstance(frame, GoAwayFrame)]
        return said[-1] if said else "closed"
