"""The fault table: faults of the gateway's own, with targets of each kind. `test_fault_table.py` holds the whole table."""

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.specs import QueueSpec, RetrySpec
from iotgw.testing import telemetry
from tests.peers.gateway import Gateway
from tests.peers.patience import HANGS
from tests.peers.process import wait_until
from tests.unit.store.sqlite.damaging import zero

from .delivering import Delivering, per_device, until
from .refusing import TAKEN, RefusingHttp, RefusingMqtt, RefusingSftp
from .test_target_refusals import named

MESSAGES = 60
TEXT = "x" * 500
REFUSED_FOR_NOW = [(RefusingHttp, 409), (RefusingMqtt, 0x83), (RefusingSftp, 3)]


@pytest.mark.parametrize(("kind", "code"), REFUSED_FOR_NOW, ids=named)
@ensureDeferred
async def test_of_a_device_that_fills_the_queue_the_oldest_go_and_of_no_other(kind, code):
    size = 15 * len(telemetry(received_ms=10**12).body)
    limits = {"queue": QueueSpec(max_bytes=size), "retry": RetrySpec(initial=60.0, max_attempts=9)}
    async with (
        kind() as server,
        Delivering(kind.type, configuration=server.configuration(), **limits) as world,
    ):
        server.answer = lambda device: code if device == "bad" else TAKEN
        sent = {"good": [], "fine": []}
        for number in range(1, 41):
            for device in ("bad", "good", "fine"):
                (seq,) = world.store(device)
                if device in sent:
                    sent[device].append(seq)
            await until(lambda n=number: len(server.arrived) >= 2 * n, 60, "the other devices'")
        assert per_device(server.arrived) == sent
        await until(lambda: world.stats()["dropped"].get("queue full"), what="the limit")
        await until(lambda: world.stats()["waitingBytes"] <= size, what="no more than that to wait")
        await until(lambda: "delivery.dropped" in world.events.types, what="the event")


@pytest.mark.root
def test_what_can_t_be_read_any_more_is_passed_by_and_counted_whatever_the_target_is(tmp_path, all_kinds):
    with Gateway(tmp_path / "gateway") as gateway:
        gateway.create("datasources", name="http", type="http", routingKey="key", converter="json")
        for name, target in all_kinds.items():
            where = target.configuration(target.server.port)
            gateway.create("integrations", name=name, type=name, configuration=where)
            assert gateway.api("POST", f"/integrations/{name}/pause").status < 300
        for number in range(MESSAGES):
            assert (
                gateway.post("key", {"deviceName": f"d{number % 5}", "n": number, "text": TEXT}).status == 204
            )
        wait_until(lambda: not gateway.messages(state="received"), HANGS, "the conversions")
        gateway.stop()
        zero(gateway.data / "journal.db", "telemetry", 1, 0.5)
        gateway.start()
        for name, target in all_kinds.items():
            assert gateway.api("POST", f"/integrations/{name}/resume").status < 300
            stats = wait_until(lambda name=name: passed_by(gateway, name), HANGS, f"{name} to pass it by")
            lost = stats["dropped"]["unreadable"]
            assert 0 < lost < MESSAGES / 2
            wait_until(
                lambda target=target, lost=lost: len(target.arrived()) >= MESSAGES - lost, HANGS, "the others"
            )
            assert stats["delivered"] + lost == MESSAGES
        said = gateway.api("GET", "/events?type=delivery.unreadable").json["items"]
        assert len(said) >= len(all_kinds)


def passed_by(gateway, name):
    stats = gateway.api("GET", f"/integrations/{name}").json["status"]
    return stats if not stats["waiting"] and not stats["inflight"] and stats["delivered"] else None
