"""Real peers for the interop tests; each test gets its own on ports of their own."""

import contextlib

import pytest

from tests.console.browser import Browser
from tests.console.scene import Scene
from tests.interop import targets
from tests.interop.downlink_field import Field
from tests.peers.gateway import Gateway
from tests.peers.http_sink import HttpSink
from tests.peers.mosquitto import Mosquitto
from tests.peers.process import free_udp_port
from tests.peers.sshd import Sshd


@pytest.fixture
def gateway(tmp_path):
    """A running gateway without any resource."""
    with Gateway(tmp_path / "gateway").start() as running:
        running.coap_port = free_udp_port()
        yield running


@pytest.fixture
def mosquitto(tmp_path):
    with Mosquitto(tmp_path / "mosquitto") as broker:
        yield broker


@pytest.fixture
def http_sink(tmp_path):
    with HttpSink(tmp_path / "http-sink") as sink:
        yield sink


@pytest.fixture
def sshd(tmp_path):
    with Sshd(tmp_path / "sshd") as server:
        yield server


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    folder = tmp_path_factory.mktemp("field")
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(Gateway(folder / "gateway").start())
        broker = stack.enter_context(Mosquitto(folder / "mosquitto"))
        heard = stack.enter_context(broker.subscribe("events"))
        gateway.create(
            "integrations", name="broker", type="mqtt", route={"wants": ["events"]},
            configuration={"host": "127.0.0.1", "port": broker.port, "topic": "events"},
        )  # fmt: skip
        yield Field(gateway, broker, heard)


@pytest.fixture
def all_kinds(tmp_path):
    """A real target of each kind, by its type."""
    made = {kind.type: kind(tmp_path / kind.type) for kind in (targets.Http, targets.Mqtt, targets.Sftp)}
    for each in made.values():
        each.start()
    yield made
    for each in made.values():
        each.close()


@pytest.fixture(scope="module")
def browser():
    with Browser() as running:
        yield running


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    """A scene that no test changes."""
    with Scene(tmp_path_factory.mktemp("furnished")) as scene:
        scene.furnish()
        scene.live()
        scene.settled()
        yield scene


@pytest.fixture
def scene(tmp_path):
    """A scene of a test's own."""
    with Scene(tmp_path) as own:
        own.furnish()
        yield own


@pytest.fixture
def visitor(scene, browser):
    """Somebody who has signed in there."""
    with browser.visitor(scene.gateway) as visiting:
        yield visiting.sign_in()
        assert visiting.complaints == []
