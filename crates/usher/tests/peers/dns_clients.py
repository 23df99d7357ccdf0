"""The plugins of certbot for Cloudflare, deSEC and acme-dns, with what they are made of, and another client of deSEC, against
the APIs at an address.

Cloudflare's own library is made from its description of the API and is told to take nothing else; deSEC's plugin is its own.
"""

import sys

import cloudflare
import desec.api
from certbot_acme_dns._internal.acme_dns import AcmeDns, AcmeDnsAccount
from certbot_dns_cloudflare._internal.dns_cloudflare import _CloudflareClient
from certbot_dns_desec.dns_desec import _DesecConfigClient

BASE, TOKEN, USER, KEY, SUBDOMAIN = sys.argv[1:]


def at_cloudflare():
    client = _CloudflareClient(api_token=TOKEN)
    base = f"{BASE}/client/v4"
    client.cf = cloudflare.Cloudflare(api_token=TOKEN, base_url=base, max_retries=0, _strict_response_validation=True)
    client.cf.zones.list(name="sub.flare.example")
    name = "_acme-challenge.a.sub.flare.example"
    for value in ("one", "two", "two"):
        client.add_txt_record("a.sub.flare.example", name, value, 120)
    zone = client._find_zone_id("a.sub.flare.example")
    all = list(client.cf.dns.records.list(zone_id=zone, type="TXT", name={"exact": name}, per_page=1))
    assert [record.content for record in all] == ["one", "two"], all
    for value in ("one", "two"):
        client.del_txt_record("a.sub.flare.example", name, value)
    assert not list(client.cf.dns.records.list(zone_id=zone))
    wrong = cloudflare.Cloudflare(api_token="short", base_url=base, max_retries=0)
    try:
        wrong.zones.list(name="flare.example")
        raise AssertionError("taken")
    except cloudflare.BadRequestError as error:
        assert error.errors[0].code == 6003, error.errors


def at_desec():
    client = _DesecConfigClient(f"{BASE}/api/v1", TOKEN)
    zone = client.get_authoritative_zone("_acme-challenge.a.sec.example")
    values = {'"one"', '"two"', '"three"'}
    # More than two changes in a second: it must be told to wait, and for how long.
    for count in range(1, 4):
        wanted = set(sorted(values)[:count])
        client.set_txt_rrset(zone, "_acme-challenge.a", wanted)
        assert client.get_txt_rrset(zone, "_acme-challenge.a") == wanted
    client.set_txt_rrset(zone, "_acme-challenge.a", set())
    assert client.get_txt_rrset(zone, "_acme-challenge.a") == set()


def at_desec_by_lists():
    desec.api.API_BASE_URL = f"{BASE}/api/v1"
    client = desec.api.APIClient(TOKEN)
    [zone] = [domain["name"] for domain in client.list_domains()]
    name = "_acme-challenge.b"
    for records in (['"one"'], ['"one"', '"two"'], []):
        client.update_bulk_record(zone, [{"subname": name, "type": "TXT", "ttl": 3600, "records": records}])
        found = [one["records"] for one in client.get_records(zone, rtype="TXT", subname=name)]
        assert found == [records] * bool(records), found


def at_acme_dns():
    account = AcmeDnsAccount(BASE, USER, KEY, f"{SUBDOMAIN}.auth.example", SUBDOMAIN)
    for value in ("x" * 43, "y" * 43):
        AcmeDns(account).update(value)


for client in (at_cloudflare, at_desec, at_desec_by_lists, at_acme_dns):
    client()
print("done")
