"""Jobs, runs and the inventory, against a registry on loopback."""

import pickle
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from datetime import time as clock

import pytest
import tidewaiter as tw

PLATFORM = "linux/amd64"


@pytest.fixture
def open_scanner(tmp_path, record):
    """Opens a scanner with a store of this name."""
    opened = []

    def open_scanner(store="store.db"):
        scanner = tw.Scanner(advisories=tmp_path / "advisories.db", offline=True, cache=False, store=tmp_path / store)
        opened.append(scanner)
        return scanner

    open_scanner().import_advisories(record)
    yield open_scanner
    for scanner in opened:
        scanner.close()


@pytest.fixture
def scanner(open_scanner):
    return open_scanner()


@pytest.fixture
def job(shelf):
    registry = tw.Registry.docker(shelf.url, credential=tw.Anonymous())
    return tw.Job("nightly", registry, tw.Selection(repositories=["team/*"], platforms=[PLATFORM]))


def rows(scanner, **options):
    """The inventory without times."""
    return [(row.registry, row.repository, row.digest, row.tags, row.complete, row.findings) for row in scanner.inventory(**options)]


def test_a_second_run_scans_only_what_is_new(scanner, shelf, job, another_image):
    events = []
    run = scanner.run(job, on_event=events.append)
    assert (run.job, run.state, run.listed, run.selected, run.scanned, run.failed) == ("nightly", "Finished", 3, 3, 3, [])
    assert run.findings == {"critical": 2} and run.new_findings == 2
    assert {"run-begun", "run-planned", "image-committed"} <= {event["event"] for event in events}
    asked = shelf.blobs()
    again = scanner.run("nightly")
    assert (again.run, again.scanned, sum(again.skipped.values()), shelf.blobs()) == (run.run + 1, 0, 3, asked)
    newest = shelf.put("team/web", "2.0", another_image)
    assert scanner.run("nightly").scanned == 1
    assert newest in {row.digest for row in scanner.inventory(repository="team/web")}
    assert scanner.job("nightly").summary.scanned == 1


def test_the_inventory_is_asked_in_many_ways(scanner, shelf, job):
    begun = datetime.now(timezone.utc) - timedelta(seconds=1)
    scanner.run(job)
    old = [row.digest for row in scanner.inventory(repository="team/web")]
    assert [row.tags for row in scanner.inventory(registry="nightly", repository="team/app", vulnerable=True)] == [["1.0"]]
    assert [row[1] for row in rows(scanner, severity="high")] == ["team/app", "team/web"]
    assert rows(scanner, advisory="PYSEC-2020-1") == rows(scanner, advisory="CVE-2020-0001") == rows(scanner, severity="critical")
    assert len(rows(scanner, package="sample")) == 3 and rows(scanner, package="pkg:pypi/sample@1.3.0")[0][3] == ["2.0"]
    assert rows(scanner, package="none") == []
    with pytest.raises(tw.NotFound):
        rows(scanner, registry="other")
    assert all(begun < row.scanned_at < datetime.now(timezone.utc) for row in scanner.inventory())
    (summary,) = scanner.inventory_summary()
    assert (summary.registry, summary.images, summary.scanned, summary.vulnerable) == ("nightly", 3, 3, 2)
    assert summary.next_run is None and summary.last_run is not None
    (report,) = scanner.stored_reports("nightly/team/app:1.0")
    assert ([finding.id for finding in report.findings], [report.digest]) == (["CVE-2020-0001"], old)
    changes = list(scanner.changes(since=begun))
    assert {(change.repository, finding.id, finding.rating) for change in changes for finding in change.new} == {
        ("team/app", "CVE-2020-0001", "critical"),
        ("team/web", "CVE-2020-0001", "critical"),
    }
    assert list(scanner.changes(since=datetime.now(timezone.utc) + timedelta(days=1))) == []


def test_a_rematch_asks_no_registry(scanner, shelf, job, tmp_path, record):
    scanner.run(job)
    asked = len(shelf.requests)
    record.write_text(record.read_text().replace('"fixed": "1.2.1"', '"fixed": "1.3.1"'))
    scanner.import_advisories(record)
    rematched = scanner.rematch()
    assert (rematched.images, rematched.new, rematched.fixed) == (3, 1, 0)
    assert len(rows(scanner, vulnerable=True)) == 3 and len(shelf.requests) == asked


