"""A Debian 12 image with packages of apt, pip, npm and gem, jars, and programs of Go and Rust: what we find is what their own
tools find."""

import json

import pytest
from conftest import packages, same_name


@pytest.fixture(scope="module")
def truth(debian):
    rows = json.loads((debian / "truth.json").read_text())
    kinds = {row["type"] for row in rows}
    assert kinds == {"deb", "npm", "pypi", "gem", "maven", "golang", "cargo"} and len(rows) > 300, "the fixture is not what these tests are about"
    # No tool knows the jar of which only the file name says what it is.
    return {(row["type"], same_name(row["type"], row["name"]), row["version"]) for row in rows} | {("maven", "nameless", "5.1")}


def assert_same(found, truth):
    assert sorted(found - truth) == [], "only we find these"
    assert sorted(truth - found) == [], "only the package tools find these"


def test_from_a_registry_it_is_what_the_package_tools_name(shell, registry, app, truth):
    report = shell.scan(app, "--offline", "--no-cache", registry=registry)
    assert report["distro"]["ecosystem"] == "Debian:12"
    assert [problem for problem in report["problems"] if problem["kind"] != "no-advisories"] == []
    assert_same(packages(report), truth)


@pytest.mark.parametrize("form", ["oci:{}/oci-zstd", "oci:{}/oci-plain", "docker-archive:{}/docker.tar"])
def test_every_form_has_the_same_packages(shell, debian, truth, form):
    report = shell.scan(form.format(debian), "--offline", "--no-cache")
    gzip = shell.scan(f"oci:{debian}/oci", "--offline", "--no-cache")
    assert_same(packages(report), truth)
    assert report["packages"] == gzip["packages"]


@pytest.mark.parametrize("form", ["zstd", "plain"])
def test_a_registry_serves_the_other_forms_too(shell, registry, debian, truth, form):
    reference = registry.push(f"oci:{debian}/oci-{form}:latest", f"team/app:{form}")
    assert_same(packages(shell.scan(reference, "--offline", "--no-cache", registry=registry)), truth)


def test_a_second_scan_fetches_no_layer(shell, registry, app):
    first = shell.scan(app, "--offline", registry=registry)
    before = len(registry.requests())
    second = shell.scan(app, "--offline", registry=registry)
    layers = {f"GET /v2/team/app/blobs/{layer['digest']}" for layer in first["layers"]}
    assert layers & set(registry.requests()[before:]) == set()
    assert layers <= set(registry.requests()[:before])
    assert first["stats"]["layers_fetched"] == len(first["layers"]) == 5
    assert second["stats"]["layers_from_cache"] == 5 and second["stats"]["layers_fetched"] == 0
    assert second["packages"] == first["packages"]


def test_a_wrong_password_is_said_so(shell, registry, app):
    arguments = ["scan", app, "--plain-http", "--offline", "--username", registry.username, "--password-stdin"]
    shell.run(*arguments, input="not-the-password", code=2)


def test_a_package_says_which_layer_brought_it(shell, registry, app):
    report = shell.scan(app, "--offline", registry=registry)
    found = {(row["name"], row["version"]): row["locations"] for row in report["packages"] if row["type"] == "npm"}
    minimist = found["minimist", "1.2.8"]
    assert [location["layer"] for location in minimist] == [3]
    assert "minimist" in report["layers"][3]["created_by"]
    assert ("minimist", "1.2.0") not in found and not any(name == "lodash" for name, _ in found)


def test_a_jar_that_only_its_file_names_is_a_guess(shell, debian):
    report = shell.scan(f"oci:{debian}/oci", "--offline", "--no-cache")
    sure = {row["name"]: row.get("certainty") for row in report["packages"] if row["type"] == "maven"}
    assert sure.pop("nameless") == "guessed" and set(sure.values()) == {None}
