"""Workers share the work of one PostgreSQL, and one is lost: every image is committed once all the same."""

import json
import signal
import time

import pytest
from conftest import lines, save_registry, until
from slowed import Slowed

REPOSITORIES = [f"shop/service-{number}" for number in range(3)]
#: The images of these repositories.
IMAGES = 60
#: Seconds that a layer takes, and after which others take what a worker holds that is not heard of.
PAUSE, LEASE = 0.2, 2

# A witness that is not ours: the database itself notes each commit of an image, and by whom.
WITNESS = """
CREATE TABLE witness (job TEXT, repository TEXT, digest TEXT, holder TEXT);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO witness SELECT job, NEW.repository, NEW.digest, OLD.holder FROM run WHERE id = NEW.run;
  RETURN NULL;
END $$;
CREATE TRIGGER note AFTER UPDATE ON item FOR EACH ROW WHEN (NEW.state NOT IN ('waiting', 'leased', 'canceled')) EXECUTE FUNCTION note();
"""


class Yard:
    """A PostgreSQL with a queued run of the job `all`, over a registry whose layers take their time; and workers."""

    def __init__(self, shell, database, advisories, images):
        self.shell, self.database, self.images, self._advisories = shell, database, images, advisories

    def work(self, store=None):
        options = ["--lease", LEASE, "--concurrency", "2", "--advisories", self._advisories, "--offline"]
        return self.shell.start("worker", *options, *(["--store", store] if store else []))

    def job(self):
        return json.loads(self.shell.run("job", "show", "all", "--format", "json"))

    def committed(self):
        return int(self.database.ask("SELECT count(*) FROM witness")[0][0])

    def held(self, worker):
        """What a worker has in hand."""
        statement = f"SELECT repository, digest FROM item WHERE state = 'leased' AND holder LIKE '%-{worker.pid}-%'"
        return {tuple(row) for row in self.database.ask(statement)}

    def stop_in_work(self, worker, statement=None):
        """Stops a worker while it has something in hand, or while `statement` has rows, and gives what it has in hand."""
        for _ in range(1000):
            worker.send_signal(signal.SIGSTOP)
            if (held := self.held(worker)) and (not statement or self.database.ask(statement)):
                return held
            worker.send_signal(signal.SIGCONT)
            time.sleep(0.01)
        raise AssertionError("a worker never has anything in hand")

    def finish(self):
        """Waits for the end of the run, and looks at what the database has of it."""
        until(lambda: self.job()["state"] not in ("Queued", "Running"), "the run is over")
        summary = self.job()["summary"]
        assert (summary["state"], summary["scanned"], summary["failed"], summary["waiting"]) == ("Finished", IMAGES, [], 0)
        witnessed = [tuple(row) for row in self.database.ask("SELECT repository, digest FROM witness")]
        assert len(witnessed) == IMAGES and set(witnessed) == self.images, "each is committed, and once"
        assert self.database.ask("SELECT state, count(*) FROM item GROUP BY state") == [["scanned", str(IMAGES)]]
        assert self.database.ask("SELECT count(*), count(DISTINCT digest) FROM report") == [[str(IMAGES)] * 2]
        rows = lines(self.shell.run("inventory", "--format", "json"))
        assert {(row["repository"], row["digest"]) for row in rows} == self.images and all(row["complete"] for row in rows)


@pytest.fixture
def yard(shell, shop, database, shop_advisories):
    shell.environment["TIDEWAITER_STORE"] = database.address
    with Slowed(shop.registry.address, shop.own, PAUSE) as slowed:
        save_registry(shell, "shop", shop.registry, slowed.address)
        chosen = [word for name in REPOSITORIES for word in ("--repo", name)]
        shell.run("job", "add", "all", "--registry", "shop", *chosen)
        shell.run("job", "run", "all", "--detach")
        database.ask(WITNESS)
        yield Yard(shell, database, shop_advisories, {image for image in shop.images if image[0] in REPOSITORIES})
        # What hangs would hold up the end of the line.
        shell.close()


