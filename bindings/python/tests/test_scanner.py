"""The scanner in Python, against images on disk and servers on loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import tidewaiter as tw

#: Generous: a busy machine must not fail a test.
SOON = 10


def test_a_scan_lists_packages_and_findings(scanner, image, record):
    brought = scanner.import_advisories(record)
    assert brought.ecosystems["PyPI"]["records"] == 1
    report = scanner.scan(image, platform="linux/amd64")
    assert [(package.type, package.name, package.version) for package in report.packages] == [
        ("pypi", "other", "2.0"),
        ("pypi", "sample", "1.2.0"),
    ]
    (finding,) = report.findings
    assert (finding.id, finding.aliases, finding.fixed) == ("CVE-2020-0001", ["PYSEC-2020-1"], ["1.2.1"])
    assert (finding.package.name, finding.package.version, finding.status) == ("sample", "1.2.0", "affected")
    assert (finding.severity.rating, finding.severity.score) == ("critical", 9.8)
    assert report.packages[1].purl == "pkg:pypi/sample@1.2.0"
    assert report.packages[1].locations == [("usr/lib/python3/dist-packages/sample-1.2.0.dist-info/METADATA", 0)]
    assert report.platform == "linux/amd64"


def test_a_report_is_written_and_read(scanner, image, tmp_path):
    report = scanner.scan(image, platform="linux/amd64")
    path = tmp_path / "report.json"
    report.write(path)
    assert json.loads(path.read_text()) == report.to_dict() == json.loads(report.to_json())
    assert report.to_dict()["schema"] == "urn:tidewaiter:report:1"
    report.write(tmp_path / "report", format="table")
    with pytest.raises(tw.InvalidInput, match="format"):
        report.write(tmp_path / "report.unknown")


def test_without_advisories_there_is_a_problem(scanner, image):
    report = scanner.scan(image, platform="linux/amd64")
    assert "no-advisories" in {problem.kind for problem in report.problems}
    assert scanner.advisories_status().built is None


def test_a_report_has_an_attribute_for_all_that_its_json_has(scanner, image, record):
    scanner.import_advisories(record)
    report = scanner.scan(image, platform="linux/amd64")
    shape = report.to_dict()

    def shown(value, names):
        return {name: getattr(value, name) for name in names}

    assert shown(report.distro, shape["distro"]) == shape["distro"]
    assert [shown(layer, shape["layers"][0]) for layer in report.layers] == shape["layers"]
    assert shown(report.stats, shape["stats"]) == shape["stats"]
    assert [package.owned_by for package in report.packages] == [package["owned_by"] for package in shape["packages"]]
    assert report.findings
    for finding, written in zip(report.findings, shape["findings"], strict=True):
        assert shown(finding.evidence, written["evidence"]) == written["evidence"]
        assert set(dir(finding)) >= written.keys()
    assert set(dir(report.packages[0])) >= shape["packages"][0].keys()


def test_the_status_says_what_is_there(scanner, record, tmp_path):
    scanner.import_advisories(record)
    status = scanner.advisories_status()
    assert status.file == str(tmp_path / "advisories.db")
    assert status.built is not None
    assert status.ecosystems == {"PyPI": {"records": 1, "newest": "2024-01-01T00:00:00Z"}}


def test_all_platforms_are_a_list(scanner, image):
    assert [report.platform for report in scanner.scan_platforms(image)] == ["linux/amd64"]


def test_events_arrive_on_the_calling_thread(scanner, image):
    events = []
    scanner.scan(image, platform="linux/amd64", on_event=lambda event: events.append((threading.get_ident(), event)))
    assert {thread for thread, _ in events} == {threading.get_ident()}
    names = [event["event"] for _, event in events]
    # Behind the image it is told that there were no advisories.
    assert names[0] == "image-resolved" and names[-2:] == ["image-done", "notice"] and "layer-done" in names


def test_what_a_callback_raises_ends_the_call(scanner, image):
    def fail(event):
        raise ZeroDivisionError(event["event"])

    with pytest.raises(ZeroDivisionError):
        scanner.scan(image, platform="linux/amd64", on_event=fail)


def test_a_callback_may_not_use_its_scanner(scanner, image):
    def again(event):
        scanner.scan(image)

    with pytest.raises(tw.InvalidState):
        scanner.scan(image, platform="linux/amd64", on_event=again)


def test_errors_have_a_kind_and_a_hint(scanner):
    with pytest.raises(tw.InvalidInput) as raised:
        scanner.scan("NOT an image")
    assert raised.value.kind == "invalid-input"
    assert raised.value.hint
    assert isinstance(raised.value, tw.Error)
    with pytest.raises(tw.NotFound):
        scanner.scan("oci:/does/not/exist")
    with pytest.raises(tw.InvalidInput, match="no such limit"):
        tw.Scanner(limits={"nonsense": 1})


def test_nobody_listens(scanner):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    check = scanner.check(tw.Registry.docker(f"http://{address}", credential=tw.Anonymous()))
    assert [step.ok for step in check.steps][:1] == [True]
    assert False in [step.ok for step in check.steps]
    assert "no " in str(check)
    assert not check.ok
    assert check.steps[2].hint in str(check), "what to do about a port that nobody listens on"


def test_a_text_that_is_no_address_is_a_name(tmp_path):
    with tw.Scanner(offline=True, cache=False, store=tmp_path / "store.db") as scanner:
        for ask in (scanner.check, lambda name: next(scanner.images(name))):
            with pytest.raises(tw.NotFound, match="no registry of this name"):
                ask("production")
        scanner.put_registry("production", tw.Registry.at("ghcr.io"), check=False)
        assert scanner.registry("production").definition["kind"] == "ghcr"
        assert repr(tw.Registry.at("ghcr.io")) == "Registry.at(url='ghcr.io')"
        assert scanner.check("localhost:1").kind == "docker", "an address"


def test_a_cancel_from_another_thread_ends_a_scan(scanner, silent):
    cancel = tw.Cancel()
    threading.Timer(0.2, cancel.cancel).start()
    begun = time.monotonic()
    with pytest.raises(tw.Canceled):
        scanner.scan(f"{silent}/app", plain_http=True, credential=tw.Anonymous(), cancel=cancel)
    assert time.monotonic() - begun < SOON
    assert cancel.canceled


def test_a_timeout_ends_a_scan(scanner, silent):
    begun = time.monotonic()
    with pytest.raises(tw.Canceled):
        scanner.scan(f"{silent}/app", plain_http=True, credential=tw.Anonymous(), timeout=0.2)
    assert time.monotonic() - begun < SOON


def test_other_threads_run_while_it_works(scanner, silent):
    ticks = []
    stop = threading.Event()

    def tick():
        while not stop.wait(0.01):
            ticks.append(None)

    thread = threading.Thread(target=tick)
    thread.start()
    with pytest.raises(tw.Canceled):
        scanner.scan(f"{silent}/app", plain_http=True, credential=tw.Anonymous(), timeout=0.5)
    stop.set()
    thread.join()
    assert len(ticks) > 5


def test_an_interrupt_ends_a_scan(silent):
    program = f"""
