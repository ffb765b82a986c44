"""An integration is made of a preset and answers."""

import pytest

from iotgw.core.errors import SettingsError
from iotgw.core.target_presets import TargetPreset
from iotgw.core.validate import convert

PRESET = convert({
    "title": "T", "about": "A.", "type": "http", "template": "{{ deviceName }} $(tag)", "format": "template", "split": "value",
    "ask": [
        {"name": "url", "says": "where it is", "default": "http://h"},
        {"name": "bucket", "says": "the bucket", "place": "url"},
        {"name": "port", "says": "the port", "default": "80", "number": True},
        {"name": "tag", "says": "a tag", "default": ""},
        {"name": "user", "says": "a user", "default": "", "without": ["auth"]},
        {"name": "token", "says": "a token", "default": "", "secret": True},
    ],
    "configuration": {
        "url": "$(url)/x?b=$(bucket)", "port": "$(port)", "auth": {"username": "$(user)"}, "list": ["$(tag)", 1],
    },
}, TargetPreset)  # fmt: skip


def test_answers_fill_the_places():
    answers = {"bucket": "my bucket/&", "port": "81", "tag": "t", "user": "u", "url": "https://h2/"}
    assert PRESET.spec("one", answers) == {
        "name": "one", "type": "http", "format": "template", "split": "value", "template": "{{ deviceName }} t",
        "configuration": {
            "url": "https://h2/x?b=my%20bucket%2F%26", "port": 81, "auth": {"username": "u"}, "list": ["t", 1],
        },
    }  # fmt: skip


def test_defaults_stand_in_and_an_empty_one_leaves_out_what_it_is_for():
    configuration = PRESET.spec("one", {"bucket": "b"})["configuration"]
    assert configuration == {"url": "http://h/x?b=b", "port": 80, "list": ["", 1]}


@pytest.mark.parametrize(
    ("answers", "place", "problem"),
    [
        ({}, "answers.bucket", "expected the bucket"),
        ({"bucket": ""}, "answers.bucket", "expected the bucket"),
        ({"bucket": "b", "url": ""}, "answers.url", "expected where it is"),
        ({"bucket": "b", "what": "x"}, "answers.what", "expected one of url, bucket"),
        ({"bucket": "b", "port": "x"}, "answers.port", "expected a number"),
        ({"bucket": "b", "port": "²"}, "answers.port", "expected a number"),
        ({"bucket": "b", "tag": "{{ x }}"}, "answers.tag", "without {{"),
        ({"bucket": "b", "tag": "a\nb"}, "answers.tag", "one line"),
        ({"bucket": "b", "tag": "x" * 5000}, "answers.tag", "one line"),
    ],
)
def test_wrong_answers_are_refused_by_name(answers, place, problem):
    with pytest.raises(SettingsError) as caught:
        PRESET.spec("one", answers)
    assert caught.value.path == place
    assert problem in caught.value.problem
