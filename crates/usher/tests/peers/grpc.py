"""A server and a client of gRPC, with bytes for messages: no code has to be generated."""

import concurrent.futures
import queue
import sys

import grpc

SLOW = 20.0


def unary(request, context):
    metadata = dict(context.invocation_metadata())
    if request == b"fail":
        context.set_trailing_metadata([("x-why", "because"), ("x-raw-bin", bytes(range(256)))])
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "schlecht: 100 % \u20ac")
    if request == b"sleep":
        ended = concurrent.futures.Future()
        context.add_callback(lambda: ended.set_result(None))
        ended.result(SLOW)
        print("cancelled", flush=True)
        return b""
    if request == b"time":
        return str(context.time_remaining() or 0).encode()
    if request == b"metadata":
        context.send_initial_metadata([("x-first", "word")])
        context.set_trailing_metadata([("x-last", "word")])
        return metadata.get("x-token", "").encode() + metadata.get("x-token-bin", b"")
    return request


def many_out(request, context):
    if int(request) > 1_000_000:
        context.add_callback(lambda: print("cancelled", flush=True))
    for number in range(int(request)):
        yield b"%d" % number


def many_in(requests, _):
    return b"%d" % sum(len(request) for request in requests)


def both(requests, _):
    for request in requests:
        yield b"echo " + request


def ill_at_once(request, context):
    context.abort(grpc.StatusCode.UNAVAILABLE, "ill")


def ill_later(request, context):
    yield request
    context.abort(grpc.StatusCode.UNAVAILABLE, "ill")


class Handler(grpc.GenericRpcHandler):
    shapes = {
        "/test.Echo/Unary": grpc.unary_unary_rpc_method_handler(unary),
        "/test.Echo/Out": grpc.unary_stream_rpc_method_handler(many_out),
        "/test.Echo/In": grpc.stream_unary_rpc_method_handler(many_in),
        "/test.Echo/Both": grpc.stream_stream_rpc_method_handler(both),
        "/ill.AtOnce/Ask": grpc.unary_unary_rpc_method_handler(ill_at_once),
        "/ill.Later/Ask": grpc.unary_stream_rpc_method_handler(ill_later),
    }

    def service(self, details):
        return self.shapes.get(details.method)


def serve():
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(64), handlers=[Handler()])
    print("port", server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


def channel(address, ca):
    if ca == "plain":
        return grpc.insecure_channel(address)
    trusted = grpc.ssl_channel_credentials(open(ca, "rb").read())
    return grpc.secure_channel(address, trusted, options=[("grpc.ssl_target_name_override", "site.test")])


def failure(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except grpc.RpcError as error:
        return error
    raise AssertionError("no failure")


def client(address, ca):
    with channel(address, ca) as one:
        ask = one.unary_unary("/test.Echo/Unary")
        shapes(one, ask)
        statuses(one, ask)
        metadata = [("x-token", "t"), ("x-token-bin", b"\x00\xff")]
        answer, call = ask.with_call(b"metadata", metadata=metadata, timeout=30)
        assert answer == b"t\x00\xff", answer
        assert dict(call.initial_metadata())["x-first"] == "word"
        assert dict(call.trailing_metadata())["x-last"] == "word"
        assert ask(b"zip" * 1000, compression=grpc.Compression.Gzip, timeout=30) == b"zip" * 1000


def shapes(one, ask):
    assert ask(b"hello", timeout=30) == b"hello"
    assert ask(b"", timeout=30) == b""
    large = bytes(range(256)) * (12 << 10)
    assert ask(large, timeout=30) == large
    futures = [ask.future(b"%d" % number, timeout=30) for number in range(200)]
    assert [future.result() for future in futures] == [b"%d" % number for number in range(200)]
    out = one.unary_stream("/test.Echo/Out")
    assert list(out(b"2000", timeout=30)) == [b"%d" % number for number in range(2000)]
    assert list(out(b"0", timeout=30)) == []
    into = one.stream_unary("/test.Echo/In")
    assert into((b"x" * 1000 for _ in range(2000)), timeout=30) == b"2000000"
    assert into(iter([]), timeout=30) == b"0"
    # One word after another: each answer is awaited before the next is sent.
    answered = queue.SimpleQueue()

    def words():
        for number in range(100):
            yield b"%d" % number
            answered.get(timeout=30)

    for number, answer in enumerate(one.stream_stream("/test.Echo/Both")(words(), timeout=40)):
        assert answer == b"echo %d" % number
        answered.put(None)
    assert number == 99


def statuses(one, ask):
    error = failure(ask, b"fail", timeout=30)
    assert (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "schlecht: 100 % \u20ac"), error
    last = dict(error.trailing_metadata())
    assert (last["x-why"], last["x-raw-bin"]) == ("because", bytes(range(256))), last
    assert failure(one.unary_unary("/test.Echo/None"), b"", timeout=30).code() == grpc.StatusCode.UNIMPLEMENTED
    left = float(ask(b"time", timeout=30))
    assert 0 < left < 31, left
    assert failure(ask, b"sleep", timeout=0.3).code() == grpc.StatusCode.DEADLINE_EXCEEDED
    endless = one.unary_stream("/test.Echo/Out")(b"1000000000", timeout=30)
    assert [next(endless) for _ in range(3)] == [b"0", b"1", b"2"]
    endless.cancel()
    assert endless.code() == grpc.StatusCode.CANCELLED
    # The client's receiver takes 4 MiB: a limit of its own, and no failure of the connection.
    huge = one.stream_unary("/test.Echo/In")
    assert failure(huge, iter([b"x" * (5 << 20)]), timeout=30).code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert ask(b"still", timeout=30) == b"still"


def down(address, ca):
    """The server is gone: a status, and no break of the connection."""
    with channel(address, ca) as one:
        ask = one.unary_unary("/test.Echo/Unary")
        for _ in range(3):
            error = failure(ask, b"hello", timeout=30)
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        error = failure(lambda: list(one.unary_stream("/test.Echo/Out")(b"1", timeout=30)))
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error


def ill(address, ca):
    """A service that fails in the head of its response, and one that does in trailers: asked until Usher asks no more."""
    with channel(address, ca) as one:
        later = one.unary_stream("/ill.Later/Ask")
        for ask in one.unary_unary("/ill.AtOnce/Ask"), lambda *asked, **options: list(later(*asked, **options)):
            told = []
            while len(told) < 100 and "circuit_open" not in told[-1:]:
                error = failure(ask, b"hello", timeout=30)
                assert error.code() == grpc.StatusCode.UNAVAILABLE, error
                told.append("circuit_open" if "circuit_open" in error.details() else error.details())
            assert told == ["ill"] * 20 + ["circuit_open"], told


WHAT = {"serve": serve, "client": client, "down": down, "ill": ill}
WHAT[sys.argv[1]](*sys.argv[2:])
print("done")
