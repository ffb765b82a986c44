"""Keys of PuTTY that are none are told so, whatever is wrong with them."""

import pytest

from iotgw.connect.ssh_ppk import load_ppk
from tests.fuzz.all_decoders import ppk

GOOD = ppk().decode()


def test_a_key_that_putty_wrote_is_read():
    assert load_ppk(GOOD, "").private_bytes_raw() == bytes(32)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "another version"),
        (GOOD.replace("Private-MAC: ", "Private-MAC: \xe4"), "checksum"),
        (GOOD.replace("Comment: x", "Comment: y"), "checksum"),
        (GOOD.replace("Public-Lines: 1", "Public-Lines: 999999999999"), "Public-Lines"),
    ],
)
def test_what_is_no_such_key_is_a_value_error(text, why):
    with pytest.raises(ValueError, match=why):
        load_ppk(text, "")
