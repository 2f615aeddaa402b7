"""The formats for CI systems, as programs of others read them, of an image whose names try to break out of them."""

import hashlib
import io
import json
import tarfile
import xml.etree.ElementTree as ElementTree

import pytest
import tidewaiter as tw
import tiny
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif

EVIL = "evil<b>&\"'|`]](http://evil.example){0}@all\u202e"
FILES = {"sarif": "app.sarif", "gitlab": "gl-container-scanning-report.json", "junit": "junit.xml", "markdown": "app.md"}


def docker_archive(path, files):
    """What `docker save` writes of an image of one layer."""
    layer = tiny.tar(files)
    config = json.dumps({
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-11-01T00:00:00Z",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created_by": f"RUN echo {EVIL}\n\x1b[31m"}],
    }).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["app:1"], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as archive:
        for name, data in {"config.json": config, "layer.tar": layer, "manifest.json": manifest}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def image(tmp_path):
    names = ["libshared", EVIL]
    status = "".join(f"Package: {name}\nStatus: install ok installed\nVersion: 1.0\nArchitecture: amd64\n\n" for name in names)
    return docker_archive(tmp_path / "app.tar", {
        "etc/os-release": tiny.OS,
        "var/lib/dpkg/status": status,
        "usr/lib/python3/dist-packages/service_12-1.0.dist-info/METADATA": tiny.metadata("service-12", "1.0"),
        f"srv/{EVIL}/node_modules/x/package.json": "{",
    })


@pytest.fixture
def database(shell, tmp_path):
    record = tmp_path / "evil.json"
    record.write_text(json.dumps(tiny.record("DEBIAN-CVE-2026-0002", "Debian:12", EVIL, "2.0")))
    shell.run("advisories", "import", record, *tiny.write_records(tmp_path), "--db", tmp_path / "advisories.db")
    return tmp_path / "advisories.db"


def test_every_format_is_read_by_others_and_is_the_same_from_python(shell, image, database, tmp_path):
    outputs = [option for name in FILES.values() for option in ("-o", tmp_path / name)]
    scan = ["scan", f"docker-archive:{image}", "--advisories", database, "--offline", "--platform", "linux/amd64", "--quiet"]
    report = json.loads(shell.run(*scan, *outputs, "-o", "json=-", "--fail-on", "high", code=1))
    assert len(report["findings"]) == 3 and any(EVIL in package["name"] for package in report["packages"])
    written = {format: (tmp_path / name).read_bytes() for format, name in FILES.items()}

    log = Sarif.model_validate_json(written["sarif"])
    assert [len(run.results) for run in log.runs] == [3]
    assert len(json.loads(written["gitlab"])["vulnerabilities"]) == 3
    suite = ElementTree.fromstring(written["junit"]).find("testsuite")
    assert (suite.get("tests"), len(suite.findall("testcase/failure"))) == ("4", 3)
    rows = [line for line in written["markdown"].decode().splitlines() if line.startswith("|")]
    assert len(rows) == 5 and all(row.count("|") == 7 for row in rows)
    assert not any(b"<b>" in written[format] for format in ("junit", "markdown"))
    assert not any(b"\x1b" in text or "\u202e".encode() in text for text in written.values())

    with tw.Scanner(advisories=database, offline=True, cache=False) as scanner:
        again = scanner.scan(f"docker-archive:{image}", platform="linux/amd64")
        for format in FILES:
            again.write(tmp_path / "again", format=format)
            assert (tmp_path / "again").read_bytes() == written[format], format
    assert shell.run(*scan, "--format", "junit").encode() == written["junit"]
