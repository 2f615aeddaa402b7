"""What the end-to-end tests share: the command line, an advisory database, the Debian image, a registry that serves it."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/fixtures"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PROGRAM = Path(os.environ.get("TIDEWAITER_PROGRAM", TARGET / "debug/tidewaiter"))

sys.path.insert(0, str(FIXTURES))
import tiny  # noqa: E402
from postgres import Postgres, programs  # noqa: E402
from registry import Registry  # noqa: E402
from shop import Shop  # noqa: E402

# What runs on a cluster is started by tests/ray, which installs one.
collect_ignore = [] if importlib.util.find_spec("ray") else ["test_ray.py"]


class Shell:
    """The program `tidewaiter`, with data and cache folders of its own."""

    def __init__(self, home):
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(home / "cache"), "XDG_DATA_HOME": str(home / "data")}
        self._home, self._started = home, []

    def start(self, *arguments, before=()):
        """The program as a process that goes on; `errors()` is what it wrote to standard error so far. `before` is what starts it."""
        log = self._home / f"process-{len(self._started)}.log"
        command = [*before, PROGRAM, *map(str, arguments)]
        with log.open("w") as errors:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=self.environment)
        process.errors = log.read_text
        self._started.append(process)
        return process

    def close(self):
        """Ends what was started and goes on."""
        for process in self._started:
            process.kill()
            process.wait()
            process.stdout.close()

    def run(self, *arguments, code=0, **options):
        command = [PROGRAM, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=600, **options)
        assert done.returncode == code, f"exit code {done.returncode} of {command}\n{done.stderr}"
        return done.stdout

    def scan(self, target, *arguments, registry=None):
        """The report as a dict. With a registry: over http, as its user."""
        login = ["--plain-http", "--username", registry.username, "--password-stdin"] if registry else []
        options = [*login, "--platform", "linux/amd64", "--format", "json", "--quiet", *arguments]
        return json.loads(self.run("scan", target, *options, input=registry.password if registry else ""))


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path)
    yield shell
    shell.close()


@pytest.fixture(scope="session")
def corpus():
    folder = os.environ.get("TIDEWAITER_CORPUS")
    if not folder:
        assert "CI" not in os.environ, "TIDEWAITER_CORPUS is not set"
        pytest.skip("TIDEWAITER_CORPUS names no folder with the corpus")
    return Path(folder)


@pytest.fixture(scope="session")
def advisories(corpus, tmp_path_factory):
    """A database of the ecosystems that the images of these tests have."""
    home = tmp_path_factory.mktemp("advisories")
    zips = [corpus / "osv" / ecosystem / "all.zip" for ecosystem in ("Alpine", "Debian", "Maven", "PyPI", "crates.io", "npm")]
    Shell(home).run("advisories", "import", *zips, "--db", home / "advisories.db")
    return home / "advisories.db"


@pytest.fixture(scope="session")
def debian():
    """The folder that `tests/fixtures/debian-image` makes."""
    return made_by("debian-image", "languages", "truth", "recompress")


@pytest.fixture(scope="session")
def rpm_root():
    """The folder that `tests/fixtures/rpm-image` makes."""
    return made_by("rpm-image")


def made_by(script, *others):
    """The folder that a script of `tests/fixtures` makes with the help of others; kept until one of them changes."""
    texts = b"".join((FIXTURES / name).read_bytes() for name in (script, *others))
    made = TARGET / "fixtures" / f"{script}-{hashlib.sha256(texts).hexdigest()[:8]}"
    if not made.exists():
        subprocess.run([FIXTURES / script, made], check=True)
    return made


@pytest.fixture(scope="session")
def registry():
    with Registry() as running:
        yield running


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL for all tests, each with a database of its own."""
    if programs() is None:
        assert "CI" not in os.environ, "there is no PostgreSQL"
        pytest.skip("there is no PostgreSQL")
    with Postgres() as running:
        yield running


@pytest.fixture
def database(postgres, request):
    """A database of a test."""
    return postgres.database(hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16])


@pytest.fixture(scope="session")
def shop():
    """A registry with 200 tiny images."""
    with Registry(in_memory=True) as running:
        yield Shop(running)


@pytest.fixture(scope="session")
def shop_advisories(tmp_path_factory):
    """A database with the advisories that concern them."""
    home = tmp_path_factory.mktemp("shop-advisories")
    Shell(home).run("advisories", "import", *tiny.write_records(home), "--db", home / "advisories.db")
    return home / "advisories.db"


@pytest.fixture(scope="session")
def app(registry, debian):
    """The reference of the Debian image, gzip, in the registry."""
    return registry.push(f"oci:{debian}/oci:latest", "team/app:1.0")


def packages(report):
    """Type, name and version of every package, names as PEP 503 compares them."""
    return {(row["type"], same_name(row["type"], row["name"]), row["version"]) for row in report["packages"]}


def same_name(kind, name):
    return name.lower().replace("_", "-").replace(".", "-") if kind == "pypi" else name


def without_cost(report):
    """The part of a report that does not differ from run to run."""
    return {key: value for key, value in report.items() if key != "stats"}


def lines(text):
    """The objects of JSON, one a line."""
    return [json.loads(line) for line in text.splitlines()]


def save_registry(shell, name, registry, address=None, password="PASSWORD"):
    """Saves a registry, or what passes it on at `address`, with a reference to its password."""
    shell.environment[password] = registry.password
    login = ["--username", registry.username, "--password-env", password]
    shell.run("registry", "add", name, "--url", f"http://{address or registry.address}", *login)


def until(condition, what, seconds=60):
    """Waits until something is true, and gives that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"after {seconds} s still not: {what}")
