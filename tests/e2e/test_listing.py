"""A registry is listed in every language alike: Debian's registry behind a password, with images of the corpus."""

import base64
import json
import os
import subprocess
import sys

import pytest
import tidewaiter as tw
from conftest import ROOT, TARGET


@pytest.fixture(scope="module")
def listed(registry, corpus):
    """A registry with two names for one image, and another image."""
    archive = corpus / "images/debian12-meta/app-oci.tar"
    for name in ("lists/app:1.0", "lists/app:latest", "lists/web:2.0"):
        registry.push(f"oci-archive:{archive}", name)
    return registry


def login(registry):
    return ["--plain-http", "--username", registry.username, "--password-stdin"]


def definition(registry):
    credential = {"basic": {"username": registry.username, "password": {"env": "PASSWORD"}}}
    return {"url": f"http://{registry.address}", "credential": credential}


SELECTION = {"repositories": ["lists/*"], "exclude_tags": ["latest"]}


@pytest.fixture
def lines(shell, listed):
    """What the command line lists."""
    arguments = ["--repo", "lists/*", "--exclude-tag", "latest", "--format", "json", "--quiet"]
    text = shell.run("list", listed.address, *login(listed), *arguments, input=listed.password)
    return [json.loads(line) for line in text.splitlines()]


def test_the_command_line_lists_what_the_registry_holds(lines, listed):
    assert [(line["repository"], line["tags"]) for line in lines] == [("lists/app", ["1.0"]), ("lists/web", ["2.0"])]
    assert {line["date"]["source"] for line in lines} <= {"built", "none"}
    assert all(line["digest"].startswith("sha256:") and line["verdict"] == "scan" for line in lines)


def test_python_lists_what_the_command_line_lists(lines, listed):
    registry = tw.Registry.docker(f"http://{listed.address}", credential=tw.Basic(listed.username, listed.password))
    with tw.Scanner(cache=False, offline=True) as scanner:
        selection = tw.Selection(repositories=["lists/*"], exclude_tags=["latest"])
        images = list(scanner.images(registry, selection))
        assert [(image.repository, image.tags, image.digest, image.reference) for image in images] == [
            (line["repository"], line["tags"], line["digest"], line["reference"]) for line in lines
        ]
        assert set(scanner.repositories(registry)) >= {"lists/app", "lists/web"}
        verdicts = {(image.repository, image.verdict) for image in scanner.explain(registry, tw.Selection(tags=["2.0"]))}
        assert ("lists/web", "scan") in verdicts and ("lists/app", "skip") in verdicts
        with pytest.raises(tw.NotFound) as raised:
            list(scanner.images(registry, tw.Selection(repositories=["list/app"])))
        assert "lists/app" in (raised.value.hint or "") or "no such repository" in str(raised.value)


def test_c_lists_what_the_command_line_lists(lines, listed, tmp_path):
    subprocess.run([ROOT / "bindings/c/install", "--prefix", tmp_path, "--from", TARGET / "debug"], check=True)
    environment = {**os.environ, "PKG_CONFIG_PATH": f"{tmp_path}/lib/pkgconfig", "PASSWORD": listed.password}
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "tidewaiter"], env=environment, text=True).split()
    program = tmp_path / "list"
    source = ROOT / "examples/c/list.c"
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", source, "-o", program, *flags, f"-Wl,-rpath,{tmp_path}/lib"], check=True)
    command = [program, json.dumps(definition(listed)), json.dumps(SELECTION)]
    # Valgrind's own exit code tells its findings from ours.
    checked = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite", *command]
    done = subprocess.run(checked, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == lines


def test_the_python_example_lists_what_the_command_line_lists(lines, listed, tmp_path):
    login = base64.b64encode(f"{listed.username}:{listed.password}".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {listed.address: {"auth": login}}}))
    command = [sys.executable, ROOT / "examples/python/list.py", f"http://{listed.address}", "lists/*"]
    environment = {**os.environ, "DOCKER_CONFIG": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    shown = [line.split() for line in done.stdout.splitlines()]
    assert [(words[0], words[2]) for words in shown] == [(line["repository"], line["digest"]) for line in lines]
    assert [words[-1] for words in shown] == [f"({line['date']['source']})" for line in lines]


def test_a_file_of_definitions_names_registries(shell, lines, listed, tmp_path):
    file = tmp_path / "registries.toml"
    file.write_text(
        f'[local]\nurl = "http://{listed.address}"\n'
        f'credential = {{ basic = {{ username = "{listed.username}", password = {{ env = "PASSWORD" }} }} }}\n'
    )
    shell.environment["PASSWORD"] = listed.password
    text = shell.run("list", "local", "--registries", file, "--repo", "lists/*", "--exclude-tag", "latest", "--format", "json")
    assert [json.loads(line) for line in text.splitlines()] == lines
    shell.run("check", "local", "--registries", file, "--repository", "lists/app")
    shell.run("check", "other", "--registries", file, code=2)
    reference = f"{listed.address}/lists/app:1.0"
    shell.run("scan", reference, "--registries", file, "--registry", "local", "--offline", "--platform", "linux/amd64")
