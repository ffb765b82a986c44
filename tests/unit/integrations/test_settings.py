"""What is said when an integration is saved."""

import pytest

from iotgw import testing
from iotgw.core.errors import SettingsError
from iotgw.core.secrets import masked
from iotgw.core.specs import IntegrationSpec
from iotgw.core.types import Types
from iotgw.delivery.service import DeliveryService
from iotgw.integrations.http import HttpType
from iotgw.integrations.http_answers import retry_after
from iotgw.integrations.mqtt import MqttSettings, MqttType
from iotgw.integrations.sftp import SftpType
from iotgw.integrations.thingsboard import ThingsBoardSettings, ThingsBoardType

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJrDyJkOaI7ZQyGjkrKBpAPDOo1UBBQQyQDhGO2jAqaB"


@pytest.fixture
def service():
    from twisted.internet import reactor

    types = Types("iotgw.none", reactor, (HttpType, MqttType, SftpType, ThingsBoardType))
    return DeliveryService(testing.MemoryJournal(), types, reactor, testing.MemoryEvents(), lambda id_: id_)


def sftp(**more):
    return {"host": "h", "username": "u", "hostKeys": ["SHA256:abc"], **more}


@pytest.mark.parametrize(
    ("type_", "configuration", "path"),
    [
        ("nothing", {}, "type"),
        ("http", {"url": "ftp://x/"}, "configuration.url"),
        ("http", {"url": "http://{{ deviceName }}/"}, "configuration.url"),
        ("http", {"url": "http://u:p@h/"}, "configuration.url"),
        ("http", {"url": "http://h:port/"}, "configuration.url"),
        ("http", {"url": "http://h/{{ nobody }}"}, "configuration.url"),
        ("http", {"url": "http://h/{{ deviceName }}", "batch": "array"}, "configuration.url"),
        ("http", {"url": "http://h/", "headers": {"Host": "x"}}, "configuration.headers.Host"),
        ("http", {"url": "http://h/", "headers": {"A b": "x"}}, "configuration.headers.A b"),
        ("http", {"url": "http://h/", "headers": {"X": "{{ deviceName }}"}, "batch": "array"}, "configuration.headers.X"),
        ("http", {"url": "http://h/", "concurrency": 0}, "configuration.concurrency"),
        ("http", {"url": "http://h/", "auth": {"type": "oauth2", "tokenUrl": "x", "clientId": "", "clientSecret": ""}},
         "configuration.auth.tokenUrl"),
        ("http", {"url": "https://h/", "tls": {"ca": "nonsense"}}, "tls.ca"),
        ("mqtt", {"host": "h", "topic": "{{ x"}, "configuration.topic"),
        ("mqtt", {"host": "h", "commandTopic": "a/b"}, "configuration.commandTopic"),
        ("mqtt", {"host": "h", "commandTopic": "a/+/b#"}, "configuration.commandTopic"),
        ("mqtt", {"host": "h", "topic": "a/+/b"}, "configuration.topic"),
        ("mqtt", {"host": "h", "will": {"topic": "a/#"}}, "configuration.will.topic"),
        ("mqtt", {"host": "h", "topic": "a\x01"}, "configuration.topic"),
        ("mqtt", {"host": "h", "will": {"topic": "a\ufffe"}}, "configuration.will.topic"),
        ("mqtt", {"host": "h", "commandTopic": "a\x7f/+"}, "configuration.commandTopic"),
        ("mqtt", {"host": "h", "clientId": "a\x01"}, "configuration.clientId"),
        ("mqtt", {"host": "h", "username": "a\x01"}, "configuration.username"),
        ("thingsboard", {"host": "h", "username": "a\x01"}, "configuration.username"),
        ("mqtt", {"host": "h", "engine": "other"}, "configuration.engine"),
        ("mqtt", {"host": "h", "qos": 3}, "configuration.qos"),
        ("sftp", sftp(hostKeys=[]), "configuration.hostKeys"),
        ("sftp", sftp(hostKeys=["ssh-rsa x"]), "configuration.hostKeys"),
        ("sftp", sftp(privateKey="nonsense"), "configuration.privateKey"),
        ("sftp", sftp(files="batch", path="all.json"), "configuration.path"),
        ("sftp", sftp(files="batch", content="csv", path="{{ file }}.csv"), "configuration.path"),
        ("sftp", sftp(files="schedule", schedule="daily"), "configuration.schedule"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused_with_its_place(service, type_, configuration, path):
    with pytest.raises(SettingsError) as caught:
        service.validate(IntegrationSpec(name="i", type=type_, configuration=configuration))
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("type_", "configuration"),
    [
        ("http", {"url": "https://example.com/a?b={{ deviceName }}"}),
        ("mqtt", {"host": "h", "tls": {}, "will": {"topic": "w"}}),
        ("sftp", sftp(hostKeys=[KEY], files="schedule", content="csv")),
        ("sftp", sftp(hostKeys=[], knownHosts=f"other {KEY}\nh {KEY} me")),
        ("thingsboard", {"host": "h", "token": "t"}),
    ],
)
def test_good_settings_are_taken(service, type_, configuration):
    service.validate(IntegrationSpec(name="i", type=type_, configuration=configuration))


def test_secrets_are_secrets():
    assert masked({"host": "h", "password": "p", "tls": {"key": "k"}}, MqttSettings, str) == {
        "host": "h", "password": "***", "tls": {"key": "***"},
    }  # fmt: skip
    assert masked({"host": "h", "token": "t"}, ThingsBoardSettings, str) == {"host": "h", "token": "***"}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"120", 120.0),
        (b"Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        (b"Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        (b"Saturday, 21-Nov-26 12:00:30 GMT", 30.0),
        (b"Sat Nov 21 12:00:30 2026", 30.0),
        (b"1000000000000", 86400.0),
        (b"Fri, 31 Dec 9999 23:59:59 GMT", 86400.0),
        (b"9" * 5000, None),
        (b"\xb2", None),
        (b"\xd9\xa3", None),
        (b"-1", None),
        (b"nan", None),
        (b"soon", None),
        (b"", None),
        ("²".encode("latin-1"), None),
        (b"Sat, 21 Nov 0001 00:00:00 +2359", 0.0),
        (None, None),
    ],
)
def test_retry_after(header, seconds):
    assert retry_after(header, 1795262400.0) == seconds
