"""A data directory that an older iotgw left behind when it was killed (tests/fixtures/older_data): this one goes on."""

import json
import re
import tarfile
from pathlib import Path

import pytest

from tests.fixtures.older_data.look import UNKNOWN, look
from tests.fixtures.older_data.make import SECRET, SETTINGS
from tests.peers.coap import coap_client
from tests.peers.gateway import Gateway
from tests.peers.process import free_udp_port, wait_until

OLDER = Path(__file__).parents[1] / "fixtures" / "older_data"
COUNTED = ("delivered", "dead", "expired", "dropped", "retrying")
LATE = 3
"""Messages that the older gateway stored and did not come to convert."""
OPEN = ("QUEUED", "SENT")


class Opened:
    """A gateway of this checkout on a copy; ``seen`` is what the older one said of it."""

    def __init__(self, folder, archive):
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        self.seen = json.loads((folder / "seen.json").read_text())
        self.gateway = Gateway(folder, settings=SETTINGS)

    def wait_for_the_late(self):
        wait_until(lambda: not self.gateway.messages(state="received"), what="the rest to be converted")

    def stats(self, name):
        return self.gateway.api("GET", f"/integrations/{name}/stats").json

    def configure(self, name, **configuration):
        answer = self.gateway.api("PATCH", f"/integrations/{name}", {"configuration": configuration})
        assert answer.status == 200, answer.body
        assert self.gateway.api("POST", f"/integrations/{name}/drain").status == 200

    def delivers(self, name):
        """Nothing waits any more."""

        def is_done():
            stats = self.stats(name)
            return stats["balanced"] and not stats["waiting"] and not stats["inflight"]

        wait_until(is_done, 60, f"{name} to deliver")

    def waiting(self, name, *states):
        """Of the messages that the older gateway hadn't delivered: their outputs by id, in their order."""
        messages = sorted(self.seen["default"]["messages"].values(), key=lambda each: number(each["id"]))
        return {
            message["id"]: message["output"]
            for message in messages
            if any(each["integration"] == name and each["state"] in states for each in message["deliveries"])
        }


@pytest.fixture(params=sorted(path.name for path in OLDER.glob("*.tar.gz")))
def older(request, tmp_path):
    opened = Opened(tmp_path, OLDER / request.param)
    with opened.gateway.start():
        opened.wait_for_the_late()
        yield opened


def number(id_):
    return int(id_.split("-")[1])


def assert_holds(now, then, path=""):
    """All that ``then`` says is still so. A newer gateway may say more; ``status`` is the moment's."""
    if isinstance(then, dict):
        assert isinstance(now, dict), path
        for key, value in then.items():
            if key != "status":
                assert key in now, f"{path}.{key} is gone"
                assert_holds(now[key], value, f"{path}.{key}")
    elif isinstance(then, list):
        assert isinstance(now, list) and len(now) == len(then), path
        for place, (new, old) in enumerate(zip(now, then, strict=True)):
            assert_holds(new, old, f"{path}[{place}]")
    else:
        assert now == then, f"{path}: {now!r}, it was {then!r}"


def test_resources_are_the_same_and_listeners_are_open(older):
    now = look(older.gateway)
    for tenant in ("default", "acme"):
        assert_holds(now[tenant]["resources"], older.seen[tenant]["resources"])
        assert_holds(now[tenant]["versions"], older.seen[tenant]["versions"])
        for name, resource in older.seen[tenant]["resources"]["datasources"].items():
            state = now[tenant]["resources"]["datasources"][name]["status"]["state"]
            assert state == resource["status"]["state"], name


def test_messages_are_the_same_and_the_rest_is_converted(older):
    now = look(older.gateway)
    for tenant in ("default", "acme"):
        then = older.seen[tenant]["messages"]
        assert now[tenant]["messages"].keys() == then.keys()
        for id_, message in then.items():
            if message["state"] == "received":
                found = now[tenant]["messages"][id_]
                assert (found["state"], found["payload"]) == ("converted", message["payload"])
                assert found["output"][0]["deviceName"] == "late"
            else:
                steady = {key: value for key, value in message.items() if key != "deliveries"}
                assert_holds(now[tenant]["messages"][id_], steady, id_)
                assert outcomes(now[tenant]["messages"][id_]) == outcomes(message)


def outcomes(message):
    """What became of it at each integration; whether a try is under way is the moment's."""
    return {
        each["integration"]: "queued" if each["state"] == "inflight" else each["state"]
        for each in message["deliveries"]
    }


