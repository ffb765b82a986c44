"""Devices' specs as they are stored."""

import msgspec
import pytest

from iotgw.core.device_entry import DeviceSpec
from iotgw.store.entry_bodies import EntryBodies


def entry(name, body):
    return EntryBodies().entry("default", name, 1, 2, 3, body)


def test_what_is_stored_comes_back_with_the_name_of_its_row():
    spec = DeviceSpec(name='a "b" ä', label="x", groups=("g",), tags={"k": "v"}, report_every=0.0)
    assert entry(spec.name, EntryBodies().encode(spec)).spec == spec


def test_a_device_of_which_nothing_is_said_comes_back():
    spec = DeviceSpec(name="a")
    assert EntryBodies().encode(spec) == b"{}"
    assert entry("a", b"{}").spec == spec


def test_what_a_newer_release_has_stored_is_left_out():
    assert entry("a", b'{"label":"x","colour":"red"}').spec == DeviceSpec(name="a", label="x")


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'{"label":1}', b'{"groups":["a","a"]}', b'{"label":"a\\u0001"}']
)
def test_what_can_not_be_a_device_is_told_as_such(body):
    with pytest.raises(msgspec.MsgspecError):
        entry("a", body)


def test_alike_devices_share_their_type_and_their_groups():
    bodies = EntryBodies()
    body = b'{"type":"meter of heat","groups":["cellar","north"]}'
    one, other = (bodies.entry("default", name, 1, 2, 3, body).spec for name in "ab")
    assert one.type is other.type
    assert one.groups is other.groups
