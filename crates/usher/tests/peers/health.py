"""A server of gRPC whose health service says what it is told on its standard input: the messages are written by hand."""

import concurrent.futures
import sys
import threading

import grpc

states = {b"": b"\x08\x01", b"\n\x07app.Api": b"\x08\x01"}


def check(request, context):
    if request not in states:
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    return states[request]


class Health(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(check)
        return None


def listen():
    for line in sys.stdin:
        word = line.strip()
        if word == "serve":
            states[b"\n\x07app.Api"] = b"\x08\x01"
        elif word == "rest":
            states[b"\n\x07app.Api"] = b"\x08\x02"
        elif word == "forget":
            states.pop(b"\n\x07app.Api")


server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), handlers=[Health()] if "bare" not in sys.argv else [])
print("port", server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
threading.Thread(target=listen, daemon=True).start()
server.wait_for_termination()
