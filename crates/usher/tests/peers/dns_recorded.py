"""Cloudflare and deSEC as others recorded them: their statuses, fields and bodies, with names and values of this test in them.

`dns_recorded.py FOLDER MANAGEMENT` serves what is in FOLDER (`cargo xtask test` brings it) on one port. Whatever is written is
handed to the name server whose management is at MANAGEMENT (pebble-challtestsrv). A line on standard input asks for all that
was asked since the last one, and for what nobody ever recorded. What is kept of the recordings is told by `Recorded.answer`;
which of them answers, and what is in a zone by now, is for the rest to know.
"""

import http.server
import json
import pathlib
import re
import sys
import threading
import urllib.parse
import urllib.request

import yaml

FOLDER, MANAGEMENT = sys.argv[1:]
# Who may write, and who may not; who is refused whatever is written; everybody else is nobody.
TOKEN, READER, REFUSED = "secret-token", "reader-token", "refused-token"
lock = threading.Lock()
asked, strange, published = [], [], {}


def publish(name, values):
    """Has the name server say what was written. What was removed stays while there is more at the name: it could only be taken
    away together with what an authority is about to look for."""

    def manage(path, **body):
        body = json.dumps({"host": f"{name}.", **body}).encode()
        urllib.request.urlopen(f"http://{MANAGEMENT}/{path}", body).read()

    now, before = {value.strip('"') for value in values}, published.pop(name, set())
    if not now:
        return manage("clear-txt")
    for value in now - before:
        manage("set-txt", value=value)
    published[name] = before | now


class Recorded:
    """All that is recorded of a service."""

    def __init__(self, folder):
        files = sorted(pathlib.Path(FOLDER, folder).glob("*.yaml"))
        tests = [yaml.load(file.read_bytes(), yaml.CSafeLoader)["interactions"] for file in files]
        self.interactions = [one for test in tests for one in test]

    def find(self, method, uri, status, question="", said=""):
        """One that was asked like that and answered like that."""
        for one in self.interactions:
            request, response = one["request"], one["response"]
            if (request["method"], response["status"]["code"]) != (method, status):
                continue
            texts = [(uri, request["uri"]), (question, request["body"] or ""), (said, response["body"]["string"])]
            if all(re.search(pattern, text) for pattern, text in texts):
                return one
        raise LookupError(f"{method} {uri} -> {status} was never recorded")

    @staticmethod
    def answer(recorded, change=lambda body: body):
        """Its status, its fields, and its body after `change`, written as it was."""
        body = recorded["response"]["body"]["string"]
        if body:
            spaces = {"indent": 2} if body.startswith("{\n") else {"separators": (",", ":")}
            body = json.dumps(change(json.loads(body)), **spaces)
        fields = {name.lower(): values for name, values in recorded["response"]["headers"].items()}
        return recorded["response"]["status"]["code"], fields, body


class Cloudflare(Recorded):
    prefix = "/client/v4"
    zone, theirs = "flare.example", r"pacalis\.net"

    def __init__(self):
        super().__init__("cloudflare")
        self.records = []

    def serve(self, method, path, query, authorization, body):
        if path == "/zones" and method == "GET":
            return self.zones(query["name"])
        added = self.find("POST", "/dns_records$", 200, '"TXT"')
        id = re.search(r"/zones/(\w+)/", added["request"]["uri"])[1]
        if not path.startswith(f"/zones/{id}/dns_records"):
            raise LookupError(path)
        if method == "POST":
            same = [one for one in self.records if (one["name"], one["content"]) == (body["name"], body["content"])]
            if same:
                return self.answer(self.find("POST", "/dns_records$", 400, '"TXT"', "81057"))
            return self.answer(added, lambda answer: self.added(answer, added, body))
        if method == "GET":
            listed = self.find("GET", r"/dns_records\?per_page=\d+&type=TXT&name=", 200, "", '"count": 2')
            return self.answer(listed, lambda answer: self.listed(answer, query))
        if method == "DELETE":
            return self.answer(self.find("DELETE", r"/dns_records/\w+$", 200), lambda answer: self.removed(answer, path))
        raise LookupError(method)

    def zones(self, name):
        """A token that is for some zones may not even ask for others."""
        status = 200 if name == self.zone else 403
        recorded = self.find("GET", rf"/zones\?name={self.theirs if status == 200 else '(?!' + self.theirs + ')'}", status)

        def renamed(answer):
            for zone in answer["result"] or []:
                zone["name"] = name
            return answer

        return self.answer(recorded, renamed)

    def added(self, answer, recorded, body):
        if set(body) != set(json.loads(recorded["request"]["body"])):
            raise LookupError(f"a record with {sorted(body)}")
        # As many digits as an identifier of theirs has.
        answer["result"] |= body | {"id": f"{len(asked) + 1:032x}", "zone_name": self.zone}
        self.records.append(answer["result"])
        self.publish(body["name"])
        return answer

    def listed(self, answer, query):
        found = [one for one in self.records if (one["type"], one["name"]) == (query["type"], query["name.exact"])]
        number = {"count": len(found), "total_count": len(found), "per_page": int(query["per_page"])}
        if any(set(one) != set(answer["result"][0]) for one in found):
            raise LookupError("a list of other records than those that were added")
        return answer | {"result": found, "result_info": answer["result_info"] | number}

    def removed(self, answer, path):
        answer["result"]["id"] = id = path.rsplit("/", 1)[1]
        [gone] = [one for one in self.records if one["id"] == id]
        self.records.remove(gone)
        self.publish(gone["name"])
        return answer

    def publish(self, name):
        publish(name, [one["content"] for one in self.records if one["name"] == name])


