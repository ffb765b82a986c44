"""What people are told of an OPC UA server that can't be had."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
from asyncua import ua

from iotgw.connect.opcua_plan import OpcuaPlan
from iotgw.connect.opcua_reasons import unfit, why
from tests.certificates import Authority

PEM = Authority().pem().decode()
DER = ssl.PEM_cert_to_DER_cert(PEM)
OPEN, SECURE = "None", "Basic256Sha256"
SIGN, ENCRYPT = ua.MessageSecurityMode.Sign, ua.MessageSecurityMode.SignAndEncrypt


def offers(policy: str, mode: int = ua.MessageSecurityMode.None_, certificate: bytes = DER) -> Any:
    return ua.EndpointDescription(
        SecurityPolicyUri=f"http://opcfoundation.org/UA/SecurityPolicy#{policy}",
        SecurityMode=mode,
        ServerCertificate=certificate,
    )


def plan(**settings: Any) -> OpcuaPlan:
    return OpcuaPlan(url="opc.tcp://127.0.0.1:1", timeout=0.5, server_certificate=PEM, **settings)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ua.UaStatusCodeError(ua.StatusCodes.BadCertificateUseNotAllowed), "needs the key usages"),
        (ua.UaStatusCodeError(ua.StatusCodes.BadSecurityChecksFailed), "have the server trust"),
        (ua.UaStatusCodeError(ua.StatusCodes.BadIdentityTokenRejected), "refuses username and password"),
        (TimeoutError(), "the server did not answer in time"),
        (ConnectionRefusedError(), "the connection was refused"),
        (ua.UaError("something else"), "something else"),
    ],
)
def test_where_the_server_says_no_more_its_status_has_a_hint(error: Exception, reason: str) -> None:
    assert reason in asyncio.run(why(plan(), error))


def test_what_the_server_offers_is_said_where_it_is_not_what_the_settings_say() -> None:
    offered = [offers(SECURE, SIGN), offers(SECURE, ENCRYPT), offers("Aes128_Sha256_RsaOaep", ENCRYPT)]
    assert unfit(plan(policy="Aes256Sha256RsaPss"), offered) == (
        "expected a security that the server offers, which is Aes128Sha256RsaOaep signAndEncrypt, "
        "Basic256Sha256 sign, Basic256Sha256 signAndEncrypt; got Aes256Sha256RsaPss signAndEncrypt"
    )
    assert unfit(plan(), offered).endswith("; got none")
    assert unfit(plan(policy="Basic256Sha256", mode="sign"), offered) == ""
    assert unfit(plan(), [offers(OPEN)]) == ""


def test_another_certificate_is_told_by_its_fingerprint_and_one_with_its_issuers_is_the_same() -> None:
    other = ssl.PEM_cert_to_DER_cert(Authority().pem().decode())
    secure = plan(policy="Basic256Sha256")
    assert unfit(secure, [offers(SECURE, ENCRYPT, DER + other)]) == ""
    assert "expected the certificate that the server has, of SHA-256" in unfit(
        secure, [offers(SECURE, ENCRYPT, other + DER)]
    )


def test_a_server_s_words_are_bounded() -> None:
    said = unfit(plan(), [offers("x\n" * 100_000, ENCRYPT, b"")])
    assert len(said) < 200 and "\n" not in said