import tidewaiter as tw
with tw.Scanner(offline=True, cache=False) as scanner:
    print("begun", flush=True)
    scanner.scan("{silent}/app", plain_http=True, credential=tw.Anonymous())
"""
    # A shell that puts the tests into the background lets its children ignore the signal.
    heeded = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, heeded)
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.3)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=60)
    assert time.monotonic() - begun < SOON
    assert "KeyboardInterrupt" in shown


def test_a_closed_scanner_says_so(image):
    scanner = tw.Scanner(offline=True, cache=False)
    scanner.close()
    scanner.close()
    with pytest.raises(tw.InvalidState, match="closed"):
        scanner.scan(image)


def test_closing_ends_the_calls_of_other_threads(silent):
    scanner = tw.Scanner(offline=True, cache=False)
    raised = []

    def scan():
        try:
            scanner.scan(f"{silent}/app", plain_http=True, credential=tw.Anonymous())
        except tw.Error as error:
            raised.append(error.kind)

    thread = threading.Thread(target=scan)
    thread.start()
    time.sleep(0.3)
    scanner.close()
    thread.join(SOON)
    assert raised == ["canceled"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_cannot_use_it(scanner, image):
    child = os.fork()
    if child == 0:
        try:
            scanner.scan(image)
        except tw.InvalidState:
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert scanner.scan(image, platform="linux/amd64").packages
