"""A real OpenSearch gets a document per time by bulk requests, and each is judged by itself. Elasticsearch's bulk API is the same, so its
preset is tried here, too."""

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from tests.peers.opensearch import OpenSearch

from .delivering import Delivering, until
from .test_time_series import NAMES, TIME, deliver, record, spec_of

pytestmark = pytest.mark.interop
PRESETS = {"opensearch": {}, "elasticsearch": {"apiKey": "a2V5"}}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with OpenSearch(tmp_path_factory.mktemp("opensearch")).start() as peer:
        yield peer


def answers(node, preset, index):
    return {"url": node.url, "index": index, **PRESETS[preset]}


@pytest.mark.parametrize("preset", PRESETS)
@ensureDeferred
async def test_there_is_a_document_per_time_whatever_the_device_is_called(node, preset):
    index = f"all-{preset}"
    records = [
        record(n, name, "meter", (TIME + n, {"t": n / 2, "ok": True, "text": name}), (TIME + 60_000 + n, {"t": -n}))
        for n, name in enumerate(NAMES, 1)
    ]  # fmt: skip
    for _ in range(2):  # what comes again is there already, which is as good as taken
        stats, dead = await deliver(preset, answers(node, preset, index), records)
        assert (dead, stats["delivered"]) == ([], len(NAMES))
    documents = await deferToThread(node.documents, index)
    assert len(documents) == 2 * len(NAMES)
    for n, name in enumerate(NAMES, 1):
        mine = [each for each in documents.values() if each["device"]["name"] == name]
        assert sorted(each["values"]["t"] for each in mine) == [-n, n / 2]
        assert {each["device"]["type"] for each in mine} == {"meter"}
    assert all(each["@timestamp"].startswith("2023-11-14T22:1") for each in documents.values())


@pytest.mark.parametrize("preset", PRESETS)
@ensureDeferred
async def test_of_a_bulk_only_the_document_that_is_refused_is_dead_with_its_words(node, preset):
    index = f"conflict-{preset}"
    records = [record(n, f"c{n}", "m", (TIME + n, {"t": "n/a" if n == 3 else n})) for n in range(1, 6)]
    stats, dead = await deliver(preset, answers(node, preset, index), records)
    assert (stats["delivered"], stats["dead"]) == (4, 1)
    assert "failed to parse field [values.t]" in dead[0]
    documents = await deferToThread(node.documents, index)
    assert sorted(each["values"]["t"] for each in documents.values()) == [1, 2, 4, 5]


@pytest.mark.parametrize("preset", PRESETS)
@ensureDeferred
async def test_while_its_disk_is_full_it_is_waited_for(node, preset):
    index = f"full-{preset}"
    await deferToThread(node.ask, "PUT", index)
    full = "index.blocks.read_only_allow_delete"  # what OpenSearch sets itself at the flood stage
    await deferToThread(node.ask, "PUT", f"{index}/_settings", {full: True})
    records = [record(n, f"f{n}", "m", (TIME + n, {"t": n})) for n in range(1, 6)]
    async with Delivering("http", **spec_of(preset, answers(node, preset, index))) as world:
        world.journal.put(records)
        world.service.feed(records)
        await until(lambda: world.stats()["lastError"], what="its word")
        await until(lambda: world.stats()["state"] == "unavailable", what="it to count as down")
        assert (world.stats()["dead"], world.stats()["delivered"]) == (0, 0)
        await deferToThread(node.ask, "PUT", f"{index}/_settings", {full: None})
        stats = await world.settled()
    assert (stats["delivered"], stats["dead"]) == (5, 0)
