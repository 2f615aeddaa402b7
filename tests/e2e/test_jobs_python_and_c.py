"""A registry is looked after in every language alike: the same job gives the same inventory."""

import json
import os
import subprocess

import pytest
import tidewaiter as tw
from conftest import ROOT, TARGET


@pytest.fixture(scope="module")
def looked_after(registry, corpus):
    """A registry with two names for one image, and the image again."""
    archive = corpus / "images/debian12-meta/app-oci.tar"
    for name in ("jobs/app:1.0", "jobs/app:latest", "jobs/web:2.0"):
        registry.push(f"oci-archive:{archive}", name)
    return registry


def definition(registry):
    credential = {"basic": {"username": registry.username, "password": {"env": "PASSWORD"}}}
    return {"url": f"http://{registry.address}", "credential": credential}


SELECTION = {"repositories": ["jobs/*"], "platforms": ["linux/amd64"]}


def without_times(rows):
    return [{name: value for name, value in row.items() if name != "scanned_at"} for row in rows]


@pytest.fixture
def python(looked_after, advisories, tmp_path, monkeypatch):
    """The summary and the inventory that Python gives, and the store."""
    monkeypatch.setenv("PASSWORD", looked_after.password)
    credential = tw.Basic(looked_after.username, env="PASSWORD")
    registry = tw.Registry.docker(f"http://{looked_after.address}", credential=credential)
    store = tmp_path / "python.db"
    with tw.Scanner(advisories=advisories, offline=True, cache=False, store=store) as scanner:
        scanner.put_registry("example", registry)
        summary = scanner.run(tw.Job("nightly", "example", tw.Selection(**SELECTION)))
        rows = [{**vars(row), "scanned_at": None} for row in scanner.inventory()]
    return summary, without_times(rows), store


def test_python_and_the_command_line_share_a_store(python, shell):
    summary, rows, store = python
    assert (summary.state, summary.scanned, [row["tags"] for row in rows]) == ("Finished", 2, [["1.0", "latest"], ["2.0"]])
    lines = shell.run("inventory", "--store", store, "--format", "json").splitlines()
    assert without_times(map(json.loads, lines)) == rows


def test_c_gives_what_python_gives(python, looked_after, advisories, tmp_path):
    _, rows, _ = python
    subprocess.run([ROOT / "bindings/c/install", "--prefix", tmp_path, "--from", TARGET / "debug"], check=True)
    environment = {**os.environ, "PKG_CONFIG_PATH": f"{tmp_path}/lib/pkgconfig", "PASSWORD": looked_after.password}
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "tidewaiter"], env=environment, text=True).split()
    program = tmp_path / "job"
    source = ROOT / "examples/c/job.c"
    strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run(["cc", *strict, source, "-o", program, *flags, f"-Wl,-rpath,{tmp_path}/lib"], check=True)
    config = {"advisories": str(advisories), "offline": True, "cache": None, "store": str(tmp_path / "c.db")}
    command = [program, *map(json.dumps, (config, definition(looked_after), SELECTION))]
    # Valgrind's own exit code tells its findings from ours.
    checked = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite", *command]
    done = subprocess.run(checked, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    summary, *lines = map(json.loads, done.stdout.splitlines())
    assert (summary["state"], summary["scanned"], summary["failed"]) == ("Finished", 2, [])
    assert '"image-committed"' in done.stderr and without_times(lines) == rows
    # The second run, over the store of the first, scans nothing.
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout.splitlines()[0])["scanned"] == 0
