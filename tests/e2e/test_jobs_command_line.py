"""The command line looks after a registry: Debian's, behind a password, with images of the corpus."""

import json

import pytest
from conftest import lines


@pytest.fixture
def kept(shell, registry, corpus):
    """The registry, saved as `local`, with two names for one image in `jobs/app`, and a job for it."""
    archive = corpus / "images/debian12-meta/app-oci.tar"
    for name in ("jobs/app:1.0", "jobs/app:latest"):
        registry.push(f"oci-archive:{archive}", name)
    shell.environment["PASSWORD"] = registry.password
    login = ["--url", f"http://{registry.address}", "--username", registry.username, "--password-env"]
    shell.run("registry", "add", "local", *login, "MISSING", code=2)
    shell.run("registry", "show", "local", code=2)
    shell.run("registry", "add", "local", *login, "PASSWORD")
    shell.run("job", "add", "nightly", "--registry", "local", "--repo", "jobs/*", "--every", "1", "--at", "02:30")
    return shell


def run(shell, advisories, *arguments):
    return json.loads(shell.run("job", "run", "nightly", *arguments, "--advisories", advisories, "--offline", "--format", "json"))


def blobs(registry):
    return [request for request in registry.requests() if request.startswith("GET") and "/blobs/" in request]


def test_a_registry_is_looked_after(kept, registry, advisories):
    (job,) = lines(kept.run("job", "list", "--format", "json"))
    assert (job["job"], job["state"], job["next"][11:]) == ("nightly", None, "02:30:00Z")
    explained = lines(kept.run("explain", "--job", "nightly", "--format", "json"))
    assert [(line["tags"], line["verdict"], line["reason"]) for line in explained] == [(["1.0", "latest"], "scan", "new")]

    first = run(kept, advisories)
    assert (first["state"], first["listed"], first["scanned"], first["failed"]) == ("Finished", 1, 1, [])
    assert first["new_findings"] == sum(first["findings"].values()) > 0
    fetched = blobs(registry)
    second = run(kept, advisories)
    assert (second["state"], second["scanned"], second["skipped"]) == ("Finished", 0, {"known": 1})
    forced = run(kept, advisories, "--scan-all")
    assert (forced["scanned"], forced["rematched"], forced["new_findings"]) == (0, 1, 0)
    # Configurations are blobs too, which a listing may read for dates; no layer is asked for again.
    assert len(set(blobs(registry))) == len(set(fetched))

    (image,) = lines(kept.run("inventory", "--vulnerable", "--format", "json"))
    assert (image["registry"], image["repository"], image["tags"]) == ("local", "jobs/app", ["1.0", "latest"])
    assert image["findings"] == first["findings"]
    report = json.loads(kept.run("inventory", "show", "local/jobs/app:1.0", "--format", "json"))
    assert report["subject"]["digest"] == image["digest"] and len(report["findings"]) == first["new_findings"]
    known = report["findings"][0]["id"]
    assert lines(kept.run("inventory", "--advisory", known, "--format", "json")) == [image]
    assert kept.run("inventory", "--advisory", "CVE-1900-1", "--format", "json") == ""
    (summary,) = lines(kept.run("inventory", "--summary", "--format", "json"))
    assert (summary["images"], summary["tags"], summary["scanned"], summary["vulnerable"]) == (1, 2, 1, 1)
    changes = lines(kept.run("inventory", "changes", "--format", "json"))
    assert [len(change["new"]) for change in changes] == [first["new_findings"]]
    assert kept.run("inventory", "changes", "--since", "2999-01-01T00:00:00Z") == ""
    rematched = json.loads(kept.run("inventory", "rematch", "--advisories", advisories, "--offline", "--format", "json"))
    assert (rematched["images"], rematched["changed"]) == (1, 0)


def test_a_worker_takes_what_is_queued(kept, advisories):
    assert run(kept, advisories, "--detach")["state"] == "Queued"
    kept.run("job", "delete", "nightly", code=2)
    run_again = ["job", "run", "nightly", "--detach"]
    kept.run(*run_again, code=2)
    kept.run("job", "cancel", "nightly")
    kept.run("job", "cancel", "nightly")
    kept.run("job", "restart", "nightly", "--detach")
    kept.run("worker", "--once", "--advisories", advisories, "--offline")
    details = json.loads(kept.run("job", "show", "nightly", "--format", "json"))
    assert (details["state"], details["summary"]["scanned"], details["holds"]) == ("Finished", 1, [])
    assert kept.run("worker", "list", "--format", "json") == ""


def test_what_is_not_needed_any_more_is_pruned(kept, advisories):
    run(kept, advisories)
    kept.run("registry", "remove", "local", code=2)
    kept.run("job", "delete", "nightly", "other", code=2)
    assert lines(kept.run("inventory", "--format", "json")), "the inventory stays"
    kept.run("registry", "remove", "local")
    status = json.loads(kept.run("store", "status", "--format", "json"))
    assert {part["part"]: part["rows"] for part in status["parts"]}["reports"] == 1
    assert json.loads(kept.run("store", "prune", "--older-than", "1", "--format", "json"))["reports"] == 0
    pruned = json.loads(kept.run("store", "prune", "--format", "json"))
    assert pruned["reports"] == 1 and pruned["layers"] > 0


def test_what_cannot_be_is_refused(kept):
    for arguments in (
        ["job", "add", "nightly", "--registry", "local"],
        ["job", "add", "other", "--registry", "nobody"],
        ["job", "add", "other", "--registry", "local", "--every", "7", "--at", "02:30"],
        ["job", "add", "other", "--registry", "local", "--every", "7", "--scan-all"],
        ["job", "add", "other", "--registry", "local", "--repo", "a/*/b"],
        ["job", "add", "other", "--registry", "local", "--repo", "a/b:1.0"],
        ["job", "add", "other", "--registry", "local", "--tag", "v.*"],
        ["job", "add", "other", "--registry", "local", "--pushed", "2999-01-01.."],
        ["job", "add", "other", "--registry", "local", "--platform", "linux"],
        ["job", "add", "other", "--registry", "local", "--aql", "items.find({})"],
        ["job", "set", "nightly", "--tag", "v.*"],
        ["job", "run", "other"],
        ["job", "restart", "nightly"],
        ["list", "nobody"],
        ["inventory", "show", "local/jobs/app:9"],
        ["inventory", "changes", "--since", "yesterday"],
    ):
        kept.run(*arguments, code=2)
    login = ["--url", "https://registry.invalid", "--username", "alice", "--password-stdin", "--no-check"]
    kept.run("registry", "add", "plain", *login, input="hunter2", code=2)
