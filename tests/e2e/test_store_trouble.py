"""A store that is full, may not be written, or is left by a process that was killed; a password that is gone. What was finished stays."""

import json
import os
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import FIXTURES, lines, save_registry, until
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


@dataclass
class Disk:
    """A disk that has no room from `fill` to `make_room`."""

    folder: Path
    fill: Callable[[], object]
    make_room: Callable[[], object]


@pytest.fixture(params=["mounted", "pretended"])
def disk(request, shell, tmp_path):
    """A small disk, which only some may mount; and a big one of which the program is told that it is full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "pretended":
        flag, library = folder / "full", tmp_path / "full.so"
        subprocess.run(["cc", "-shared", "-fPIC", FIXTURES / "full.c", "-o", library], check=True)
        shell.environment |= {"LD_PRELOAD": str(library), "DISK_FULL": str(flag)}
        yield Disk(folder, flag.touch, flag.unlink)
        return
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk needs the right to mount one: {mounted.stderr.strip()}")
    ballast = folder / "ballast"

    def fill():
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    yield Disk(folder, fill, ballast.unlink)
    subprocess.run(["umount", "--lazy", folder], check=True)


def run_until_full(shell, command, disk):
    """Starts a run, fills the disk when some images are committed, and waits until the user is told."""
    run = shell.start(*command)
    until(lambda: (disk.folder / "store.db").exists() and scanned(disk.folder) >= 3, "3 images are committed")
    disk.fill()
    until(lambda: "the disk is full" in run.errors(), "the user is told")
    return run, scanned(disk.folder)


def test_a_full_disk_loses_nothing_that_was_finished(shell, shop, prepare, disk):
    command = prepare(disk.folder)
    before = len(shop.registry.requests("[^4]"))
    run, kept = run_until_full(shell, command, disk)
    assert 3 <= kept < IMAGES and run.poll() is None
    disk.make_room()
    text, _ = run.communicate(timeout=60)
    summary = json.loads(text)
    assert (run.returncode, summary["state"], summary["scanned"], summary["failed"]) == (0, "Finished", IMAGES, []), run.errors()
    # What waited for room was not read again.
    manifests = Counter(request for request in shop.registry.requests("[^4]")[before:] if "GET" in request and "/manifests/sha256:" in request)
    assert len(manifests) == IMAGES and set(manifests.values()) == {1}


def test_ctrl_c_while_the_disk_is_full(shell, prepare, disk):
    run, kept = run_until_full(shell, prepare(disk.folder), disk)
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=30)
    assert run.returncode == 130, run.errors()
    disk.make_room()
    assert len(lines(shell.run("inventory", "--format", "json"))) == kept >= 3
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
