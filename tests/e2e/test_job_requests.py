"""What a job asks a registry for, by the registry's own access log: 200 images over ten base layers."""

import json
from collections import Counter

import pytest
from conftest import save_registry


@pytest.fixture
def job(shell, shop, shop_advisories):
    """Runs the job `all`, and gives its summary and what the registry was asked for meanwhile."""
    save_registry(shell, "shop", shop.registry)
    shell.run("job", "add", "all", "--registry", "shop")

    def run(*options):
        # A client asks without its password first: that is refused, and asked again.
        before = len(shop.registry.requests("[^4]"))
        text = shell.run("job", "run", "all", *options, "--advisories", shop_advisories, "--offline", "--format", "json")
        return json.loads(text), shop.registry.requests("[^4]")[before:]

    return run


def fetched(requests):
    """Manifests by digest and blobs, each with how often it was fetched."""
    paths = [request.removeprefix("GET /v2/") for request in requests if request.startswith("GET")]
    manifests = [path.split("/manifests/") for path in paths if "/manifests/sha256:" in path]
    blobs = [path.split("/blobs/") for path in paths if "/blobs/" in path]
    return Counter(map(tuple, manifests)), Counter(map(tuple, blobs))


def layers(shop, blobs):
    """How often each layer was fetched, from whatever repository; and the other blobs, which are configurations."""
    known = shop.own | shop.shared
    counted = Counter()
    for (_, digest), count in blobs.items():
        counted[digest] += count * (digest in known)
    return +counted, {blob: count for blob, count in blobs.items() if blob[1] not in known}


def test_each_layer_is_fetched_once_and_later_runs_fetch_what_is_new(shop, job):
    first, requests = job()
    assert (first["state"], first["listed"], first["scanned"], first["failed"]) == ("Finished", 200, 200, [])
    manifests, blobs = fetched(requests)
    assert manifests == Counter(shop.images), "each image once"
    fetched_layers, configurations = layers(shop, blobs)
    assert fetched_layers == Counter(shop.own | shop.shared), "each distinct layer once"
    assert len(shop.own | shop.shared) == 206 and first["layers_fetched"] == 206
    assert len(configurations) == 200 and set(configurations.values()) == {1}

    second, requests = job()
    assert (second["scanned"], second["rematched"], second["skipped"]) == (0, 0, {"known": 200})
    assert fetched(requests) == (Counter(), Counter())
    assert not [request for request in requests if "/blobs/" in request], "not even by HEAD"
    # A listing is the catalog, the tags of each repository, and the digest of each tag.
    heads = [request for request in requests if request.startswith("HEAD")]
    assert len(heads) == len(set(heads)) == 200 + 10, "one for each tag"

    known = shop.put(5, ["again"])
    moved = shop.put(16, ["v16"], version="1.1")
    added = shop.put(507, ["v507"])
    assert len({known, moved, added}) == 3
    third, requests = job()
    # The tag moved away from an image that nothing names any more.
    assert (third["listed"], third["scanned"], third["skipped"]) == (201, 2, {"known": 199})
    manifests, blobs = fetched(requests)
    assert manifests == Counter([(shop.repository(16), moved), (shop.repository(507), added)])
    fetched_layers, configurations = layers(shop, blobs)
    assert len(fetched_layers) == 2 and set(fetched_layers) <= shop.own and set(fetched_layers.values()) == {1}
    assert len(configurations) == 2

    forced, requests = job("--scan-all")
    assert (forced["scanned"], forced["rematched"], forced["new_findings"]) == (0, 201, 0)
    assert not [request for request in requests if "/blobs/" in request or "GET" in request and "/manifests/" in request]