def test_registries_and_jobs_are_kept(scanner, shelf):
    registry = tw.Registry.docker(shelf.url, credential=tw.Anonymous())
    saved = scanner.put_registry("prod", registry, mode="add")
    assert (saved.name, saved.source, saved.paused, saved.definition["url"]) == ("prod", "store", False, shelf.url)
    with pytest.raises(tw.InvalidState):
        scanner.put_registry("prod", registry, mode="add")
    with pytest.raises(tw.NotFound):
        scanner.put_registry("other", registry, mode="set")
    assert [image.repository for image in scanner.images(saved.registry, tw.Selection(tags=["2.0"]))] == ["team/app"]
    schedule = tw.Schedule.daily(at=clock(2, 30), zone="Europe/Berlin")
    status = scanner.put_job(tw.Job("nightly", "prod", tw.Selection(tags=["v*"]), schedule=schedule))
    assert (status.state, status.schedule, status.registry, status.next > status.added) == (None, schedule, "prod", True)
    assert scanner.job("nightly").selection._shape["tags"] == ["v*"]
    with pytest.raises(tw.InvalidState):
        scanner.remove_registry("prod")
    scanner.pause_job("nightly")
    assert scanner.jobs()[0].paused and scanner.jobs()[0].next is None
    scanner.resume_job("nightly")
    scanner.pause_registry("prod")
    assert scanner.registry("prod").paused
    scanner.resume_registry("prod")
    scanner.delete_job("nightly")
    scanner.remove_registry("prod")
    assert scanner.jobs() == scanner.registries() == []
    for missing in (scanner.delete_job, scanner.job, scanner.run, scanner.restart, scanner.registry, scanner.remove_registry):
        with pytest.raises(tw.NotFound):
            missing("prod")


def test_a_registry_that_does_not_answer_is_not_saved(scanner):
    with pytest.raises(tw.Error):
        scanner.put_registry("gone", tw.Registry.docker("http://127.0.0.1:1", credential=tw.Anonymous()))
    assert scanner.registries() == []
    with pytest.raises(tw.InvalidInput, match="secret"):
        secret = tw.Registry.docker("https://registry.example", credential=tw.Basic("alice", "hunter2"))
        scanner.put_registry("plain", secret, check=False)


def test_the_steps_of_a_run_may_be_done_elsewhere(open_scanner, shelf, job, tmp_path):
    driver = open_scanner("driver.db")
    run = driver.plan(job)
    assert (run.state, run.planned) == ("Running", True)
    items = driver.lease(run, count=10, seconds=600)
    assert len(items) == 3 and driver.lease(run, count=10) == []
    with tw.Scanner(advisories=tmp_path / "advisories.db", offline=True, cache=False) as executor:
        done = [executor.execute(pickle.loads(pickle.dumps(item))) for item in items]
        done.append(executor.execute(tw.Item.from_json(items[0].to_json())))
    assert {(one.repository, one.outcome) for one in done} == {("team/app", "scanned"), ("team/web", "scanned")}
    assert [driver.commit(tw.Done.from_json(one.to_json())) for one in done[:-1]] == ["taken"] * 3
    # The second time it is known, or the run is over: nothing is counted twice.
    try:
        assert driver.commit(done[-1]) == "before"
    except tw.InvalidState:
        pass
    assert (driver.summary(run).state, driver.summary(run).scanned) == ("Finished", 3)
    whole = open_scanner("whole.db")
    whole.run(job)
    assert rows(driver) == rows(whole) != []


def test_an_image_that_takes_longer_is_kept_in_hand(scanner, shelf, job):
    run = scanner.plan(job)
    slow, *others = scanner.lease(run, count=3, seconds=1, worker="embedder")
    assert [holding.worker for holding in scanner.job("nightly").holds] == ["embedder"] * 3
    assert scanner.renew([slow], seconds=600) == [True]
    time.sleep(1.2)
    again = scanner.lease(run, count=3, seconds=600)
    assert [(item.repository, item.digest) for item in again] == [(item.repository, item.digest) for item in others]
    assert scanner.renew([slow, *others], seconds=600) == [True, False, False]
    with pytest.raises(tw.InvalidState):
        scanner.commit(scanner.execute(others[0]))
    assert [scanner.commit(scanner.execute(item)) for item in (slow, *again)] == ["taken"] * 3
    assert scanner.renew([slow]) == [False] and scanner.renew([]) == []
    assert (scanner.summary(run).state, scanner.summary(run).scanned) == ("Finished", 3)


def test_a_worker_does_what_waits(scanner, shelf, job):
    waiting = scanner.run(job, detach=True)
    assert (waiting.state, waiting.scanned) == ("Queued", 0)
    with pytest.raises(tw.Busy):
        scanner.run("nightly")
    scanner.work(once=True)
    assert (scanner.summary(waiting.run).state, scanner.summary(waiting.run).scanned) == ("Finished", 3)
    assert scanner.restart("nightly").scanned == 0


def test_a_worker_ends_when_it_is_canceled(scanner, shelf, job):
    scanner.put_job(job)
    cancel = tw.Cancel()
    threading.Timer(0.5, cancel.cancel).start()
    scanner.work(name="w1", cancel=cancel)
    assert not [worker for worker in scanner.workers() if worker.alive and worker.worker == "w1"]


def test_a_canceled_run_keeps_what_is_finished(scanner, shelf, job):
    shelf.holds.set()
    cancel = tw.Cancel()
    threading.Thread(target=lambda: (shelf.asked.wait(30), cancel.cancel())).start()
    run = scanner.run(job, cancel=cancel)
    assert (run.state, scanner.job("nightly").state) == ("Canceled", "Canceled")
    shelf.holds.clear()
    assert scanner.run("nightly").scanned == 3 - run.scanned


