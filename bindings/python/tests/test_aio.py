"""The scanner of asyncio."""

import asyncio
import inspect
import threading

import pytest
import tidewaiter as tw

PLATFORM = "linux/amd64"


@pytest.fixture
def open_scanner(tmp_path):
    options = {"advisories": tmp_path / "advisories.db", "offline": True, "cache": False, "store": tmp_path / "store.db"}
    return lambda: tw.aio.Scanner(**options)


def operations(scanner):
    return {name: method for name, method in inspect.getmembers(scanner, inspect.isfunction) if not name.startswith("_")}


def test_has_the_same_operations_with_the_same_arguments():
    waiting, awaited = operations(tw.Scanner), operations(tw.aio.Scanner)
    assert awaited.keys() == waiting.keys()
    for name, method in awaited.items():
        assert inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method), name
        assert inspect.signature(method).parameters.keys() == inspect.signature(waiting[name]).parameters.keys(), name


def test_scans_side_by_side(open_scanner, image, record):
    async def main():
        async with open_scanner() as scanner:
            await scanner.import_advisories(record)
            reports = await asyncio.gather(*(scanner.scan(image, platform=PLATFORM) for _ in range(8)))
            return [[finding.id for finding in report.findings] for report in reports]

    assert asyncio.run(main()) == [["CVE-2020-0001"]] * 8


def test_a_registry_is_iterated_over_and_a_job_run(open_scanner, shelf, record):
    async def main():
        registry = tw.Registry.docker(shelf.url, credential=tw.Anonymous())
        selection = tw.Selection(repositories=["team/*"], platforms=[PLATFORM])
        async with open_scanner() as scanner:
            await scanner.import_advisories(record)
            images = [image async for image in scanner.images(registry, selection)]
            names = [name async for name in scanner.repositories(registry)]
            run = await scanner.run(tw.Job("nightly", registry, selection))
            rows = [row.repository async for row in scanner.inventory(vulnerable=True)]
            return {image.repository for image in images} <= set(names), len(images), run.scanned, sorted(rows)

    assert asyncio.run(main()) == (True, 3, 3, ["team/app", "team/web"])


def test_to_cancel_a_task_cancels_its_call(open_scanner, silent):
    async def main():
        async with open_scanner() as scanner:
            options = {"plain_http": True, "credential": tw.Anonymous()}
            tasks = [asyncio.create_task(scanner.scan(f"{silent}/app", **options)) for _ in range(100)]
            registry = tw.Registry.docker(f"http://{silent}", credential=tw.Anonymous())
            tasks.append(asyncio.create_task(anext(scanner.images(registry))))
            await asyncio.sleep(0.2)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(error) for error in ended} == {asyncio.CancelledError}
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(scanner.scan(f"{silent}/app", **options), 0.1)
            return (await scanner.advisories_status()).built

    assert asyncio.run(main()) is None


def test_closing_ends_what_runs(open_scanner, silent):
    async def main():
        scanner = open_scanner()
        scan = asyncio.create_task(scanner.scan(f"{silent}/app", plain_http=True, credential=tw.Anonymous()))
        await asyncio.sleep(0.2)
        await scanner.close()
        await scanner.close()
        with pytest.raises(tw.Canceled):
            await scan

    asyncio.run(main())


def test_events_arrive_on_the_loop_and_what_a_callback_raises_ends_the_call(open_scanner, image):
    async def main():
        events = []
        async with open_scanner() as scanner:
            await scanner.scan(image, platform=PLATFORM, on_event=lambda event: events.append((threading.get_ident(), event)))
            assert {thread for thread, _ in events} == {threading.get_ident()}
            assert "image-done" in {event["event"] for _, event in events}

            def fail(event):
                raise ZeroDivisionError(event["event"])

            with pytest.raises(ZeroDivisionError):
                await scanner.scan(image, platform=PLATFORM, on_event=fail)
            with pytest.raises(TypeError):
                await scanner.scan(image, cancel=tw.Cancel())
            with pytest.raises(tw.NotFound):
                await scanner.scan("oci:/does/not/exist")

    asyncio.run(main())
