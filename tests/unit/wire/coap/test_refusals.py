"""Which error responses are final."""

from __future__ import annotations

import pytest

from iotgw.wire.coap.refusals import is_final

FINAL = ["4.00", "4.01", "4.02", "4.03", "4.04", "4.05", "4.06", "4.12", "4.13", "4.15", "4.22", "4.31"]
FINAL += ["5.01", "5.05", "5.08"]
RETRIED = ["4.08", "4.09", "4.29", "5.00", "5.02", "5.03", "5.04", "5.31"]


@pytest.mark.parametrize("code", [*FINAL, *RETRIED])
def test_what_would_be_answered_again_is_final(code):
    category, _, detail = code.partition(".")
    assert is_final(int(category) << 5 | int(detail)) is (code in FINAL)
