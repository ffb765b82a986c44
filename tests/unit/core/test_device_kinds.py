"""Which converter a device gets, and which one of the library is offered."""

import pytest

from iotgw.core.device_kinds import ConverterChoice, DeviceFacts, eui_range, suggested

CHOICE = ConverterChoice(
    {
        "70B3D57ED0000017": "own",
        "70B3D57ED0*": "vendor",
        "70B3D57ED0000000-70B3D57ED00000FF": "batch",
        "EM300-TH": "em300",
        "LHT65": "lht65",
        "356938035643809": "by-imei",
    },
    "rest",
)


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"devEui": "70b3d57ed0000017", "deviceProfile": "LHT65"}, "own"),
        ({"devEui": "70-B3-D5-7E-D0-00-00-17"}, "own"),
        ({"identity": "70B3D57ED0000018"}, "batch"),
        ({"identity": "probe-7", "devEui": "70b3d57ed0000fff", "deviceProfile": "LHT65"}, "vendor"),
        ({"identity": "356938035643809"}, "by-imei"),
        ({"devEui": "a84041ffff000001", "deviceProfile": "em300-th"}, "em300"),
        ({"deviceModel": "LHT65", "deviceProfile": "EM300-TH"}, "lht65"),
        ({"deviceType": "LHT65"}, "lht65"),
        ({"deviceType": "LHT52"}, "rest"),
        ({}, "rest"),
        (
            {"deviceModel": 7, "deviceProfile": ["x"], "deviceType": None, "devEui": {}, "identity": True},
            "rest",
        ),
    ],
)
def test_a_device_s_own_entry_counts_first_then_its_range_then_what_it_is(facts, name):
    assert CHOICE.name(DeviceFacts(**facts)) == name


def test_without_a_converter_for_the_rest_there_may_be_none():
    assert ConverterChoice({"a": "x"}, "").name(DeviceFacts(deviceModel="b")) == ""


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("70B3D57ED0*", (0x70B3D57ED0000000, 0x70B3D57ED0FFFFFF)),
        ("0000000000000001-0000000000000002", (1, 2)),
        ("EM300-TH", None),
        ("*", None),
        ("70B3D57ED0000017", None),
    ],
)
def test_a_key_may_be_a_range_of_deveuis(key, found):
    assert eui_range(key) == found


LIBRARY = (
    "milesight/em300-th",
    "milesight/em300-mcs",
    "milesight/ws301",
    "dragino-lorawan/lht65",
    "elsys/sensors",
    "json",
)


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        ("EM300-TH", "milesight/em300-th"),
        ("Milesight EM300 TH (EU868, class A)", "milesight/em300-th"),
        ("em300_mcs", "milesight/em300-mcs"),
        ("LHT65-EU", "dragino-lorawan/lht65"),
        ("EM300", ""),
        ("LHT650", ""),
        ("sensors", ""),
        ("", ""),
    ],
)
def test_the_library_has_a_converter_for_a_known_profile(profile, name):
    assert suggested(profile, LIBRARY) == name
