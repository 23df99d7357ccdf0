"""What a browser sends as gRPC-Web, by hand, binary and as text."""

import base64
import http.client
import ssl
import struct
import sys


def frame(payload, flags=0):
    return struct.pack(">BI", flags, len(payload)) + payload


def frames(body):
    found = []
    while body:
        flags, length = struct.unpack(">BI", body[:5])
        found.append((flags, body[5 : 5 + length]))
        body = body[5 + length :]
    return found


def ask(connection, method, kind, body):
    text = kind.startswith("application/grpc-web-text")
    sent = base64.b64encode(body) if text else body
    fields = {"Content-Type": kind, "Accept": kind, "X-Grpc-Web": "1", "X-User-Agent": "by hand"}
    connection.request("POST", "/test.Echo/" + method, sent, fields)
    answer = connection.getresponse()
    got = answer.read()
    assert answer.status == 200, (answer.status, got)
    assert answer.getheader("Content-Type").startswith(kind.split("+")[0]), answer.getheader("Content-Type")
    if text:
        # Pieces may each be padded.
        got = b"".join(base64.b64decode(got[at : at + 4]) for at in range(0, len(got), 4))
    parts = frames(got)
    messages = [payload for flags, payload in parts if flags == 0]
    last = [payload.decode() for flags, payload in parts if flags == 0x80]
    # Where there is no message at all, the status is in the head.
    fields = {name.lower(): value for name, value in answer.getheaders()}
    for name, value in (line.split(":", 1) for line in "".join(last).splitlines()):
        fields[name.lower()] = value.strip()
    return messages, fields.get("grpc-status"), fields


host, port, ca = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=50)
for kind in ["application/grpc-web+proto", "application/grpc-web", "application/grpc-web-text+proto"]:
    assert ask(connection, "Unary", kind, frame(b"hello"))[:2] == ([b"hello"], "0"), kind
    large = bytes(range(256)) * 2000
    assert ask(connection, "Unary", kind, frame(large))[:2] == ([large], "0"), kind
    messages, status, _ = ask(connection, "Out", kind, frame(b"100"))
    assert (messages, status) == ([b"%d" % number for number in range(100)], "0"), kind
    messages, status, fields = ask(connection, "Unary", kind, frame(b"fail"))
    assert (messages, status) == ([], "9"), (kind, messages, status)
    assert fields["x-why"] == "because", fields
    assert ask(connection, "None", kind, frame(b""))[:2] == ([], "12"), kind
print("done")
