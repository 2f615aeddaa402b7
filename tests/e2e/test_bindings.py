"""Python and C give what the command line gives, and a cancel from another thread ends them."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest
import tidewaiter as tw
from conftest import PROGRAM, ROOT, TARGET, without_cost
from slow_registry import SlowRegistry

# Generous: the measured figure stands in the benchmark, and Valgrind or a busy machine must not fail a test.
SOON = 10
CANCELED = 10  # TW_CANCELED, include/tidewaiter.h


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Compiles tests/e2e/scan.c with more flags, and links it with what pkg-config says of an installed libtidewaiter."""
    prefix = tmp_path_factory.mktemp("prefix")
    subprocess.run([ROOT / "bindings/c/install", "--prefix", prefix, "--from", TARGET / "debug"], check=True)
    environment = {**os.environ, "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"}
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "tidewaiter"], env=environment, text=True).split()
    strict = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-pedantic", "-pthread"]

    def build(name, *more):
        program = prefix / name
        source = ROOT / "tests/e2e/scan.c"
        subprocess.run(["cc", *strict, *more, source, "-o", program, *flags, f"-Wl,-rpath,{prefix}/lib"], check=True)
        return program

    return build


@pytest.fixture(scope="module")
def c_program(built):
    return built("scan")


@pytest.fixture(scope="module")
def sanitized(built):
    """The same with AddressSanitizer, whose allocator and leak detector hold for the library too, and UBSan."""
    return built("sanitized", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.fixture(scope="module")
def meta(registry, corpus):
    """A small image of the corpus in the registry, for what is slow under Valgrind."""
    return registry.push(f"oci-archive:{corpus}/images/debian12-meta/app-oci.tar", "team/meta:1.0")


@pytest.fixture
def slow():
    """One for each test: a connection of the test before would still be answered, and count as started."""
    with SlowRegistry() as running:
        yield running


def c_arguments(registry, advisories):
    config = {"advisories": str(advisories), "offline": True, "cache": None}
    credential = {"basic": {"username": registry.username, "password": {"env": "PASSWORD"}}}
    options = {"credential": credential, "plain_http": True, "platforms": ["linux/amd64"]}
    return json.dumps(config), json.dumps(options), {**os.environ, "PASSWORD": registry.password}


def test_python_finds_what_the_command_line_finds(shell, registry, app, advisories):
    expected = shell.scan(app, "--advisories", advisories, "--offline", "--no-cache", registry=registry)
    credential = tw.Basic(registry.username, registry.password)
    with tw.Scanner(advisories=advisories, offline=True, cache=False) as scanner:
        report = scanner.scan(app, credential=credential, plain_http=True, platform="linux/amd64")
    assert without_cost(report.to_dict()) == without_cost(expected)
    assert [finding.id for finding in report.findings] == [finding["id"] for finding in expected["findings"]] != []


def test_c_finds_what_the_command_line_finds(shell, c_program, registry, app, advisories):
    expected = shell.scan(app, "--advisories", advisories, "--offline", "--no-cache", registry=registry)
    config, options, environment = c_arguments(registry, advisories)
    report = json.loads(subprocess.check_output([c_program, config, app, options], env=environment, timeout=600))
    assert without_cost(report) == without_cost(expected)


def test_c_is_clean_under_valgrind(shell, c_program, registry, meta, advisories):
    expected = shell.scan(meta, "--advisories", advisories, "--offline", "--no-cache", registry=registry)
    config, options, environment = c_arguments(registry, advisories)
    valgrind = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"]
    command = [*valgrind, c_program, config, meta, options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert without_cost(json.loads(done.stdout)) == without_cost(expected)


def test_c_is_clean_with_sanitizers(shell, sanitized, registry, meta, advisories):
    expected = shell.scan(meta, "--advisories", advisories, "--offline", "--no-cache", registry=registry)
    config, options, environment = c_arguments(registry, advisories)
    done = subprocess.run([sanitized, config, meta, options], env=environment, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    assert without_cost(json.loads(done.stdout)) == without_cost(expected)


def test_a_canceled_scan_is_clean_with_sanitizers(slow, sanitized):
    options = json.dumps({"plain_http": True, "platforms": ["linux/amd64"]})
    command = [sanitized, json.dumps({"offline": True, "cache": None}), slow.reference, options, "500"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == CANCELED and "Sanitizer" not in done.stderr, done.stderr


def test_a_cancel_from_another_thread_ends_a_scan_in_python(slow):
    cancel = tw.Cancel()
    threading.Thread(target=lambda: (slow.started.wait(30), cancel.cancel())).start()
    begun = time.monotonic()
    with tw.Scanner(offline=True, cache=False) as scanner, pytest.raises(tw.Canceled):
        scanner.scan(slow.reference, plain_http=True, platform="linux/amd64", cancel=cancel)
    assert time.monotonic() - begun < SOON


def test_a_cancel_from_another_thread_ends_a_scan_in_c(slow, c_program):
    begun = time.monotonic()
    options = json.dumps({"plain_http": True, "platforms": ["linux/amd64"]})
    command = [c_program, json.dumps({"offline": True, "cache": None}), slow.reference, options, "500"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, time.monotonic() - begun < SOON) == (CANCELED, True), done.stderr


def test_an_interrupt_ends_a_scan_on_the_command_line(slow):
    command = [PROGRAM, "scan", slow.reference, "--plain-http", "--offline", "--no-cache", "--platform", "linux/amd64"]
    program = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert slow.started.wait(30)
    begun = time.monotonic()
    program.send_signal(signal.SIGINT)
    assert program.wait(60) == 130
    assert time.monotonic() - begun < SOON
