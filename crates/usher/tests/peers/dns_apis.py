"""The APIs of Cloudflare, deSEC and acme-dns, as far as DNS-01 needs them, strict about what they are asked.

`dns_apis.py MANAGEMENT` serves them on one port. Whatever is written is handed to the name server whose management is at
MANAGEMENT (pebble-challtestsrv). A line on standard input asks for all that was asked since the last one, and for the
records. What is right here is told by clients of others: `dns_clients.py`.
"""

import http.server
import itertools
import json
import re
import sys
import threading
import time
import urllib.parse
import urllib.request

TOKEN = "secret-token-of-forty-characters-000000000"
USER = "c36f50e8-4632-44f0-83fe-e070fef28a10"
KEY = "0123456789012345678901234567890123456789"
SUBDOMAIN = "8e5700ea-a4bf-41c7-8a77-e990661dcc6a"
DELEGATED = "plain.example"
LONG_AGO = "2020-01-01T00:00:00.000000Z"

numbers = itertools.count(1)
lock = threading.RLock()
asked = []
# Of Cloudflare: records by identifier. Of deSEC: sets by name. Of acme-dns: the two newest values.
flare, sets, newest = {}, {}, []
writes = []


def texts():
    """All TXT records: name to values."""
    found = {}
    for record in flare.values():
        found.setdefault(record["name"], []).append(record["content"].strip('"'))
    for name, one in sets.items():
        found.setdefault(name, []).extend(value.strip('"') for value in one["records"])
    found.setdefault("_acme-challenge." + DELEGATED, []).extend(newest)
    return found


def publish(name):
    """Has the name server say what was written. The alias of acme-dns was followed for it."""

    def manage(path, **body):
        body = json.dumps({"host": name + ".", **body}).encode()
        urllib.request.urlopen(f"http://{sys.argv[1]}/{path}", body).read()

    manage("clear-txt")
    for value in texts().get(name, []):
        manage("set-txt", value=value)


class Answer(Exception):
    """A status, a body that becomes JSON, and fields."""

    def __init__(self, status, body, **fields):
        super().__init__(status, body, fields)
        self.status, self.body, self.fields = status, body, fields


def known(got, allowed, what):
    """Refuses what the documentation does not have."""
    strange = set(got) - set(allowed)
    if strange:
        raise Answer(400, {"detail": f"{what}: {sorted(strange)} is not documented"})


