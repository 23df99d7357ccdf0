"""The APIs of Cloudflare, deSEC and acme-dns, as far as DNS-01 needs them, strict about what they are asked.

`dns_apis.py MANAGEMENT` serves them on one port. Whatever is written is handed to the name server whose management is at
MANAGEMENT (pebble-challtestsrv). A line on standard input asks for all that was asked since the last one, and for the
records. What is right here is told by clients of others: `dns_clients.py`.
"""

import http.server
import itertools
import json
import math
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
# Of Cloudflare: records by identifier. Of deSEC: sets by name. Of acme-dns: two texts, with when they were written.
flare, sets, rows = {}, {}, [{"at": 0, "text": ""}, {"at": 0, "text": ""}]


def texts():
    """All TXT records: name to values."""
    found = {}
    for record in flare.values():
        found.setdefault(record["name"], []).append(record["content"].strip('"'))
    for name, one in sets.items():
        found.setdefault(name, []).extend(value.strip('"') for value in one["records"])
    found.setdefault("_acme-challenge." + DELEGATED, []).extend(row["text"] for row in rows if row["text"])
    return found


published = {}


def publish(name):
    """Has the name server say what was written. The alias of acme-dns was followed for it. What was removed elsewhere stays
    while there is more at the name: it could only be taken away together with what an authority is about to look for."""

    def manage(path, **body):
        body = json.dumps({"host": name + ".", **body}).encode()
        urllib.request.urlopen(f"http://{sys.argv[1]}/{path}", body).read()

    now = set(texts().get(name, []))
    before = published.pop(name, set())
    if not now or name.endswith(DELEGATED):
        manage("clear-txt")
        before = set()
    for value in now - before:
        manage("set-txt", value=value)
    if now:
        published[name] = before | now