def end(workers):
    """Ends workers as a service manager does. That is no failure."""
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    for worker in workers:
        worker.communicate(timeout=30)
        assert worker.returncode == 0, worker.errors()


@pytest.mark.parametrize("moment", [0, 25, 52])
def test_a_killed_worker_loses_nothing(yard, moment):
    victim, *others = [yard.work() for _ in range(3)]
    until(lambda: yard.committed() >= moment, f"{moment} images are committed")
    held = yard.stop_in_work(victim)
    victim.kill()
    assert victim.wait() == -signal.SIGKILL and yard.committed() < IMAGES and held
    assert yard.held(victim) == held, "nobody has it before the lease runs out"
    yard.finish()
    dead = f"SELECT repository, digest FROM witness WHERE holder LIKE '%-{victim.pid}-%'"
    assert not held & {tuple(row) for row in yard.database.ask(dead)}, "others have done what it had in hand"
    workers = lines(yard.shell.run("worker", "list", "--format", "json"))
    assert {worker["process"] for worker in workers} >= {other.pid for other in others}
    end(others)
    assert {worker["process"] for worker in lines(yard.shell.run("worker", "list", "--format", "json"))} <= {victim.pid}


def test_a_worker_that_froze_commits_nothing_late(yard):
    victim, *others = [yard.work() for _ in range(3)]
    until(lambda: yard.committed() >= 10, "10 images are committed")
    held = yard.stop_in_work(victim)
    until(lambda: yard.committed() >= IMAGES, "the others do all")
    victim.send_signal(signal.SIGCONT)
    # It commits what it had, which is refused, and asks for more.
    time.sleep(2 * LEASE)
    assert held and yard.held(victim) == set()
    yard.finish()
    end([victim, *others])


def test_a_worker_that_froze_in_a_transaction_holds_nobody_up(yard):
    victim = yard.work(f"{yard.database.address}&application_name=victim")
    others = [yard.work() for _ in range(2)]
    until(lambda: yard.committed() >= 3, "3 images are committed")
    yard.stop_in_work(victim, "SELECT 1 FROM pg_stat_activity WHERE application_name = 'victim' AND state = 'idle in transaction'")
    yard.finish()
    victim.send_signal(signal.SIGCONT)
    end([victim, *others])


def test_a_database_that_goes_away_comes_back(yard, postgres):
    workers = [yard.work() for _ in range(2)]
    until(lambda: yard.committed() >= 10, "10 images are committed")
    postgres.down()
    try:
        time.sleep(2)
        assert [worker.poll() for worker in workers] == [None, None], "they wait"
        refused = yard.shell.run("job", "list", code=2)
        assert refused == ""
    finally:
        postgres.up()
    assert 10 <= yard.committed() < IMAGES
    yard.finish()
    assert all("the store does not answer" in worker.errors() for worker in workers)
    end(workers)


def test_a_run_that_is_canceled_is_broken_off_and_restarted(yard, shop):
    worker = yard.work()
    until(lambda: yard.committed() >= 5, "5 images are committed")
    cancels = [yard.shell.start("job", "cancel", "all") for _ in range(2)]
    assert [cancel.wait(timeout=30) for cancel in cancels] == [0, 0]
    until(lambda: not yard.held(worker), "the worker has nothing in hand")
    kept = yard.committed()
    # Until its next beat it may go on with what it has in hand.
    time.sleep(LEASE)
    asked = len(shop.registry.requests())
    time.sleep(1)
    assert (yard.committed(), len(shop.registry.requests()), yard.job()["state"]) == (kept, asked, "Canceled")
    yard.shell.run("job", "restart", "all", "--detach")
    until(lambda: yard.job()["state"] == "Finished", "the new run is over")
    summary = yard.job()["summary"]
    assert (summary["scanned"], summary["skipped"]) == (IMAGES - kept, {"known": kept})
    witnessed = [tuple(row) for row in yard.database.ask("SELECT repository, digest FROM witness")]
    assert len(witnessed) == IMAGES and set(witnessed) == yard.images
    end([worker])
