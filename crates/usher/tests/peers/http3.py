"""Two more clients of HTTP/3: libcurl with ngtcp2 (pycurl), and with BoringSSL as a browser has it (curl-cffi)."""

import io
import os
import sys

CONTENT = os.urandom(1 << 20)
ONLY_3 = 31  # CURL_HTTP_VERSION_3ONLY


def handle(url, ca, version, body=None):
    import pycurl

    made, out = pycurl.Curl(), io.BytesIO()
    made.setopt(pycurl.URL, url)
    made.setopt(pycurl.CAINFO, ca)
    made.setopt(pycurl.RESOLVE, [f"site.test:{url.split('/')[2].split(':')[1]}:127.0.0.1"])
    made.setopt(pycurl.HTTP_VERSION, version)
    made.setopt(pycurl.TIMEOUT, 50)
    made.setopt(pycurl.WRITEDATA, out)
    if body is not None:
        made.setopt(pycurl.POSTFIELDS, body)
    return made, out


def pycurl(base, ca):
    import pycurl

    for path, body in [("/echo", b""), ("/large", None), ("/echo", CONTENT)]:
        made, out = handle(base + path, ca, ONLY_3, body)
        made.perform()
        assert made.getinfo(pycurl.RESPONSE_CODE) == 200
        assert made.getinfo(pycurl.INFO_HTTP_VERSION) == 30
        assert path == "/large" and len(out.getvalue()) == 5 << 20 or out.getvalue() == (body or b"")
        made.close()

    # Many at once on a connection.
    many, handles = pycurl.CurlMulti(), []
    for number in range(60):
        made, out = handle(f"{base}/echo", ca, ONLY_3, b"%d" % number * 1000)
        made.setopt(pycurl.PIPEWAIT, 1)
        many.add_handle(made)
        handles.append((made, out))
    active = 1
    while active:
        _, active = many.perform()
        many.select(1.0)
    for number, (made, out) in enumerate(handles):
        assert made.getinfo(pycurl.RESPONSE_CODE) == 200, made.errstr()
        assert out.getvalue() == b"%d" % number * 1000


def curl_cffi(base, ca):
    from curl_cffi import CurlOpt, requests

    port = base.rsplit(":", 1)[1]
    options = {CurlOpt.RESOLVE: [f"site.test:{port}:127.0.0.1"]}
    with requests.Session(verify=ca, http_version="v3only", impersonate="chrome", curl_options=options) as session:
        for _ in range(20):
            answer = session.get(base + "/echo", timeout=50)
            assert (answer.status_code, answer.http_version) == (200, 30), answer.http_version
        assert len(session.get(base + "/large", timeout=50).content) == 5 << 20
        assert session.post(base + "/echo", data=CONTENT, timeout=50).content == CONTENT
    told(base, ca, options)


def told(base, ca, options):
    """A client that was told of HTTP/3 (Alt-Svc, RFC 7838) comes back with it."""
    from curl_cffi import Curl, CurlInfo, CurlOpt

    one = Curl()
    for option, value in {**options, CurlOpt.URL: base + "/seen", CurlOpt.CAINFO: ca, CurlOpt.TIMEOUT: 50}.items():
        one.setopt(option, value)
    one.setopt(CurlOpt.ALTSVC, "altsvc")
    one.setopt(CurlOpt.ALTSVC_CTRL, 0b111000)  # HTTP/1, 2 and 3
    versions, out = [], io.BytesIO()
    for _ in range(3):
        one.setopt(CurlOpt.FRESH_CONNECT, 1)
        one.setopt(CurlOpt.WRITEDATA, out)
        one.perform(clear_headers=False)
        versions.append(one.getinfo(CurlInfo.HTTP_VERSION))
    assert versions == [3, 30, 30], versions  # CURL_HTTP_VERSION_2_0, CURL_HTTP_VERSION_3
    one.close()


globals()[sys.argv[1]](*sys.argv[2:])
print("done")
