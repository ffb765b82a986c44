"""Where a broker is: every form in which people paste it, and what is refused."""

from __future__ import annotations

import msgspec
import pytest
from twisted.internet.task import Clock

from iotgw.connect.mqtt_broker import Broker, BrokerSettings, endpoint
from iotgw.connect.tls import ClientTls
from iotgw.core.destination import MOVED, to_keep
from iotgw.core.errors import SettingsError
from iotgw.core.secrets import masked, revealed, sealed
from iotgw.core.validate import convert
from iotgw.testing import FakeConnector

TLS = ClientTls()


def settings(**given) -> BrokerSettings:
    return convert(given, BrokerSettings, "configuration")


@pytest.mark.parametrize(
    ("given", "broker"),
    [
        ({"host": "h"}, Broker("h", 1883)),
        ({"host": "h", "tls": {}}, Broker("h", 8883, TLS)),
        ({"host": "h", "port": 1, "username": "u", "password": "p"}, Broker("h", 1, None, "", "u", "p")),
        ({"host": "h:2883"}, Broker("h", 2883)),
        ({"host": " h \n"}, Broker("h", 1883)),
        ({"host": "\tmqtts://u:p@h\n"}, Broker("h", 8883, TLS, "", "u", "p")),
        ({"host": "10.0.0.1:2883", "tls": {}}, Broker("10.0.0.1", 2883, TLS)),
        ({"host": "::1"}, Broker("::1", 1883)),
        ({"host": "[fe80::1]:99"}, Broker("fe80::1", 99)),
        ({"host": "mqtt://h"}, Broker("h", 1883)),
        ({"host": "MQTT://H/"}, Broker("h", 1883)),
        ({"host": "tcp://h:5"}, Broker("h", 5)),
        ({"host": "mqtt://h", "port": 5}, Broker("h", 5)),
        ({"host": "mqtt://u:p@h:1884"}, Broker("h", 1884, None, "", "u", "p")),
        ({"host": "mqtt://u%40x:p%2F%3A@h"}, Broker("h", 1883, None, "", "u@x", "p/:")),
        ({"host": "mqtt://u:p@w@h"}, Broker("h", 1883, None, "", "u", "p@w")),
        ({"host": "mqtt://u@h"}, Broker("h", 1883, None, "", "u", "")),
        ({"host": "mqtt://h", "username": "u", "password": "p"}, Broker("h", 1883, None, "", "u", "p")),
        ({"host": "mqtts://h"}, Broker("h", 8883, TLS)),
        ({"host": "ssl://h"}, Broker("h", 8883, TLS)),
        ({"host": "mqtts://h", "tls": {"serverName": "x"}}, Broker("h", 8883, ClientTls(server_name="x"))),
        ({"host": "mqtts://[::1]:8884"}, Broker("::1", 8884, TLS)),
        ({"host": "ws://h"}, Broker("h", 80, None, "/mqtt")),
        ({"host": "ws://h/"}, Broker("h", 80, None, "/")),
        ({"host": "mqtt+ws://h:9001/broker"}, Broker("h", 9001, None, "/broker")),
        ({"host": "wss://u:p@h/mqtt"}, Broker("h", 443, TLS, "/mqtt", "u", "p")),
        ({"host": "wss://h/mqtt?X-Sig=a%2Fb"}, Broker("h", 443, TLS, "/mqtt?X-Sig=a%2Fb")),
        ({"host": "wss://h/$iothub/websocket"}, Broker("h", 443, TLS, "/$iothub/websocket")),
    ],
)
def test_a_broker_is_found_in_every_form(given, broker):
    assert settings(**given).broker == broker


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"host": "http://h"}, "expected a URL with one of mqtt, tcp,"),
        ({"host": "mqtt://"}, "expected a URL with a host"),
        ({"host": "mqtt://u:secret@"}, "expected a URL with a host"),
        ({"host": "mqtt://u:secret@h:x"}, "expected a URL with a host"),
        ({"host": "mqtt://h:0"}, "expected a port of 1 to 65535, got 0"),
        ({"host": "h:99999"}, "expected a port of 1 to 65535, got 99999"),
        ({"host": "mqtt://h/topic"}, "expected a URL without a path"),
        ({"host": "mqtt://h?cert=0"}, "expected a URL without a path"),
        ({"host": "ws://h/a b"}, "expected a path of printable ASCII characters"),
        ({"host": "ws://h/a\r\nX: y"}, "expected a path of printable ASCII characters"),
        ({"host": "ws://h/a#b"}, "expected a path of printable ASCII characters"),
        ({"host": "h/mqtt"}, "expected a name, an address or a URL"),
        ({"host": "u:p@h"}, "expected a name, an address or a URL"),
        ({"host": "h and g"}, "expected a name, an address or a URL"),
        ({"host": "fe80:: 1"}, "expected a name, an address or a URL"),
        ({"host": "mqtt://u:secret@h h"}, "expected a URL with a host"),
        ({"host": "h:1", "port": 2}, "port: expected none beside a host"),
        ({"host": "mqtt://h:1", "port": 2}, "port: expected none beside a URL"),
        ({"host": "mqtt://u:secret@h", "password": "p"}, "username: expected none beside a URL"),
        ({"host": "mqtt://h", "tls": {}}, "tls: expected none with mqtt://"),
        ({"host": "ws://h", "tls": {}}, "tls: expected none with ws://"),
        ({"host": "mqtt://h", "alpn": "mqtt"}, "alpn: expected the name of a protocol, together with TLS"),
        ({"host": "mqtts://h", "alpn": "a\x01"}, "alpn: expected the name of a protocol, together with TLS"),
    ],
)
def test_what_leads_to_no_broker_is_refused_without_its_secret(given, problem):
    with pytest.raises(SettingsError) as caught:
        settings(**given)
    assert problem in caught.value.problem and "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("h", "mqtt://h:1883"),
        ("mqtts://u:p@h", "mqtts://h:8883"),
        ("wss://u:p@h/mqtt?token=p", "wss://h:443/mqtt"),
        ("ws://h", "ws://h:80/mqtt"),
    ],
)
def test_the_address_in_a_status_has_no_secret(host, address):
    assert settings(host=host).broker.address == address


