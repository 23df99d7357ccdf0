"""A server and a client of Python's standard library: HTTP/1.0 that ends a body by closing, and `http.client`."""

import http.client
import http.server
import sys

LARGE = bytes(range(256)) * 4096


class Old(http.server.BaseHTTPRequestHandler):
    """Speaks HTTP/1.0: one request per connection, and no length unless it is asked to lie about it."""

    protocol_version = "HTTP/1.0"

    def answer(self, body, length=None):
        self.send_response(200)
        self.send_header("X-Seen", f"{self.command} {self.path} {self.request_version}")
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        if self.path == "/large":
            self.answer(LARGE)
        elif self.path == "/empty":
            self.answer(b"")
        elif self.path == "/short":
            self.answer(b"less than said", length=100)
        else:
            self.answer(b"hello")

    do_HEAD = do_GET

    def do_POST(self):
        # This server knows no chunks: a body must come with its length.
        length = self.headers["Content-Length"]
        if length is None:
            self.send_error(411)
        else:
            self.answer(self.rfile.read(int(length)))

    def log_message(self, *_):
        pass


class New(Old):
    """Speaks HTTP/1.1: keeps connections, reads chunks by hand."""

    protocol_version = "HTTP/1.1"

    def answer(self, body, length=None):
        super().answer(body, len(body) if length is None else length)
        self.close_connection = self.close_connection or length is not None

    def do_POST(self):
        if self.headers["Transfer-Encoding"] != "chunked":
            return super().do_POST()
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            assert self.rfile.readline() == b"\r\n"
        assert self.rfile.readline() == b"\r\n"
        self.answer(body)


def serve(version):
    handler = {"1.0": Old, "1.1": New}[version]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    print("port", server.server_address[1], flush=True)
    server.serve_forever()


def ask(connection, method, path, body=None, **options):
    connection.request(method, path, body, **options)
    response = connection.getresponse()
    assert response.status == 200, (path, response.status)
    return response, response.read()


def client(host, version):
    connection = http.client.HTTPConnection(host, timeout=50)
    connection.connect()
    first = connection.sock
    for path, expected in [("/", b"hello"), ("/large", LARGE), ("/empty", b""), ("/", b"hello")]:
        response, body = ask(connection, "GET", path)
        assert body == expected, (path, len(body))
        # Requests leave as 1.1 even to who answers with 1.0, and so do responses.
        assert response.getheader("X-Seen") == f"GET {path} HTTP/1.1", response.getheader("X-Seen")
        assert response.version == 11
    response, body = ask(connection, "HEAD", "/large")
    assert body == b""
    response, body = ask(connection, "POST", "/", LARGE)
    assert body == LARGE
    if version == "1.1":
        pieces = (LARGE[at : at + 10_000] for at in range(0, len(LARGE), 10_000))
        response, body = ask(connection, "POST", "/", pieces, encode_chunked=True)
        assert body == LARGE
    assert connection.sock is first, "one connection for all, whatever the server closes"

    # What breaks off must not look complete.
    connection.request("GET", "/short")
    try:
        body = connection.getresponse().read()
        raise AssertionError(f"took {body!r} for the whole")
    except (http.client.IncompleteRead, ConnectionError):
        pass

    old(host)


def old(host):
    """A client of HTTP/1.0 is told the end of a body by the end of the connection, or by a length."""
    for path, expected in [("/", b"hello"), ("/large", LARGE), ("/empty", b"")]:
        connection = http.client.HTTPConnection(host, timeout=50)
        connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"
        response, body = ask(connection, "GET", path)
        assert body == expected, (path, len(body))
        assert response.getheader("Transfer-Encoding") is None
        connection.close()


WHAT = {"serve": serve, "client": client}
WHAT[sys.argv[1]](*sys.argv[2:])
print("done")