class DeSec(Recorded):
    prefix = "/api/v1"
    domain = "sec.example"

    def __init__(self):
        super().__init__("desec")
        self.sets, self.is_throttled = {}, False

    def serve(self, method, path, query, authorization, body):
        token = authorization.removeprefix("Token ")
        if token not in (TOKEN, READER, REFUSED):
            return self.answer(self.find("GET", "/domains/$", 401))
        if (method, path) == ("GET", "/domains/"):
            return self.domains(query["owns_qname"])
        if path != f"/domains/{self.domain}/rrsets/":
            return self.answer(self.find("GET", "/domains/[^/]+/$", 404))
        if method == "GET":
            return self.read(query["subname"], query["type"])
        if method != "PATCH":
            raise LookupError(method)
        if token == READER:
            return self.answer(self.find("GET", "", 403))
        if token == REFUSED:
            return self.answer(self.find("PATCH", "/rrsets/$", 400), lambda answer: answer[-1:])
        if not self.is_throttled:
            self.is_throttled = True
            return self.answer(self.find("PATCH", "/rrsets/.*/TXT/$", 429))
        return self.write(body)

    def domains(self, name):
        """Which of theirs is asked for was never recorded, but that is only another list of them."""
        is_ours = f".{name}".endswith(f".{self.domain}")
        listed = self.find("GET", "/domains/$", 200, "", "minimum_ttl")
        return self.answer(listed, lambda answer: [one | {"name": self.domain} for one in answer[:1] if is_ours])

    def read(self, subname, kind):
        found = self.sets.get((subname, kind))
        listed = self.find("GET", r"/rrsets/\?subname=[^&]+&type=\w+$", 200, "", r"\[\{" if found else r"\[\]")
        return self.answer(listed, lambda answer: [answer[0] | found] if found else [])

    def write(self, wanted):
        empty = not any(one["records"] for one in wanted)
        recorded = self.find("PATCH", "/rrsets/$", 200, "", r"^\[\]" if empty else r"\[\{")
        known = {key for one in json.loads(recorded["request"]["body"]) for key in one}
        for one in wanted:
            if set(one) - known:
                raise LookupError(f"a set with {sorted(one)}")
            name = f"{one['subname']}.{self.domain}"
            self.sets.pop((one["subname"], one["type"]), None)
            if one["records"]:
                self.sets[one["subname"], one["type"]] = one | {"name": f"{name}.", "domain": self.domain}
            publish(name, one["records"])
        left = [self.sets[one["subname"], one["type"]] for one in wanted if one["records"]]
        return self.answer(recorded, lambda answer: [answer[0] | one for one in left])


SERVICES = [Cloudflare(), DeSec()]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def any(self):
        path, _, query = self.path.partition("?")
        text = self.rfile.read(int(self.headers["content-length"] or 0)).decode()
        body = json.loads(text) if text else None
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        service = next(one for one in SERVICES if path.startswith(one.prefix))
        with lock:
            try:
                within = path[len(service.prefix) :]
                answer = service.serve(self.command, within, query, self.headers["authorization"], body)
            except (LookupError, TypeError, ValueError) as error:
                strange.append(f"{self.command} {self.path} {text}: {type(error).__name__}: {error}")
                answer = (500, {}, "")
            asked.append({"method": self.command, "path": path, "status": answer[0]})
        self.send(*answer)

    def send(self, status, fields, body):
        # In chunks where it came in chunks.
        is_chunked = "transfer-encoding" in fields
        body = body.encode()
        self.send_response_only(status)
        for name in fields.keys() - {"content-length", "connection"}:
            for value in fields[name]:
                self.send_header(name, value)
        if is_chunked:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        else:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = any

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("port", server.server_address[1])
for line in sys.stdin:
    with lock:
        left = len(SERVICES[0].records) + len(SERVICES[1].sets)
        print(line.strip(), json.dumps({"asked": asked, "strange": strange, "left": left}))
        asked.clear()