def test_what_a_callback_raises_ends_the_run(scanner, job):
    def stop(event):
        if event["event"] == "image-committed":
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        scanner.run(job, on_event=stop)
    assert scanner.job("nightly").state in ("Canceled", "Finished")


def test_ctrl_c_ends_a_run_cleanly(shelf, tmp_path, scanner):
    shelf.holds.set()
    program = f"""
import tidewaiter as tw
with tw.Scanner(offline=True, cache=False, store={str(tmp_path / "store.db")!r}) as scanner:
    registry = tw.Registry.docker({shelf.url!r}, credential=tw.Anonymous())
    scanner.run(tw.Job("nightly", registry, tw.Selection(platforms=["{PLATFORM}"])))
"""
    # A shell that puts the tests into the background lets its children ignore the signal.
    heeded = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, heeded)
    assert shelf.asked.wait(30)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=60)
    assert time.monotonic() - begun < 10 and "KeyboardInterrupt" in shown
    assert scanner.job("nightly").state == "Canceled"


def test_the_store_says_how_big_it_is(scanner, shelf, job, tmp_path):
    scanner.run(job)
    status = scanner.store_status()
    assert status.kind == "sqlite" and status.place == str(tmp_path / "store.db")
    assert {part.part: part.rows for part in status.parts}["images"] == 3
    assert scanner.prune_store(timedelta(days=30)) == tw.Pruned(0, 0, 0, 0, 0)
    with pytest.raises(tw.InvalidInput):
        scanner.prune_store(timedelta(hours=1))


def test_a_file_that_is_no_store_is_refused(tmp_path):
    (tmp_path / "no.db").write_text("nothing of the kind" * 100)
    with tw.Scanner(offline=True, cache=False, store=tmp_path / "no.db") as scanner, pytest.raises(tw.Corrupt):
        scanner.jobs()


def test_explain_job_says_why(scanner, shelf, job):
    scanner.put_job(job)
    assert {(image.verdict, image.reason) for image in scanner.explain_job("nightly")} == {("scan", "new")}
    scanner.run("nightly")
    assert {(image.verdict, image.reason) for image in scanner.explain_job("nightly")} == {("skip", "known")}


def test_a_job_that_is_saved_again_stays_paused_unless_it_says_otherwise(scanner, job):
    for paused, expected in [(None, False), (True, True), (None, True), (False, False)]:
        saved = scanner.put_job(tw.Job(job.name, job.registry, job.selection, paused=paused))
        assert saved.paused is expected, paused
    scanner.pause_job("nightly")
    scanner.run(job)
    assert scanner.job("nightly").paused


def test_a_job_replaces_no_registry_of_others(scanner, shelf, job):
    scanner.put_job(job)
    scanner.put_job(tw.Job("weekly", "nightly"))
    scanner.put_job(job)
    other = tw.Job("nightly", tw.Registry.docker("https://registry.invalid"))
    for put in (lambda: scanner.put_job(other), lambda: scanner.run(other), lambda: scanner.put_job(job, mode="add")):
        with pytest.raises(tw.InvalidState):
            put()
    assert scanner.registry("nightly").definition["url"] == shelf.url
    scanner.delete_job("weekly")
    scanner.put_job(other)
    assert scanner.registry("nightly").definition["url"] == "https://registry.invalid"


def test_a_job_is_saved_only_with_a_selection_that_can_be(scanner, shelf):
    registry = tw.Registry.docker(shelf.url)
    for selection in (tw.Selection(repositories=["a/*/b"]), tw.Selection(tags=["v.*"]), tw.Selection(pushed="2999-01-01..")):
        with pytest.raises(tw.InvalidInput):
            scanner.put_job(tw.Job("nightly", registry, selection))
    assert scanner.jobs() == []


def test_a_job_says_whether_its_registry_is_paused(scanner, job):
    assert not scanner.put_job(job).registry_paused
    scanner.pause_registry("nightly")
    assert [(job.paused, job.registry_paused) for job in scanner.jobs()] == [(False, True)]


def test_an_image_says_what_a_date_filter_could_not_know(scanner, job):
    filtered = tw.Selection(repositories=["team/*"], pushed=7, undated="include")
    assert {image.note for image in scanner.explain(job.registry, filtered)} == {"no-date"}
    assert {image.note for image in scanner.explain(job.registry, job.selection)} == {None}


#: Locks a file of SQLite until its standard input is closed: in a process of its own, since locks are the process's.
LOCK = """
import sqlite3, sys
sqlite3.connect(sys.argv[1], isolation_level=None).execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_store_that_is_locked_holds_up_only_those_who_need_it(open_scanner, tmp_path):
    waiting = open_scanner("locked.db")
    command = [sys.executable, "-c", LOCK, tmp_path / "locked.db"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as lock:
        assert lock.stdout.readline() == "locked\n"
        jobs = []
        asking = threading.Thread(target=lambda: jobs.append(waiting.jobs()))
        asking.start()
        for _ in range(20):
            assert waiting.advisories_status().ecosystems
            assert asking.is_alive() and jobs == [], "the store is open already"
        lock.stdin.close()
    asking.join()
    assert jobs == [[]]
