import gc

import pytest
from OpenSSL import SSL

from iotgw.core.errors import Unavailable
from iotgw.dtls import psk
from iotgw.dtls.profiles import ListenerProfiles
from iotgw.dtls.settings import DtlsSettings
from tests.dtls_peer import Link, Secrets


@pytest.mark.parametrize("missing", ["_lib", "_ffi"])
def test_a_pyopenssl_without_the_binding_is_said_plainly(monkeypatch, missing):
    monkeypatch.delattr(SSL, missing)
    with pytest.raises(
        Unavailable, match=r"pre-shared keys needs SSL_CTX_set_psk_server_callback .* pyOpenSSL \d"
    ):
        ListenerProfiles(DtlsSettings(), Secrets(), {})


def test_a_binding_without_the_function_is_said_as_plainly(monkeypatch):
    monkeypatch.setattr(SSL, "_lib", object())
    with pytest.raises(Unavailable):
        psk.check()


def test_the_callback_lives_as_long_as_its_profile():
    link = Link()
    gc.collect()  # cffi frees a callback that nobody holds, and OpenSSL would call into nothing
    assert link.connect().done


def test_an_error_in_the_look_up_refuses_the_peer_and_passes_nothing_through_openssl(monkeypatch):
    class Broken(Secrets):
        def psk(self, identity):
            raise RuntimeError("broken look-up")

    seen = []
    monkeypatch.setattr("sys.unraisablehook", lambda what: seen.append(str(what.exc_value)))
    link = Link(credentials=Broken())
    assert "alert" in link.connect().error
    assert seen == ["broken look-up"]


def test_a_secret_that_openssl_has_no_room_for_is_refused():
    link = Link(credentials=Secrets({"dev": b"x" * 10_000}))
    assert "alert" in link.connect().error
