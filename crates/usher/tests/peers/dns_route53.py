"""Route 53 of moto, which is not told how requests are made, behind a check of their signatures by Amazon's own library.

`dns_route53.py MANAGEMENT` has hosted zones of many records, and hands TXT records to the name server whose management is
at MANAGEMENT (pebble-challtestsrv). A line on standard input asks for the TXT records, and for how often something was
changed and somebody refused.
"""

import datetime
import io
import json
import logging
import re
import sys
import threading
import urllib.request

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)
REFUSED = """<?xml version="1.0"?><ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error>
<Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match the
signature you provided.</Message></Error><RequestId>0</RequestId></ErrorResponse>"""
ZONES = ["other.example", "aws.example", "sub.aws.example"]
KEPT = '"said <by> somebody & "  "else"'

counts = {"refused": 0, "changes": 0}
moto = DomainDispatcherApplication(create_backend_app)


def is_signed(environ, body):
    """Computes the signature once more, of what came (AWS Signature Version 4)."""
    found = AUTHORIZATION.fullmatch(environ.get("HTTP_AUTHORIZATION", ""))
    if not found or found[1] != KEY or (found[3], found[4]) != ("us-east-1", "route53"):
        return False
    fields = {name: environ.get("HTTP_" + name.upper().replace("-", "_"), "") for name in found[5].split(";")}
    date = datetime.datetime.strptime(fields.get("x-amz-date", ""), "%Y%m%dT%H%M%SZ")
    age = datetime.datetime.utcnow() - date
    if "host" not in fields or abs(age.total_seconds()) > 300 or found[2] != fields["x-amz-date"][:8]:
        return False
    url = f"http://{environ['HTTP_HOST']}{environ['RAW_URI']}"
    request = AWSRequest(environ["REQUEST_METHOD"], url, fields, body)
    request.context["timestamp"] = fields["x-amz-date"]
    signer = SigV4Auth(Credentials(KEY, SECRET), found[4], found[3])
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return signer.signature(text, request) == found[6]


def application(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    try:
        let_in = is_signed(environ, body)
    except (KeyError, ValueError):
        let_in = False
    if not let_in:
        counts["refused"] += 1
        start_response("403 Forbidden", [("Content-Type", "text/xml")])
        return [REFUSED.encode()]
    environ["wsgi.input"] = io.BytesIO(body)
    answer = list(moto(environ, start_response))
    if b"<ChangeBatch>" in body:
        counts["changes"] += 1
        for name in set(re.findall(r"<Name>(_acme-challenge\.[^<]*?)\.?</Name>", body.decode())):
            with publishing:
                publish(name)
    return answer


def sets():
    """All sets of TXT records but those that only fill: of their names, values, and how long they live."""
    found = []
    for zone in client.list_hosted_zones()["HostedZones"]:
        where = "private" if zone["Config"]["PrivateZone"] else zone["Name"]
        for page in client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone["Id"]):
            all = [one for one in page["ResourceRecordSets"] if one["Type"] == "TXT" and one["Name"][0] != "n"]
            for one in all:
                values = [record["Value"] for record in one["ResourceRecords"]]
                found.append([one["Name"].rstrip("."), [where, one["TTL"]], values])
    return found


published = {}
publishing = threading.Lock()


def publish(name):
    """Has the name server say what was written. What was removed stays while there is more at the name: it could only be
    taken away together with what an authority is about to look for."""

    def manage(path, **body):
        text = json.dumps({"host": name + ".", **body}).encode()
        urllib.request.urlopen(f"http://{sys.argv[1]}/{path}", text).read()

    of_name = [values for found, (where, _), values in sets() if found == name and where != "private"]
    now = {value.strip('"') for values in of_name for value in values}
    before = published.pop(name, set())
    if not now:
        return manage("clear-txt")
    for value in now - before:
        manage("set-txt", value=value)
    published[name] = before | now


def fill():
    """Of one name are a private zone and then a public one; many records stand before those that are asked for."""
    vpc = {"VPCRegion": "us-east-1", "VPCId": "vpc-0a1b2c3d"}
    private = {"PrivateZone": True, "Comment": ""}
    client.create_hosted_zone(Name="aws.example.", CallerReference="0", VPC=vpc, HostedZoneConfig=private)
    for name in ZONES:
        zone = client.create_hosted_zone(Name=name + ".", CallerReference=name)["HostedZone"]["Id"]
        record = lambda name, value: {"Name": name, "Type": "TXT", "TTL": 300, "ResourceRecords": [{"Value": value}]}
        all = [record(f"n{number}.{name}.", '"number"') for number in range(120)]
        if name == "aws.example":
            all.append(record("_acme-challenge.aws.example.", KEPT))
        changes = [{"Action": "CREATE", "ResourceRecordSet": one} for one in all]
        client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})


logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = make_server("127.0.0.1", 0, application, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
client = boto3.client("route53", "us-east-1", endpoint_url=url, aws_access_key_id=KEY, aws_secret_access_key=SECRET)
fill()
# Whom the check refuses, it would not know better: a body of another's making, another secret.
for secret in (SECRET[1:], SECRET):
    other = boto3.client("route53", "us-east-1", endpoint_url=url, aws_access_key_id=KEY, aws_secret_access_key=secret)
    try:
        other.list_hosted_zones_by_name(DNSName="aws.example", MaxItems="1")
        assert secret == SECRET
    except other.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "SignatureDoesNotMatch" and secret != SECRET
assert counts["refused"] == 1, counts
counts.update({"refused": 0, "changes": 0})
print("port", server.server_port)
for line in sys.stdin:
    print(line.strip(), json.dumps({"sets": sets(), "counts": counts}))
