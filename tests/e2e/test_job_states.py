"""Cancel, delete and restart in every state of a job: asked by two processes at once, and once more."""

import json

import pytest
import tidewaiter as tw
from conftest import lines, save_registry

#: For each state and word: the exit codes of two processes at once, in order, and the state after; `gone` is a job that is deleted.
#: Asked once more, the answer is that of the second.
TABLE = {
    None: {"cancel": ([2, 2], None), "delete": ([0, 2], "gone"), "restart": ([2, 2], None)},
    "Queued": {"cancel": ([0, 0], "Canceled"), "delete": ([2, 2], "Queued"), "restart": ([2, 2], "Queued")},
    "Running": {"cancel": ([0, 0], "Canceled"), "delete": ([2, 2], "Running"), "restart": ([2, 2], "Running")},
    "Finished": {"cancel": ([2, 2], "Finished"), "delete": ([0, 2], "gone"), "restart": ([0, 2], "Queued")},
    "Canceled": {"cancel": ([0, 0], "Canceled"), "delete": ([0, 2], "gone"), "restart": ([0, 2], "Queued")},
    "Error": {"cancel": ([2, 2], "Error"), "delete": ([0, 2], "gone"), "restart": ([0, 2], "Queued")},
}


@pytest.fixture(params=["sqlite", "postgres"])
def kept(request, shell, shop, shop_advisories, tmp_path):
    """A store of each kind, with a registry that answers and one that does not."""
    store = tmp_path / "store.db" if request.param == "sqlite" else request.getfixturevalue("database").address
    shell.environment["TIDEWAITER_STORE"] = str(store)
    save_registry(shell, "shop", shop.registry)
    shell.run("registry", "add", "silent", "--url", "http://127.0.0.1:9", "--no-check")
    shell.means = ["--advisories", shop_advisories, "--offline", "--format", "json"]
    return shell


def reach(shell, job, state):
    """Makes a job in this state."""
    registry = "silent" if state == "Error" else "shop"
    shell.run("job", "add", job, "--registry", registry, "--repo", "mirror/service")
    if state in ("Queued", "Running", "Canceled"):
        shell.run("job", "run", job, "--detach")
    if state in ("Finished", "Error"):
        shell.run("job", "run", job, *shell.means, code=0 if state == "Finished" else 2)
    if state == "Canceled":
        shell.run("job", "cancel", job)
    if state == "Running":
        with tw.Scanner(store=shell.environment["TIDEWAITER_STORE"], offline=True, cache=False) as scanner:
            assert scanner.plan(scanner.job(job).run).state == "Running"
    assert status(shell)[job]["state"] == state


def status(shell):
    return {job["job"]: job for job in lines(shell.run("job", "list", "--format", "json"))}


@pytest.mark.parametrize("state", TABLE, ids=str)
def test_two_processes_at_once_and_once_more(kept, state, monkeypatch, shop):
    monkeypatch.setenv("PASSWORD", shop.registry.password)
    for word, (codes, after) in TABLE[state].items():
        job = f"job-{word}"
        reach(kept, job, state)
        run = status(kept)[job]["run"]
        command = ["job", word, job, *(["--detach"] if word == "restart" else [])]
        both = [kept.start(*command) for _ in range(2)]
        assert sorted(process.wait(timeout=60) for process in both) == codes, f"{word} in {state}"
        kept.run(*command, code=codes[1])
        for process in both:
            if process.returncode:
                assert process.errors().count("\n") <= 2 and ("hint:" in process.errors() or "error" not in process.errors())
        now = status(kept)
        assert now.get(job, {"state": "gone"})["state"] == after, f"{word} in {state}"
        begun = word == "restart" and codes[0] == 0
        if after != "gone":
            assert (now[job]["run"] != run) == begun
        if begun:
            # It keeps what was scanned, and does the rest.
            kept.run("worker", "--once", *kept.means[:3], code=2 if state == "Error" else 0)
            summary = json.loads(kept.run("job", "show", job, "--format", "json"))["summary"]
            expected = {"Finished": ("Finished", 0), "Canceled": ("Finished", 4), "Error": ("Error", 0)}[state]
            assert (summary["state"], summary["scanned"]) == expected
        if after == "gone" and state == "Finished":
            assert len(lines(kept.run("inventory", "--registry", "shop", "--format", "json"))) == 4, "the inventory stays"
