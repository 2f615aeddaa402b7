"""Images of the corpus, whose contents other programs wrote down."""

import json
import subprocess
import tarfile

import pytest
from conftest import packages, same_name

FORMS = {"oci-archive": "app-oci.tar", "oci": "app-oci-zstd-layout.tar", "docker-archive": "app-docker.tar.zst"}


@pytest.fixture(scope="module", params=FORMS)
def debian12_meta(request, corpus, tmp_path_factory):
    """What the command line takes: one image, three forms."""
    packed = corpus / "images/debian12-meta" / FORMS[request.param]
    if request.param != "oci":
        return f"{request.param}:{packed}"
    layout = tmp_path_factory.mktemp("layout")
    subprocess.run(["tar", "-xf", packed, "-C", layout], check=True)
    return f"oci:{layout}"


def test_debian12_meta_has_the_packages_and_advisories_that_were_written_down(shell, corpus, advisories, debian12_meta):
    rows = json.loads((corpus / "images/debian12-meta/expected-packages.json").read_text())
    expected = {}
    for row in rows:
        if row["type"] in ("deb", "npm", "pypi", "cargo", "maven"):
            key = row["type"], same_name(row["type"], row["name"]), row["version"]
            expected.setdefault(key, set()).update(row.get("expected_ids", []))
    report = shell.scan(debian12_meta, "--advisories", advisories, "--offline", "--no-cache", "--include-owned")
    assert sorted(packages(report) ^ expected.keys()) == []

    by_purl = {row["purl"]: (row["type"], same_name(row["type"], row["name"]), row["version"]) for row in report["packages"]}
    found = {}
    for finding in report["findings"]:
        ids = {finding["id"], *finding["aliases"], finding["evidence"]["record"]}
        key = by_purl[finding["package"]]
        assert ids & expected[key], f"{key}: nobody else finds {sorted(ids)}"
        found.setdefault(key, set()).update(ids)
    missing = {key: sorted(ids - found.get(key, set())) for key, ids in expected.items()}
    assert {key: ids for key, ids in missing.items() if ids} == {}


@pytest.mark.parametrize("release", ["310", "311"])
def test_alpine_has_what_its_database_lists(shell, corpus, release):
    image = corpus / f"images/alpine-{release}.tar.gz"
    report = shell.scan(f"docker-archive:{image}", "--offline", "--no-cache")
    assert packages(report) == apk_installed(image)
    assert report["distro"]["ecosystem"] == f"Alpine:v3.{release[1:]}"


def apk_installed(image):
    """P: and V: of each record of lib/apk/db/installed, in an image of one layer."""
    with tarfile.open(image) as outer:
        (manifest,) = json.load(outer.extractfile("manifest.json"))
        (layer,) = manifest["Layers"]
        with tarfile.open(fileobj=outer.extractfile(layer)) as inner:
            text = inner.extractfile("lib/apk/db/installed").read().decode()
    records = [dict(line.split(":", 1) for line in record.splitlines() if line[1:2] == ":") for record in text.split("\n\n")]
    return {("apk", record["P"], record["V"]) for record in records if "P" in record}