def test_counts_and_accounts_go_on(older):
    now = look(older.gateway)
    then = older.seen["status"]["journal"]
    assert now["status"]["epoch"] != older.seen["status"]["epoch"]
    assert (now["status"]["journal"]["converted"], then["waiting"]) == (then["converted"] + LATE, LATE)
    for key in ("received", "filtered", "failed", "parked"):
        assert now["status"]["journal"][key] == then[key], key
    for name, then in older.seen["stats"].items():
        stats = now["stats"][name]
        late = (
            LATE
            if not older.seen["default"]["resources"]["integrations"][name]["route"]["deviceTypes"]
            else 0
        )
        assert stats["balanced"], name
        assert stats["queued"] == then["queued"] + late, name
        if name != "short of time":  # it may have seen the late ones expire by now
            assert {key: stats[key] for key in COUNTED} == {key: then[key] for key in COUNTED}, name
            assert stats["waiting"] + stats["inflight"] == then["waiting"] + then["inflight"] + late, name
        if then["state"] in ("paused", "disabled"):
            assert stats["state"] == then["state"]


def test_dead_letters_devices_downlinks_and_events_are_there(older):
    now = look(older.gateway)
    assert_holds(now["dead"], older.seen["dead"])
    for tenant in ("default", "acme"):
        then = older.seen[tenant]
        for name, device in then["devices"].items():
            assert_holds(now[tenant]["devices"][name]["shown"], device["shown"], name)
            assert_holds(
                still_open(now[tenant]["devices"][name]["downlinks"]), still_open(device["downlinks"])
            )
        assert_holds(now[tenant]["waiting for the unknown"], then["waiting for the unknown"])
        events = {each["id"]: each for each in now[tenant]["events"]}
        assert_holds(events, {each["id"]: each for each in then["events"]})


def still_open(items):
    """What is over is kept for thirty days only."""
    return [each for each in items if each["state"] in OPEN]


def test_the_backlog_reaches_a_target_that_comes_up_in_order_and_once(older, http_sink):
    expected = older.waiting("away", "queued", "inflight")
    older.configure("away", url=http_sink.url, auth={"token": SECRET})  # a mask doesn't go to another place
    older.delivers("away")
    documents = http_sink.documents
    fresh = [each for each in documents if each["id"] not in expected]
    assert [each["telemetry"][0]["values"]["n"] for each in fresh] == list(range(LATE))
    assert sorted((each["id"] for each in documents if each not in fresh), key=number) == list(expected)
    assert len({each["key"] for each in documents}) == len(documents)
    assert_named_as_then(older, expected, documents)
    for document in documents:
        for output in expected.get(document["id"], ()):
            assert_holds(document, output, document["id"])
    for device in {each["deviceName"] for each in documents}:
        of_device = [number(each["id"]) for each in documents if each["deviceName"] == device]
        assert of_device == sorted(of_device), device
    # the secret in its configuration could be read
    assert {each["headers"]["authorization"] for each in http_sink.received} == {f"Bearer {SECRET}"}


def assert_named_as_then(older, expected, documents):
    """What the older gateway had converted comes under the key that it would have given; what it hadn't converted, under
    the id that it had given, and a key of this start."""
    now = older.gateway.api("GET", "/status").json["epoch"]
    for document in documents:
        id_, key = document["id"], document["key"]
        assert id_.startswith(older.seen["status"]["epoch"] + "-")
        form = rf"{id_}\.\d+" if id_ in expected else rf"{id_}\.{now}-\d+"
        assert re.fullmatch(form, key), (id_, key)
        assert older.gateway.api("GET", f"/messages/{id_}").json["id"] == id_


def test_a_disabled_one_takes_up_what_it_has_missed(older, http_sink):
    expected = older.waiting("disabled", "queued", "inflight")
    change = {"enabled": True, "configuration": {"url": http_sink.url}}
    assert older.gateway.api("PATCH", "/integrations/disabled", change).status == 200
    older.delivers("disabled")
    assert len(http_sink.documents) == len(expected) + LATE


def test_a_paused_one_is_paused_until_it_is_resumed(older, mosquitto):
    expected = older.waiting("paused", "queued", "inflight")
    with mosquitto.subscribe("paused") as broker:
        older.configure("paused", port=mosquitto.port, password=SECRET)
        assert older.stats("paused")["state"] == "paused"
        assert older.gateway.api("POST", "/integrations/paused/resume").status == 200
        older.delivers("paused")
        wait_until(lambda: len(broker.messages) >= len(expected) + LATE, what="the backlog at the broker")
        assert {each["id"] for each in broker.documents} >= expected.keys()