class Cloudflare:
    """https://api.cloudflare.com/client/v4: everything is in an envelope."""

    prefix = "/client/v4"
    zones = {"f" * 32: "flare.example", "e" * 32: "sub.flare.example"}

    @staticmethod
    def failed(status, code, message, chain=()):
        error = {"code": code, "message": message}
        if chain:
            error["error_chain"] = [{"code": code, "message": message} for code, message in chain]
        return Answer(status, {"success": False, "errors": [error], "messages": [], "result": None})

    @staticmethod
    def page(found, query):
        page, size = int(query.get("page", 1)), int(query.get("per_page", 20))
        part = found[(page - 1) * size : page * size]
        pages = -(-len(found) // size)
        info = {"page": page, "per_page": size, "count": len(part), "total_count": len(found), "total_pages": pages}
        return Answer(200, {"success": True, "errors": [], "messages": [], "result": part, "result_info": info})

    def all(self):
        """The zones. Somebody else has begun to move one of them."""
        one = {"development_mode": 0, "original_name_servers": None, "original_registrar": None, "original_dnshost": None}
        one |= {"modified_on": LONG_AGO, "created_on": LONG_AGO, "activated_on": LONG_AGO, "type": "full", "paused": False}
        one |= {"account": {"id": "a" * 32, "name": "test"}, "owner": {"id": "b" * 32, "type": "user"}, "meta": {}}
        one |= {"name_servers": ["a.ns.example", "b.ns.example"], "plan": {}}
        moving = one | {"id": "d" * 32, "name": "flare.example", "status": "pending"}
        return [moving] + [one | {"id": id, "name": name, "status": "active"} for id, name in self.zones.items()]

    def answer(self, method, path, query, fields, body):
        scheme, _, token = (fields["authorization"] or "").partition(" ")
        if scheme != "Bearer" or not re.fullmatch(r"[\w-]{40,}", token):
            chain = [(6111, "Invalid format for Authorization header")]
            raise self.failed(400, 6003, "Invalid request headers", chain)
        if token != TOKEN:
            raise self.failed(403, 9109, "Invalid access token")
        if (method, path) == ("GET", "/zones"):
            filters = ["name", "status", "account.id", "account.name"]
            known(query, [*filters, "page", "per_page", "order", "direction", "match"], "query")
            if int(query.get("per_page", 20)) > 50:
                raise self.failed(400, 1003, "per_page must be in the range [5, 50]")
            raise self.page([one for one in self.all() if query.get("name", one["name"]) == one["name"]], query)
        found = re.fullmatch(r"/zones/(\w{32})/dns_records(?:/(\w{32}))?", path)
        if not found or found[1] not in self.zones:
            raise self.failed(404, 7003, f"Could not route to {path}, perhaps your object identifier is invalid?")
        with lock:
            self.records(method, found[1], found[2], query, body)

    def records(self, method, zone, record, query, body):
        mine = [one for one in flare.values() if one["zone_id"] == zone]
        if method == "GET" and not record:
            exact = {"type": "type", "name.exact": "name", "content.exact": "content"}
            known(query, [*exact, "page", "per_page", "order", "direction", "match"], "query")
            given = {exact[key]: value.strip('"') for key, value in query.items() if key in exact}
            raise self.page([one for one in mine if all(one[key].strip('"') == value for key, value in given.items())], query)
        if method == "POST" and not record:
            known(body, ["type", "name", "content", "ttl", "proxied", "priority", "comment", "tags"], "body")
            if not (body["ttl"] == 1 or 60 <= body["ttl"] <= 86400):
                raise self.failed(400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
            if not body["name"].endswith(self.zones[zone]):
                raise self.failed(400, 9007, "Content for the record is invalid.")
            if any((one["name"], one["content"].strip('"')) == (body["name"], body["content"].strip('"')) for one in mine):
                raise self.failed(400, 81058, "An identical record already exists.")
            new = {"id": f"{next(numbers):032x}", "zone_id": zone, "proxiable": False, "proxied": False, "settings": {}}
            new |= {"created_on": LONG_AGO, "modified_on": LONG_AGO, "meta": {}, "tags": [], "comment": None}
            flare[new["id"]] = new = new | {key: body[key] for key in ("type", "name", "content", "ttl")}
            publish(new["name"])
            raise Answer(200, {"success": True, "errors": [], "messages": [], "result": new})
        if method == "DELETE" and record:
            if record not in flare:
                raise self.failed(404, 81044, "Record does not exist.")
            publish(flare.pop(record)["name"])
            raise Answer(200, {"success": True, "errors": [], "messages": [], "result": {"id": record}})
        raise self.failed(405, 10405, "Method not allowed for this authentication scheme")


class DeSec:
    """https://desec.io/api/v1: sets of records, few changes."""

    prefix = "/api/v1"
    domain = "sec.example"

    def answer(self, method, path, query, fields, body):
        if fields["authorization"] != f"Token {TOKEN}":
            raise Answer(401, {"detail": "Invalid token."}, **{"WWW-Authenticate": "Token"})
        if path == "/domains/" and method == "GET":
            known(query, ["owns_qname", "cursor"], "query")
            name = query.get("owns_qname", self.domain)
            one = {"created": LONG_AGO, "published": LONG_AGO, "touched": LONG_AGO, "name": self.domain, "minimum_ttl": 3600}
            raise Answer(200, [one] if ("." + name).endswith("." + self.domain) else [])
        found = re.fullmatch(rf"/domains/{re.escape(self.domain)}/rrsets/(?:([\w.@-]*?)(?:\.\.\.)?/([A-Z]+)/)?", path)
        if not found:
            raise Answer(404, {"detail": "Not found."})
        with lock:
            if method != "GET":
                self.throttle()
            self.one(method, found[1], found[2], body) if found[1] else self.many(method, body)

    @staticmethod
    def throttle():
        """Two changes in a second."""
        now = time.monotonic()
        writes[:] = [at for at in writes if now - at < 1]
        if len(writes) >= 2:
            detail = "Request was throttled. Expected available in 1 second."
            raise Answer(429, {"detail": detail}, **{"Retry-After": "1"})
        writes.append(now)

    def name(self, subname):
        return f"{subname}.{self.domain}" if subname else self.domain

    def write(self, subname, wanted, merge):
        """One set; what is wrong with it."""
        before = sets.get(self.name(subname))
        if merge and before:
            wanted = {"records": before["records"], "ttl": before["ttl"], "type": "TXT"} | wanted
        missing = [key for key in ("records", "ttl", "type") if key not in wanted]
        if missing:
            return {key: ["This field is required."] for key in missing}
        if set(wanted) - {"subname", "type", "ttl", "records", "domain", "name", "created", "touched"}:
            return {"non_field_errors": ["Unknown fields."]}
        if wanted["ttl"] < 3600:
            return {"ttl": ["Ensure this value is greater than or equal to 3600."]}
        if wanted["type"] != "TXT" or any(not re.fullmatch(r'"[^"]{1,255}"', value) for value in wanted["records"]):
            return {"records": ["Cannot parse record contents: Data for TXT records must be given in quotation marks."]}
        sets.pop(self.name(subname), None)
        if wanted["records"]:
            new = {"domain": self.domain, "subname": subname, "name": self.name(subname) + ".", "type": "TXT"}
            new |= {"created": LONG_AGO, "touched": LONG_AGO, "ttl": wanted["ttl"], "records": wanted["records"]}
            sets[self.name(subname)] = new
        publish(self.name(subname))
        return {}

    def one(self, method, subname, kind, body):
        subname = "" if subname == "@" else subname
        if self.name(subname) not in sets or kind != "TXT":
            raise Answer(204, None) if method == "DELETE" else Answer(404, {"detail": "Not found."})
        if method == "GET":
            raise Answer(200, sets[self.name(subname)])
        if method == "DELETE":
            body, method = {"records": []}, "PATCH"
        wrong = self.write(subname, body, merge=method == "PATCH")
        left = sets.get(self.name(subname))
        raise Answer(400, wrong) if wrong else Answer(200, left) if left else Answer(204, None)

    def many(self, method, body):
        if method == "GET":
            raise Answer(200, list(sets.values()))
        wanted = body if isinstance(body, list) else [body]
        if method == "POST" and any(self.name(one.get("subname", "")) in sets for one in wanted):
            raise Answer(400, {"non_field_errors": ["Another RRset with the same subdomain and type exists for this domain."]})
        wrong = [self.write(one.get("subname", ""), one, merge=method == "PATCH") for one in wanted]
        if any(wrong):
            raise Answer(400, wrong if isinstance(body, list) else wrong[0])
        written = [sets[name] for name in (self.name(one.get("subname", "")) for one in wanted) if name in sets]
        raise Answer(201 if method == "POST" else 200, written if isinstance(body, list) else written[0])


class AcmeDns:
    """A server of https://github.com/joohoi/acme-dns, with one account."""

    prefix = ""

    def answer(self, method, path, query, fields, body):
        if (method, path) != ("POST", "/update"):
            raise Answer(404, "404 page not found")
        if (fields["x-api-user"], fields["x-api-key"]) != (USER, KEY) or body.get("subdomain") != SUBDOMAIN:
            raise Answer(401, {"error": "forbidden"})
        if not re.fullmatch(r"[\w-]{43}", body.get("txt", "")):
            raise Answer(400, {"error": "bad_txt"})
        with lock:
            newest[:] = (newest + [body["txt"]])[-2:]
            publish("_acme-challenge." + DELEGATED)
        raise Answer(200, {"txt": body["txt"]})


APIS = [Cloudflare(), DeSec(), AcmeDns()]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def any(self):
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        api = next(api for api in APIS if path.startswith(api.prefix + "/"))
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
        answer = None
        try:
            body = json.loads(body) if body else None
            api.answer(self.command, urllib.parse.unquote(path[len(api.prefix) :]), query, self.headers, body)
        except Answer as given:
            answer = given
        except (KeyError, TypeError, ValueError, AttributeError) as wrong:
            answer = Answer(400, {"detail": f"{type(wrong).__name__}: {wrong}"})
        fields = {name.lower(): value for name, value in self.headers.items()}
        with lock:
            what = {"method": self.command, "path": path, "query": query, "status": answer.status}
            asked.append(what | {"fields": fields, "body": body})
        text = b"" if answer.body is None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, value in answer.fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = any

    def log_message(self, *_):
        pass


api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=api.serve_forever, daemon=True).start()
print("port", api.server_address[1])
for line in sys.stdin:
    with lock:
        known_now = {name: values for name, values in texts().items() if values}
        print(line.strip(), json.dumps({"asked": asked, "records": known_now}))
        asked.clear()
