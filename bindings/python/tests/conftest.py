"""A small image made on the spot: an OCI layout with one layer of Python packages, and a record about one of them."""

import hashlib
import io
import json
import tarfile

import pytest
import tidewaiter as tw

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


def metadata(name, version):
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


FILES = {
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "usr/lib/python3/dist-packages/sample-1.2.0.dist-info/METADATA": metadata("sample", "1.2.0"),
    "usr/lib/python3/dist-packages/other-2.0.dist-info/METADATA": metadata("other", "2.0"),
}


def layer(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def layout(folder, files):
    """An OCI image layout (image-spec 1.1, image-layout.md) with one plain layer."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(media_type, content):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    tar = blob("application/vnd.oci.image.layer.v1.tar", layer(files))
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
