"""Brings what others recorded of the real APIs of DNS hosts, with accounts of theirs, into a folder.

`recordings.py FOLDER` leaves `FOLDER/cloudflare` and `FOLDER/desec`, with a file of YAML for each of their tests: questions and
answers, as `vcrpy` writes them. Both come from where the sources of the programs are published that the recordings belong to:
those of dns-lexicon from Debian, as its package on PyPI has none, those of desec-dns from PyPI.
"""

import hashlib
import io
import lzma
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import urllib.request

DEBIAN = "https://deb.debian.org/debian"
# As in a release of Debian in the making: if it has moved on, the list of its sources knows where to.
LEXICON = ("pool/main/l/lexicon/lexicon_3.21.1.orig.tar.gz", "6fbfd33ca5e18897d75bbd530a853ca577e202b57dc8e67b06a5f0547e64eed6")
SOURCES = "dists/sid/main/source/Sources.xz"
DESEC_DNS = ("desec-dns==1.5.0", "70106ae478f39acf881130fcd7fc88fae57b5014e9c9b672ef31b5102f8a0fa8")


def fetch(path):
    with urllib.request.urlopen(f"{DEBIAN}/{path}", timeout=30) as answer:
        return answer.read()


def current():
    """Where the source of lexicon is now, and its hash."""
    stanzas = lzma.decompress(fetch(SOURCES)).decode().split("\n\n")
    stanza = next(stanza for stanza in stanzas if stanza.startswith("Package: lexicon\n"))
    folder = re.search(r"^Directory: (\S+)$", stanza, re.M)[1]
    hash, name = re.search(r"^ ([0-9a-f]{64}) \d+ (\S+\.orig\.tar\.\w+)$", stanza, re.M).groups()
    return f"{folder}/{name}", hash


def lexicon():
    path, hash = LEXICON
    try:
        archive = fetch(path)
    except OSError:
        path, hash = current()
        archive = fetch(path)
    return checked(archive, hash)


def desec_dns():
    what, hash = DESEC_DNS
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--no-binary", "desec-dns", "--dest", folder, what], check=True)
        return checked(next(pathlib.Path(folder).iterdir()).read_bytes(), hash)


def checked(archive, hash):
    if hashlib.sha256(archive).hexdigest() != hash:
        raise SystemExit("what came is not what was asked for")
    return archive


def unpack(archive, within, folder):
    """The recordings of an archive."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if f"/{within}/" in member.name and member.name.endswith(".yaml"):
                (folder / pathlib.Path(member.name).name).write_bytes(tar.extractfile(member).read())


def main(folder):
    # Beside its place first, so that what is there is whole.
    with tempfile.TemporaryDirectory(dir=folder.parent) as new:
        new = pathlib.Path(new)
        unpack(lexicon(), "tests/fixtures/cassettes/cloudflare", new / "all/cloudflare")
        unpack(desec_dns(), "tests/cassettes", new / "all/desec")
        (new / "all").rename(folder)


main(pathlib.Path(sys.argv[1]))