def test_a_broker_gets_messages_and_events(older, mosquitto):
    waiting = older.seen["stats"]["broker"]["waiting"]
    with mosquitto.subscribe("up/#") as broker:
        older.configure("broker", port=mosquitto.port, password=SECRET)
        older.delivers("broker")
        wait_until(lambda: len(broker.messages) >= waiting + LATE, what="the backlog at the broker")
        assert len(broker.messages) == waiting + LATE
        events = [each["event"] for each in broker.documents if "event" in each]
        assert {"downlink.queued", "downlink.sent", "downlink.successful", "downlink.deleted"} <= set(events)


def test_dead_letters_can_be_retried(older, http_sink):
    dead = older.seen["dead"]["strict"]
    assert len(dead) == 24
    older.configure("strict", url=http_sink.url)
    assert older.gateway.api("POST", "/integrations/strict/retry", {}).status == 200
    delivered = older.seen["stats"]["strict"]["delivered"] + LATE + len(dead)
    wait_until(
        lambda: older.stats("strict")["delivered"] == delivered, 60, "the dead letters to be delivered"
    )
    arrived = [each["id"] for each in http_sink.documents if each["deviceName"].startswith("refused")]
    assert sorted(arrived, key=number) == [each["id"] for each in dead]
    assert older.gateway.api("GET", "/integrations/strict/dead-letters").json["items"] == []


def test_what_is_parked_is_tried_again_in_order(older, http_sink):
    parked = older.waiting("patient", "retrying", "queued")
    assert len(parked) == 24
    older.configure("patient", url=http_sink.url)
    older.delivers("patient")
    documents = http_sink.documents
    assert sorted((each["id"] for each in documents), key=number) == list(parked)
    for device in ("refused-1", "refused-2"):
        of_device = [number(each["id"]) for each in documents if each["deviceName"] == device]
        assert len(of_device) == 12 and of_device == sorted(of_device)


def test_a_new_message_goes_through(older, http_sink):
    gateway = older.gateway
    older.configure("away", url=http_sink.url, auth={"token": SECRET})
    older.delivers("away")
    before = len(http_sink.documents)
    assert gateway.post("meters", {"meter": "m-2", "kind": 0, "site": "roof", "kWh": 99}).status == 204
    wait_until(lambda: len(http_sink.documents) > before, what="the new message")
    (new,) = http_sink.documents[before:]
    assert (new["deviceName"], new["telemetry"][0]["values"]) == ("m-2", {"kWh": 99})
    assert gateway.api("GET", "/devices/m-2").json["attributes"] == {"site": "roof"}


def test_a_device_proves_itself_with_its_key_and_takes_its_downlink(older):
    port = free_udp_port()
    configuration = {"securePort": port}
    assert older.gateway.api("PATCH", "/datasources/coap", {"configuration": configuration}).status == 200
    push = {"data": "hello", "contentType": "TEXT"}
    assert older.gateway.api("POST", "/devices/meter-7/downlinks?allowUnknown=true", push).status == 201
    url = f"coaps://127.0.0.1:{port}/i/key-coap"
    said = coap_client(url, b'{"t": 1}', options=["-u", "urn:meter:7", "-k", SECRET])
    assert "hello" in said
    message = older.gateway.message_when("converted", datasource="coap")
    assert (message["metadata"]["identity"], message["output"][0]["deviceName"]) == ("meter-7", "meter-7")


def test_downlinks_leave_in_their_order(older):
    def answer(**body):
        return older.gateway.post("talking", {"meter": "talker", **body}).body

    def confirmed():
        items = older.gateway.api("GET", "/devices/talker/downlinks").json["items"]
        return next(each["state"] for each in items if each["confirmed"])

    # by priority; the confirmed one that was sent comes again until there is a receipt; then by age
    assert [answer() for _ in range(3)] == [b"interval=2", b"interval=60", b"interval=60"]
    with_receipt = answer(ack=True)
    wait_until(lambda: confirmed() == "SUCCESSFUL", what="the receipt to count")
    rest = [with_receipt, answer(), answer()]
    assert [each for each in rest if each not in (b"interval=60", b"")] == [b"interval=3", b"interval=1"]


def test_a_script_remembers_its_devices(older):
    assert older.gateway.post("counting", {}).status == 204
    message = older.gateway.message_when("converted", datasource="counting")
    assert message["output"][0]["telemetry"][0]["values"] == {"n": 6}


def test_after_one_more_restart_it_is_all_still_there(older):
    before = look(older.gateway)
    older.gateway.stop()
    older.gateway.start()
    now = look(older.gateway)
    assert now["default"]["messages"].keys() == before["default"]["messages"].keys()
    assert_holds(now["dead"], before["dead"])
    for name, stats in before["stats"].items():
        assert now["stats"][name]["queued"] == stats["queued"]
        assert now["stats"][name]["balanced"]
    unknown = now["default"]["waiting for the unknown"]
    assert [each["device"] for each in unknown] == [UNKNOWN]
