"""One registry, looked at by `job run`, by three workers on one PostgreSQL, and on a Ray cluster that loses a node: one inventory.

Started by tests/ray."""

import json
import signal
import subprocess
import sys
import time

import pytest
from cluster import Cluster
from conftest import ROOT, Shell, lines, save_registry, until
from slowed import Slowed

REPOSITORIES = ["mirror/service", *(f"shop/service-{number}" for number in range(4))]
IMAGES = 84
#: What differs from run to run, wherever it stands.
TIMES = {"scanned_at", "stats"}


@pytest.fixture(scope="module")
def line(shop):
    with Slowed(shop.registry.address, shop.own, 0.3) as slowed:
        yield slowed


@pytest.fixture
def user(tmp_path, shop, line, shop_advisories):
    """Makes a user with a store of its own, and the job `all` in it."""
    shells = []

    def user(name, store):
        home = tmp_path / name
        home.mkdir()
        shell = Shell(home)
        shells.append(shell)
        shell.environment["TIDEWAITER_STORE"] = str(store)
        save_registry(shell, "shop", shop.registry, line.address)
        chosen = [word for name in REPOSITORIES for word in ("--repo", name)]
        shell.run("job", "add", "all", "--registry", "shop", *chosen)
        shell.means = ["--advisories", shop_advisories, "--offline"]
        return shell

    yield user
    for shell in shells:
        shell.close()


def inventory(shell):
    """The inventory and all of its reports as the command line writes them, without what is told of times and costs."""
    written = []
    for row in lines(shell.run("inventory", "--format", "json")):
        report = json.loads(shell.run("inventory", "show", f"shop/{row['repository']}@{row['digest']}", "--format", "json"))
        for one in (row, report):
            written.append(json.dumps({name: value for name, value in one.items() if name not in TIMES}))
    return "\n".join(written)


def by_job(user, tmp_path):
    shell = user("job", tmp_path / "job.db")
    summary = json.loads(shell.run("job", "run", "all", *shell.means, "--format", "json"))
    assert (summary["state"], summary["scanned"], summary["failed"]) == ("Finished", IMAGES, [])
    return shell


def by_workers(user, database):
    shell = user("workers", database.address)
    shell.run("job", "run", "all", "--detach")
    workers = [shell.start("worker", "--concurrency", "2", *shell.means) for _ in range(3)]
    until(lambda: json.loads(shell.run("job", "show", "all", "--format", "json"))["state"] == "Finished", "the run is over")
    holders = int(database.ask("SELECT count(*) FROM worker")[0][0])
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    assert holders == 3 and [worker.wait(timeout=30) for worker in workers] == [0, 0, 0]
    return shell


def by_ray(user, tmp_path):
    """By the example. Once both nodes have done something, one of them is killed."""
    shell = user("ray", tmp_path / "ray.db")
    program = [sys.executable, ROOT / "examples/distributed/scan.py", "all", "--advisories", shell.means[1]]
    with Cluster(shell.environment) as cluster:
        output = tmp_path / "ray.log"
        with output.open("w") as log:
            driver = subprocess.Popen(program, stdout=log, stderr=log, env=cluster.environment)

        def nodes(text):
            return [line.rsplit(" ", 1)[1] for line in text.splitlines() if ": scanned on node " in line]

        try:
            until(lambda: len(set(nodes(output.read_text()))) == 2 or driver.poll() is not None, "both nodes are at work")
            cluster.kill_last()
            before = nodes(output.read_text())
            until(lambda: driver.poll() is not None, "the run is over", seconds=180)
        finally:
            driver.kill()
            driver.wait()
    text = output.read_text()
    assert driver.returncode == 0, text
    assert len(before) < IMAGES - 4, "it was killed in the middle"
    assert len(nodes(text)) == IMAGES and len(set(nodes(text)[len(before) + 4 :])) == 1, "the other did the rest"
    # Nobody can read a secret in what travels, or in what is kept.
    assert shell.environment["PASSWORD"] not in text
    return shell


def test_three_ways_give_one_inventory(user, database, tmp_path):
    begun = time.monotonic()
    written = inventory(by_job(user, tmp_path))
    assert written.count("\n") == 2 * IMAGES - 1 and "PYSEC-2026-1" in written and "DEBIAN-CVE-2026-0001" in written
    assert inventory(by_workers(user, database)) == written
    assert inventory(by_ray(user, tmp_path)) == written
    print(f"{IMAGES} images, {len(written)} bytes, {time.monotonic() - begun:.0f} s")
