"""A small image made on the spot: an OCI layout with one layer of Python packages, and a record about one of them."""

import hashlib
import json
import re
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import tidewaiter as tw

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests/fixtures"))

import tiny  # noqa: E402

RECORD = {
    "schema_version": "1.6.0",
    "id": "PYSEC-2020-1",
    "aliases": ["CVE-2020-0001"],
    "modified": "2024-01-01T00:00:00Z",
    "published": "2020-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "sample"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2.1"}]}],
        }
    ],
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
}


FILES = {
    "etc/os-release": tiny.OS,
    "usr/lib/python3/dist-packages/sample-1.2.0.dist-info/METADATA": tiny.metadata("sample", "1.2.0"),
    "usr/lib/python3/dist-packages/other-2.0.dist-info/METADATA": tiny.metadata("other", "2.0"),
}


def layout(folder, files):
    """An OCI image layout (image-spec 1.1, image-layout.md) with one plain layer."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(media_type, content):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    tar = blob("application/vnd.oci.image.layer.v1.tar", tiny.tar(files))
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [tar["digest"]]}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("application/vnd.oci.image.config.v1+json", config),
        "layers": [tar],
    }
    described = blob(manifest["mediaType"], manifest)
    described["platform"] = {"os": "linux", "architecture": "amd64"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return f"oci:{folder}"


@pytest.fixture
def another_image(tmp_path):
    """An image with one package more."""
    return layout(tmp_path / "another", dict(FILES, **{"usr/lib/python3/dist-packages/x-1.dist-info/METADATA": tiny.metadata("x", "1")}))


@pytest.fixture
def image(tmp_path):
    return layout(tmp_path / "image", FILES)


@pytest.fixture
def scanner(tmp_path):
    with tw.Scanner(advisories=tmp_path / "advisories.db", offline=True, cache=False) as scanner:
        yield scanner


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "PYSEC-2020-1.json"
    path.write_text(json.dumps(RECORD))
    return path


class Shelf(ThreadingHTTPServer):
    """A registry on loopback that serves layouts and remembers what it was asked for. It lives in the threads of this process: a call
    that kept the interpreter to itself would never be answered."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Clerk)
        self.images, self.requests = {}, []
        #: Set, it holds back the layers.
        self.holds = threading.Event()
        #: Set by the first request for a blob.
        self.asked = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def put(self, repository, tag, target):
        """Shows what :func:`layout` made, and gives the digest of the image."""
        folder = Path(target.removeprefix("oci:"))
        (manifest,) = json.loads((folder / "index.json").read_text())["manifests"]
        self.images.setdefault(repository, {})[tag] = (manifest["digest"], folder)
        return manifest["digest"]

    def blobs(self):
        """How often a blob was asked for."""
        return sum("/blobs/" in request for request in self.requests)


class Clerk(BaseHTTPRequestHandler):
    """Answers as the distribution specification says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        shelf, path = self.server, self.path.split("?")[0]
        shelf.requests.append(path)
        named = re.fullmatch(r"/v2/(.+)/(tags|manifests|blobs)/(.+)", path)
        if path == "/v2/":
            self.give({})
        elif path == "/v2/_catalog":
            self.give({"repositories": sorted(shelf.images)})
        elif named is None or named[1] not in shelf.images:
            self.give({"errors": [{"code": "NAME_UNKNOWN"}]}, status=404)
        elif named[2] == "tags":
            self.give({"name": named[1], "tags": sorted(shelf.images[named[1]])})
        else:
            self.find(named[2], shelf.images[named[1]], named[3])

    do_HEAD = do_GET

    def find(self, what, tags, name):
        digest = tags[name][0] if name in tags else name
        files = [folder / "blobs" / digest.replace(":", "/") for _, folder in tags.values()]
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            self.give({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)
            return
        if what == "blobs":
            self.server.asked.set()
            while self.server.holds.is_set():
                threading.Event().wait(0.05)
        kind = "application/vnd.oci.image.manifest.v1+json" if what == "manifests" else "application/octet-stream"
        self.give(file.read_bytes(), kind, digest)

    def give(self, body, kind="application/json", digest=None, status=200):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if digest is not None:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def shelf(tmp_path):
    """A registry with two repositories of two images: ``team/app:1.0``, ``team/app:2.0``, and ``team/web:1.0``, which is the first again."""
    newer = dict(FILES, **{"usr/lib/python3/dist-packages/sample-1.2.0.dist-info/METADATA": tiny.metadata("sample", "1.3.0")})
    old, new = layout(tmp_path / "old", FILES), layout(tmp_path / "new", newer)
    with Shelf() as shelf:
        shelf.put("team/app", "1.0", old)
        shelf.put("team/app", "2.0", new)
        shelf.put("team/web", "1.0", old)
        threading.Thread(target=shelf.serve_forever, daemon=True).start()
        yield shelf
        shelf.holds.clear()
        shelf.shutdown()


@pytest.fixture
def silent():
    """A registry that takes connections and never answers: its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        yield f"{host}:{port}"
