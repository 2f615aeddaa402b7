"""Runs a job on a Ray cluster: this process plans and commits, the nodes look at images.

usage: scan.py JOB [--store FILE|postgres://...] [--advisories DB]
"""

import argparse
import time

import ray
import tidewaiter as tw

#: Seconds after which others may take the images of this process when it is not heard of.
LEASE = 60


@ray.remote(max_retries=5)
def look_at(item, advisories):
    """Looks at an image, on whatever node; twice where a node is lost, which does no harm. The results of layers stay in the node's cache."""
    with tw.Scanner(advisories=advisories, offline=True) as scanner:
        return scanner.execute(item), ray.get_runtime_context().get_node_id()


def begin(scanner, job):
    """Plans a run of the job, or goes on with the one that an earlier process of this kind has left."""
    try:
        return scanner.plan(job)
    except tw.Busy:
        return scanner.plan(scanner.job(job).run)


def work(scanner, job, advisories):
    """Hands out the images of a run, and commits what comes back."""
    run, going, renewed = begin(scanner, job), {}, time.monotonic()
    while True:
        # Two for each processor: the next one waits where it will be looked at.
        room = 2 * int(ray.cluster_resources().get("CPU", 1)) - len(going)
        items = scanner.lease(run, count=room, seconds=LEASE) if room > 0 else []
        going |= {look_at.remote(item, advisories): item for item in items}
        if not going:
            summary = scanner.summary(run)
            if summary.state not in ("Queued", "Running"):
                return summary
            # What is left is in hand elsewhere.
            time.sleep(1)
            continue
        if time.monotonic() - renewed > LEASE / 3:
            # An image may take long, and be looked at again where a node is lost.
            for task, held in zip(list(going), scanner.renew(going.values(), seconds=LEASE)):
                if not held:
                    ray.cancel(task)
            renewed = time.monotonic()
        for ready in ray.wait(list(going), timeout=LEASE / 3)[0]:
            del going[ready]
            try:
                done, node = ray.get(ready)
                scanner.commit(done)
                print(f"{done.repository}@{done.digest}: {done.outcome} on node {node}", flush=True)
            except (ray.exceptions.RayError, tw.InvalidState) as error:
                # It is handed out again when its lease has run out, though not for ever. Or the run was canceled.
                print(f"an image is not committed: {error}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job")
    parser.add_argument("--store")
    parser.add_argument("--advisories")
    arguments = parser.parse_args()
    ray.init(address="auto", log_to_driver=False)
    with tw.Scanner(advisories=arguments.advisories, offline=True, store=arguments.store) as scanner:
        summary = work(scanner, arguments.job, arguments.advisories)
    print(f"{summary.job}: run {summary.run} {summary.state}, {summary.scanned} scanned, {len(summary.failed)} failed")
    return 0 if summary.state == "Finished" else 1


if __name__ == "__main__":
    raise SystemExit(main())