class Vault:
    def seal(self, secret):
        return f"sealed:{secret[::-1]}"

    def unseal(self, sealed_):
        return sealed_.removeprefix("sealed:")[::-1]


def test_a_pasted_password_is_stored_sealed_shown_masked_and_kept_by_its_mask():
    vault = Vault()
    stored = sealed({"host": "mqtts://u:p4ss@h"}, BrokerSettings, vault)
    assert "p4ss" not in stored["host"]
    shown = masked(stored, BrokerSettings, vault.unseal)
    assert shown == {"host": "mqtts://u:***@h"}
    again = sealed(shown, BrokerSettings, vault, to_keep(shown, stored, BrokerSettings, vault.unseal))
    assert revealed(again, BrokerSettings, vault.unseal) == {"host": "mqtts://u:p4ss@h"}


def test_a_mask_keeps_no_password_for_another_broker():
    vault = Vault()
    stored = sealed({"host": "mqtts://u:p4ss@h"}, BrokerSettings, vault)
    for host in ("mqtts://u:***@evil", "mqtt://u:***@h", "mqtts://u:***@h:1"):
        assert to_keep({"host": host}, stored, BrokerSettings, vault.unseal) is MOVED


def test_a_host_that_was_stored_before_it_could_be_a_url_is_as_it_was():
    assert revealed({"host": "h"}, BrokerSettings, Vault().unseal) == {"host": "h"}
    assert masked({"host": "h"}, BrokerSettings, Vault().unseal) == {"host": "h"}


class Asked(FakeConnector):
    def endpoint(self, *args, **more):
        self.asked = args
        return super().endpoint(*args, **more)


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({"host": "h"}, ("h", 1883, 5.0, None, "configuration.tls", "", ())),
        ({"host": "wss://h", "alpn": "mqtt"}, ("h", 443, 5.0, TLS, "configuration.tls", "", ("mqtt",))),
        (
            {"host": "h", "proxy": "socks5://p:1080"},
            ("h", 1883, 5.0, None, "configuration.tls", "socks5://p:1080", ()),
        ),
    ],
)
def test_the_endpoint_is_the_connector_s(given, asked):
    connector = Asked()
    endpoint(msgspec.convert(given, BrokerSettings), connector, Clock(), 5.0)
    assert connector.asked == asked


def test_a_websocket_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "websockets.client", None)
    with pytest.raises(SettingsError) as caught:
        endpoint(settings(host="ws://h"), FakeConnector(), Clock(), 5.0)
    assert caught.value.path == "configuration.host"
    assert "pip install 'iotgw[websockets]'" in caught.value.problem
    endpoint(settings(host="mqtt://h"), FakeConnector(), Clock(), 5.0)
