"""Reports as SBOMs, held against the validators of others; a saved report in another format; an SBOM in the place of an image."""

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import pytest
import tidewaiter as tw
from conftest import PROGRAM, ROOT, TARGET, Shell
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


@pytest.fixture(scope="module")
def reports(corpus, advisories, tmp_path_factory):
    """One scan of a real image, in every format that this is about."""
    folder = tmp_path_factory.mktemp("sbom")
    files = {name: folder / f"app.{end}" for name, end in (("json", "json"), ("cyclonedx", "cdx.json"), ("spdx", "spdx.json"))}
    image = f"oci-archive:{corpus / 'images/debian12-meta/app-oci.tar'}"
    outputs = [word for file in files.values() for word in ("-o", file)]
    Shell(folder).run("scan", image, "--advisories", advisories, "--offline", "--no-cache", "--quiet", *outputs)
    return files


def cyclonedx_errors(text):
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return error and str(error)


def spdx_errors(file):
    done = subprocess.run([Path(sys.executable).parent / "pyspdxtools", "-i", file], capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else None


def findings(report):
    return {(finding["id"], finding["package"], finding["status"], *finding["fixed"]) for finding in report["findings"]}


def purls(report):
    return {package["purl"] for package in report["packages"]}


def test_others_take_the_sboms(reports):
    text = reports["cyclonedx"].read_text()
    document = json.loads(text)
    assert len(document["components"]) > 50 and len(document["vulnerabilities"]) > 5
    assert cyclonedx_errors(text) is None
    assert "is not one of" in cyclonedx_errors(text.replace('"type":"library"', '"type":"book"', 1))
    assert spdx_errors(reports["spdx"]) is None
    spoilt = reports["spdx"].with_name("spoilt.spdx.json")
    spoilt.write_text(reports["spdx"].read_text().replace('"licenseDeclared":"', '"licenseDeclared":"Nonsense-1 AND ', 1))
    assert "Nonsense-1" in spdx_errors(spoilt)


def test_others_take_every_licence_and_hostile_text(shell, reports, tmp_path):
    report = json.loads(reports["json"].read_text())
    names = (ROOT / "core/src/format/license/ids.txt").read_text().split()
    package = next(package for package in report["packages"] if package["type"] == "deb")
    strange = ["", " ", "GPL-2+", 'a "quoted" one', "\u0001\ud83e\udd80", "x" * 5000, "MIT OR ISC", "NOASSERTION", "NONE", "LicenseRef-x"]
    report["packages"] = [
        {**package, "licenses": names},
        {**package, "name": '\u00e9"/_@:', "version": "1\u0001\n", "purl": "pkg:deb/debian/x@1", "source": None, "licenses": strange},
        {**package, "name": "z", "version": "v" * 2000, "purl": "pkg:deb/debian/z@v", "source": None, "licenses": ["mit and isc"]},
    ]
    report["findings"] = []
    saved, cdx, spdx = (tmp_path / name for name in ("a.json", "a.cdx.json", "a.spdx.json"))
    saved.write_text(json.dumps(report))
    shell.run("convert", saved, "-o", cdx, "-o", spdx)
    assert cyclonedx_errors(cdx.read_text()) is None
    assert len(json.loads(cdx.read_text())["components"][1]["licenses"]) == len(names)
    document = json.loads(spdx.read_text())
    # The ids are too many for the other validator's own list, which is older.
    document["packages"][2]["licenseDeclared"] = "MIT"
    spdx.write_text(json.dumps(document))
    assert spdx_errors(spdx) is None


def test_a_saved_report_is_converted_to_the_same_bytes(shell, reports, tmp_path):
    shell.run("convert", reports["json"], *[word for name in reports for word in ("-o", f"{name}={tmp_path / name}")])
    for name, file in reports.items():
        assert (tmp_path / name).read_bytes() == file.read_bytes(), name
    saved = reports["json"].read_text()
    assert shell.run("convert", "-", "--format", "json", input=saved * 2) == saved * 2
    assert "CVE-" in shell.run("convert", reports["json"])


def test_what_is_no_report_is_refused(reports, tmp_path):
    broken = tmp_path / "broken.json"
    for text, told in (
        ("", "no report in it"),
        ("{}", "no report"),
        (reports["json"].read_text().replace("report:1", "report:9", 1), "schema"),
        (reports["cyclonedx"].read_text(), "no report"),
    ):
        broken.write_text(text)
        done = subprocess.run([PROGRAM, "convert", broken, "-o", tmp_path / "out.cdx.json"], capture_output=True, text=True)
        assert done.returncode == 2 and told in done.stderr, done.stderr
        assert not (tmp_path / "out.cdx.json").exists()


@pytest.mark.parametrize("name", ["cyclonedx", "spdx"])
def test_an_sbom_has_the_findings_of_its_image(shell, reports, advisories, name):
    of_image = json.loads(reports["json"].read_text())
    of_sbom = shell.scan(f"sbom:{reports[name]}", "--advisories", advisories, "--offline")
    assert purls(of_sbom) == purls(of_image) and of_sbom["distro"] == of_image["distro"]
    assert of_sbom["layers"][0]["digest"] == of_sbom["subject"]["digest"]
    if name == "cyclonedx":
        assert findings(of_sbom) == findings(of_image)
        assert of_sbom["subject"]["platform"] == of_image["subject"]["platform"]
    else:
        # Who owns a package has no place in SPDX, so more is told.
        assert findings(of_sbom) >= findings(of_image) != set()
    assert of_sbom["problems"] == [] or {problem["kind"] for problem in of_sbom["problems"]} <= {
        problem["kind"] for problem in of_image["problems"]
    }


def test_python_and_c_read_a_saved_report(reports, tmp_path):
    (report,) = tw.read_reports(reports["json"])
    assert report.to_json() + "\n" == reports["json"].read_text()
    report.write(tmp_path / "python.cdx.json")
    assert (tmp_path / "python.cdx.json").read_bytes() == reports["cyclonedx"].read_bytes()
    with pytest.raises(tw.Corrupt):
        tw.read_reports(reports["spdx"])
    with pytest.raises(tw.NotFound):
        tw.read_reports(tmp_path / "nothing")

    library = ctypes.CDLL(str(TARGET / "debug/libtidewaiter_c.so"))
    read, error = ctypes.c_void_p(), ctypes.c_void_p()
    assert library.tw_report_read(str(reports["json"]).encode(), ctypes.byref(read), ctypes.byref(error)) == 0
    out = tmp_path / "c.spdx.json"
    assert library.tw_report_write(read, None, str(out).encode(), ctypes.byref(error)) == 0
    assert out.read_bytes() == reports["spdx"].read_bytes()
    library.tw_report_free(read)
