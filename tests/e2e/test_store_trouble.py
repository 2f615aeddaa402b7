"""A store that is full, may not be written, or is left by a process that was killed; a password that is gone. What was finished stays."""

import json
import os
import signal
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing

import pytest
from conftest import lines, save_registry, until
from slowed import Slowed

REPOSITORIES = ["shop/service-0", "shop/service-1"]
IMAGES = 40
#: Root without the right to pass over who may write what: as everybody else.
ORDINARY = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"] if os.geteuid() == 0 else []


@pytest.fixture
def line(shop):
    with Slowed(shop.registry.address, shop.own, 0.1) as slowed:
        yield slowed


@pytest.fixture
def prepare(shell, shop, shop_advisories, line):
    """Makes a store with a job, and gives the command that runs it."""

    def prepare(folder):
        shell.environment["TIDEWAITER_STORE"] = str(folder / "store.db")
        save_registry(shell, "shop", shop.registry, line.address)
        chosen = [word for name in REPOSITORIES for word in ("--repo", name)]
        shell.run("job", "add", "all", "--registry", "shop", *chosen)
        return ["job", "run", "all", "--advisories", shop_advisories, "--offline", "--format", "json"]

    yield prepare
    # What hangs would hold up the end of the line.
    shell.close()


def scanned(folder):
    """How many images are committed, as SQLite itself reads it."""
    with closing(sqlite3.connect(f"file:{folder}/store.db?mode=ro", uri=True)) as store:
        return store.execute("SELECT count(*) FROM item WHERE state = 'scanned'").fetchone()[0]


def look_at(shell):
    return json.loads(shell.run("job", "show", "all", "--format", "json"))


@pytest.fixture
def small(tmp_path):
    """A disk of 16 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk needs the right to mount one: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder):
    """Leaves no room but what the store has for its next few images."""
    free = os.statvfs(folder)
    (folder / "ballast").write_bytes(bytes(free.f_bavail * free.f_frsize - (700 << 10)))


def test_a_full_disk_loses_nothing_that_was_finished(shell, shop, prepare, small):
    command = prepare(small)
    fill(small)
    before = len(shop.registry.requests("[^4]"))
    run = shell.start(*command)
    until(lambda: "the disk is full" in run.errors(), "the user is told")
    kept = scanned(small)
    assert 0 < kept < IMAGES and run.poll() is None
    (small / "ballast").unlink()
    text, _ = run.communicate(timeout=60)
    summary = json.loads(text)
    assert (run.returncode, summary["state"], summary["scanned"], summary["failed"]) == (0, "Finished", IMAGES, []), run.errors()
    # What waited for room was not read again.
    manifests = Counter(request for request in shop.registry.requests("[^4]")[before:] if "GET" in request and "/manifests/sha256:" in request)
    assert len(manifests) == IMAGES and set(manifests.values()) == {1}


def test_ctrl_c_while_the_disk_is_full(shell, prepare, small):
    command = prepare(small)
    fill(small)
    run = shell.start(*command)
    until(lambda: "the disk is full" in run.errors(), "the user is told")
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=30)
    assert run.returncode == 130, run.errors()
    kept = scanned(small)
    (small / "ballast").unlink()
    assert len(lines(shell.run("inventory", "--format", "json"))) == kept > 0
    assert look_at(shell)["state"] in ("Canceled", "Running")


def test_a_store_that_may_not_be_written(shell, prepare, tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    command = prepare(folder)
    summary = json.loads(shell.run(*command))
    assert summary["scanned"] == IMAGES
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    try:
        refused = shell.start(*command, before=ORDINARY)
        text, _ = refused.communicate(timeout=30)
        assert (refused.returncode, text) == (2, "")
        assert "the store may not be written" in refused.errors() and "store.db" in refused.errors()
    finally:
        folder.chmod(0o755)
        for path in folder.iterdir():
            path.chmod(0o644)
    assert len(lines(shell.run("inventory", "--format", "json"))) == IMAGES
    assert json.loads(shell.run(*command))["skipped"] == {"known": IMAGES}


def test_a_password_that_is_gone(shell, shop, prepare, tmp_path):
    command = prepare(tmp_path)
    first = shell.start(*command)
    until(lambda: (tmp_path / "store.db").exists() and scanned(tmp_path) >= 5, "5 images are committed")
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)
    assert first.returncode == 130 and "job restart all" in first.errors()
    kept = scanned(tmp_path)
    password = shell.environment.pop("PASSWORD")
    summary = json.loads(shell.run(*command, code=2))
    assert summary["state"] == "Error" and "PASSWORD" in summary["error"]
    assert password not in summary["error"]
    assert len(lines(shell.run("inventory", "--format", "json"))) == kept
    shell.environment["PASSWORD"] = password
    summary = json.loads(shell.run("job", "restart", "all", *command[3:]))
    assert (summary["state"], summary["scanned"], summary["skipped"]) == ("Finished", IMAGES - kept, {"known": kept})


def test_a_run_whose_process_was_killed_goes_on(shell, prepare, tmp_path):
    command = prepare(tmp_path)
    run = shell.start(*command)
    until(lambda: (tmp_path / "store.db").exists() and scanned(tmp_path) >= 5, "5 images are committed")
    run.kill()
    run.communicate()
    kept = scanned(tmp_path)
    # Nobody knows yet that it is dead.
    shell.run(*command, code=2)
    assert look_at(shell)["state"] == "Running"
    # As if the lease, a minute by default, had run out.
    with closing(sqlite3.connect(tmp_path / "store.db")) as store, store:
        assert store.execute("UPDATE item SET until = 1 WHERE state = 'leased'").rowcount > 0
    summary = json.loads(shell.run(*command))
    assert (summary["run"], summary["state"], summary["scanned"]) == (1, "Finished", IMAGES) and kept >= 5
