"""The lwm2m datasource and a device of LwM2M 1.0, by Eclipse Leshan 1.5: TLV, `UQ`, and no composite requests."""

from __future__ import annotations

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor

from iotgw.core.validate import convert
from iotgw.datasources.lwm2m.bootstrap import BootstrapType
from iotgw.datasources.lwm2m.bootstrap_settings import BootstrapSettings
from iotgw.testing import FakeIntake, datasource_context
from tests.peers.leshan import LeshanDevice10
from tests.peers.process import free_udp_port

from .delivering import until
from .test_lwm2m import Server

pytestmark = pytest.mark.interop
PROFILE = {"observeAttr": {"observe": ["/3/0/14", "/3/0/15"], "observeStrategy": "COMPOSITE_ALL"}}


@pytest.fixture(scope="module")
def server():
    made = Server(profiles=[PROFILE])
    pytest_twisted.blockon(made.source.start())
    yield made
    pytest_twisted.blockon(made.source.stop())


@ensureDeferred
async def test_a_device_of_1_0_in_queue_mode_is_observed_read_written_and_refuses_what_it_does_not_know(
    server, tmp_path
):
    url = f"coap://127.0.0.1:{server.port}"
    with LeshanDevice10(tmp_path, url, "old", binding="UQ").launch() as device:
        await until(lambda: server.told("register", "old"), what="its registration")
        (registered,) = server.told("register", "old")
        assert registered["attributes"]["lwm2mVersion"] == "1.0"
        (shown,) = server.source.sessions()
        assert (shown["queueMode"], shown["binding"]) == (True, "UQ")
        # a composite observation is made of single ones, as 1.0 has none
        await until(lambda: len(server.source.sessions()[0]["observed"]) == 2, what="two observations")
        for form in ("tlv", "json", None):
            asked = {"path": "/3/0"} if form is None else {"path": "/3/0", "format": form}
            became, result = await server.ask("old", "read", asked)
            assert (became, result["values"]["/3/0/0"]) == ("carried out", "Lobaro")
        became, _ = await server.ask("old", "write", {"path": "/3/0/14", "value": "+02"})
        assert became == "carried out"
        became, result = await server.ask("old", "read", {"path": "/3/0/0", "format": "senml-cbor"})
        assert (became.partition(":")[0], result["code"]) == ("refused", "4.06")
        became, result = await server.ask("old", "read-composite", ["/3/0/0"])
        assert (became.partition(":")[0], result["code"]) == ("refused", "4.05")
        device.tell("quit")
        await until(lambda: server.told("deregister", "old"))


@ensureDeferred
async def test_a_device_of_1_0_is_told_of_its_server_by_a_bootstrap_server(server, tmp_path):
    port = free_udp_port()
    account = {"uri": f"coap://127.0.0.1:{server.port}", "mode": "none", "lifetime": 77, "binding": "UQ"}
    configuration = {
        "interface": "127.0.0.1", "port": port, "securityMode": "NO_SECURE", "profiles": [{"servers": [account]}],
    }  # fmt: skip
    bootstrap = BootstrapType(reactor).build(
        convert(configuration, BootstrapSettings, "configuration"),
        datasource_context(FakeIntake(), reactor, shares=server.source.context.shares),
    )
    await bootstrap.start()
    with LeshanDevice10(tmp_path, f"coap://127.0.0.1:{port}", "new", 300, "U", "bootstrap").launch():
        await until(lambda: server.told("register", "new"), what="its registration")
    await until(lambda: bootstrap.status()["bootstrapped"] == 1, what="the end of the bootstrap")
    (registered,) = server.told("register", "new")
    assert (registered["attributes"]["lwm2mLifetime"], registered["attributes"]["lwm2mQueueMode"]) == (
        77,
        True,
    )
    await bootstrap.stop()