class Answer(Exception):
    """A status, a body, which becomes JSON unless it is text, and fields."""

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
    def page(found, query, least):
        page, size = int(query.get("page", 1)), int(query.get("per_page", 20))
        part = found[(page - 1) * size : page * size]
        pages = max(-(-len(found) // size), least)
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
            raise self.page([one for one in self.all() if query.get("name", one["name"]) == one["name"]], query, 0)
        found = re.fullmatch(r"/zones/(\w{32})/dns_records(?:/(\w{32}))?", path)
        if not found:
            path = self.prefix + path
            raise self.failed(404, 7003, f"Could not route to {path}, perhaps your object identifier is invalid?")
        if found[1] not in self.zones:
            raise self.failed(403, 9109, "Unauthorized to access requested resource")
        with lock:
            self.records(method, found[1], found[2], query, body)

    def records(self, method, zone, record, query, body):
        mine = [one for one in flare.values() if one["zone_id"] == zone]
        if method == "GET" and not record:
            exact = {"type": "type", "name.exact": "name", "content.exact": "content"}
            known(query, [*exact, "page", "per_page", "order", "direction", "match"], "query")
            given = {exact[key]: value.strip('"') for key, value in query.items() if key in exact}
            found = [one for one in mine if all(one[key].strip('"') == value for key, value in given.items())]
            raise self.page(found, query, 1)
        if method == "POST" and not record:
            known(body, ["type", "name", "content", "ttl", "proxied", "priority", "comment", "tags"], "body")
            if not (body["ttl"] == 1 or 60 <= body["ttl"] <= 86400):
                chain = [(9021, "TTL must be between 60 and 86400 seconds, or 1 for Automatic.")]
                raise self.failed(400, 1004, "DNS Validation Error", chain)
            # A name that is not in the zone is one below it.
            if not ("." + body["name"]).endswith("." + self.zones[zone]):
                body = body | {"name": f"{body['name']}.{self.zones[zone]}"}
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
    # Requests in so many seconds.
    limits = {"read": [(10, 1), (50, 60)], "write": [(2, 1), (15, 60), (100, 3600), (300, 86400)]}
    asked = {"read": [], "write": []}

    def answer(self, method, path, query, fields, body):
        if fields["authorization"] != f"Token {TOKEN}":
            raise Answer(401, {"detail": "Invalid token."}, **{"WWW-Authenticate": "Token"})
        scope = "read" if method == "GET" else "write"
        if path == "/domains/" and method == "GET":
            self.throttle(scope)
            known(query, ["owns_qname", "cursor"], "query")
            name = query.get("owns_qname", self.domain)
            one = {"created": LONG_AGO, "published": LONG_AGO, "touched": LONG_AGO, "name": self.domain, "minimum_ttl": 3600}
            raise Answer(200, [one] if ("." + name).endswith("." + self.domain) else [])
        found = re.fullmatch(rf"/domains/{re.escape(self.domain)}/rrsets/(?:([\w.@-]*?)(?:\.\.\.)?/([A-Z]+)/)?", path)
        if not found:
            raise Answer(404, {"detail": "Not found."})
        with lock:
            self.throttle(scope)
            self.one(method, found[1], found[2], body) if found[1] else self.many(method, query, body)

    def throttle(self, scope):
        """What is refused does not count."""
        with lock:
            now, before = time.monotonic(), self.asked[scope]
            for count, seconds in self.limits[scope]:
                within = [at for at in before if now - at < seconds]
                if len(within) >= count:
                    wait = max(math.ceil(seconds - (now - within[0])), 1)
                    detail = f"Request was throttled. Expected available in {wait} second{'s' if wait > 1 else ''}."
                    raise Answer(429, {"detail": detail}, **{"Retry-After": str(wait)})
            before.append(now)

    def name(self, subname):
        return f"{subname}.{self.domain}" if subname else self.domain

    def merged(self, wanted, method):
        before = sets.get(self.name(wanted.get("subname", "")))
        return {key: before[key] for key in ("records", "ttl", "type")} | wanted if method == "PATCH" and before else wanted

    def wrong(self, wanted, method, needed):
        """What is wrong with a set."""
        missing = [key for key in needed if key not in wanted]
        if missing:
            return {key: ["This field is required."] for key in missing}
        if set(wanted) - {"subname", "type", "ttl", "records", "domain", "name", "created", "touched"}:
            return {"non_field_errors": ["Unknown fields."]}
        if not re.fullmatch(r"|(\*\.)?([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}", wanted.get("subname", "")):
            return {"subname": ["This is no name."]}
        if not 3600 <= wanted["ttl"] <= 86400:
            return {"ttl": ["Ensure this value is greater than or equal to 3600."]}
        if method == "POST" and not wanted["records"]:
            return {"records": ["This field must not be empty when using POST."]}
        if wanted["type"] != "TXT" or any(not re.fullmatch(r'"[^"]{1,255}"', value) for value in wanted["records"]):
            return {"non_field_errors": ["Data for TXT records must be given using quotation marks."]}
        if len(set(wanted["records"])) < len(wanted["records"]):
            return {"non_field_errors": ["Duplicate: records must be semantically unique"]}
        return {}

    def write(self, wanted):
        name = self.name(wanted.get("subname", ""))
        sets.pop(name, None)
        if wanted["records"]:
            new = {"domain": self.domain, "subname": wanted.get("subname", ""), "name": name + ".", "type": "TXT"}
            new |= {"created": LONG_AGO, "touched": LONG_AGO, "ttl": wanted["ttl"], "records": wanted["records"]}
            sets[name] = new
        publish(name)
        return sets.get(name)

    def one(self, method, subname, kind, body):
        subname = "" if subname == "@" else subname
        if self.name(subname) not in sets or kind != "TXT":
            raise Answer(204, None) if method == "DELETE" else Answer(404, {"detail": "Not found."})
        if method == "GET":
            raise Answer(200, sets[self.name(subname)])
        if method == "DELETE":
            body, method = {"records": []}, "PATCH"
        wanted = self.merged({"subname": subname} | body, method)
        wrong = self.wrong(wanted, method, ["records", "ttl", "type"])
        if wrong:
            raise Answer(400, wrong)
        left = self.write(wanted)
        raise Answer(200, left) if left else Answer(204, None)

    def many(self, method, query, body):
        if method == "GET":
            known(query, ["subname", "type", "cursor"], "query")
            raise Answer(200, [one for one in sets.values() if all(one[key] == query.get(key, one[key]) for key in ("subname", "type"))])
        if method == "DELETE":
            raise Answer(405, {"detail": 'Method "DELETE" not allowed.'})
        bulk = isinstance(body, list)
        if not bulk and method != "POST":
            raise Answer(400, {"non_field_errors": [f"Expected a list of items but got {type(body).__name__}."]})
        wanted = [self.merged(one, method) for one in (body if bulk else [body])]
        if method == "POST" and any(self.name(one.get("subname", "")) in sets for one in wanted):
            raise Answer(400, {"non_field_errors": ["Another RRset with the same subdomain and type exists for this domain."]})
        needed = ["records", "ttl", "type"] + (["subname"] if bulk else [])
        wrong = [self.wrong(one, method, needed) for one in wanted]
        if any(wrong):
            raise Answer(400, wrong if bulk else wrong[0])
        written = [one for one in map(self.write, wanted) if one]
        raise Answer(201 if method == "POST" else 200, written if bulk else written[0])


class AcmeDns:
    """A server of https://github.com/joohoi/acme-dns, with one account."""

    prefix = ""

    def answer(self, method, path, query, fields, body):
        if path != "/update":
            raise Answer(404, "404 page not found\n")
        if method != "POST":
            raise Answer(405, "Method Not Allowed\n", Allow="OPTIONS, POST")
        body = body if isinstance(body, dict) else {}
        if (fields["x-api-user"], fields["x-api-key"]) != (USER, KEY) or body.get("subdomain") != SUBDOMAIN:
            raise Answer(401, {"error": "forbidden"})
        if not re.fullmatch(r"[\w-]{43}", body.get("txt", "")):
            raise Answer(400, {"error": "bad_txt"})
        with lock:
            # It counts whole seconds: of two that are of the same age, the first one is overwritten.
            min(rows, key=lambda row: row["at"]).update(at=int(time.time()), text=body["txt"])
            publish("_acme-challenge." + DELEGATED)
        raise Answer(200, {"txt": body["txt"]})


def parsed(body):
    """JSON; None if it is none."""
    try:
        return json.loads(body)
    except ValueError:
        return None


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
            body = parsed(body)
            api.answer(self.command, urllib.parse.unquote(path[len(api.prefix) :]), query, self.headers, body)
        except Answer as given:
            answer = given
        except (KeyError, TypeError, ValueError, AttributeError) as wrong:
            answer = Answer(400, {"detail": f"{type(wrong).__name__}: {wrong}"})
        fields = {name.lower(): value for name, value in self.headers.items()}
        with lock:
            what = {"method": self.command, "path": path, "query": query, "status": answer.status}
            asked.append(what | {"fields": fields, "body": body})
        is_text = isinstance(answer.body, str)
        text = answer.body if is_text else "" if answer.body is None else json.dumps(answer.body)
        text = text.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "text/plain" if is_text else "application/json")
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
