"""Whoever types a text of another form is told the form in words, not a regular expression."""

import pytest

from iotgw.core.errors import SettingsError
from iotgw.core.patterns import in_words
from iotgw.core.specs import DatasourceSpec
from iotgw.core.validate import convert


def test_a_wrong_limit_is_told_in_words():
    wrong = {"name": "web", "type": "http", "limit": "100:1;2000:60"}
    with pytest.raises(SettingsError, match="such as 100:1,2000:60") as refused:
        convert(wrong, DatasourceSpec)
    assert refused.value.path == "limit"
    assert "regex" not in str(refused.value)


@pytest.mark.parametrize("problem", ["expected `int`, got `str`", "expected `str` matching regex '^nobody$'"])
def test_what_has_no_words_stays(problem):
    assert in_words(problem) == problem
