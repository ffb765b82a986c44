"""The settings of ``lwm2m-bootstrap`` datasources."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from iotgw.core.patterns import pattern
from iotgw.core.pem import Pem, SecretPem, names
from iotgw.core.wildcards import NamePattern, check_patterns
from iotgw.datasources.coap.paths import parse_fixed
from iotgw.datasources.coap.settings import CoapSettings
from iotgw.dtls.settings import DtlsSettings
from iotgw.wire.coap.timing import TimingName
from iotgw.wire.lwm2m.bootstrap import Mode


class IssuerSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Who signs the certificates that devices get."""

    cert_file: Annotated[Pem, Meta(description="The authority's certificate.")]
    key_file: Annotated[SecretPem, Meta(description="Its private key; as `certFile` if empty.")] = ""
    days: Annotated[int, Meta(ge=1, le=36_500, description="How long a device's certificate is valid.")] = (
        3650
    )


class ServerAccount(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A server that devices are told of."""

    uri: Annotated[
        str,
        Meta(
            max_length=255,
            pattern=pattern("^coaps?://[^/]+", "a URL such as coaps://gateway.example:5684"),
            description="Where it is, such as `coaps://gateway.example:5684`.",
        ),
    ]
    short_server_id: Annotated[
        int, Meta(ge=1, le=65534, description="Its number among the device's servers.")
    ] = 123
    mode: Annotated[
        Mode,
        Meta(
            description="How the device proves itself there: `psk` with the key of its credential, `x509` with a certificate that `issuer` signs now, `none` over plain CoAP."
        ),
    ] = "psk"
    lifetime: Annotated[
        int, Meta(ge=1, le=2_147_483_647, description="Seconds for which its registration lives.")
    ] = 86_400
    binding: Annotated[
        str,
        Meta(
            pattern=pattern("^[UTSNQM]{1,8}$", "letters of U, T, S, N, Q, M, such as U or UQ"),
            description="`U`, or `UQ` for queue mode in LwM2M 1.0.",
        ),
    ] = "U"
    server_certificate: Annotated[
        Pem, Meta(description="x509: the server's certificate, which the device compares.")
    ] = ""

    def __post_init__(self) -> None:
        """Refuse an account that no device could use."""
        if self.mode != "none" and not self.uri.startswith("coaps://"):
            raise ValueError(f"uri: expected coaps://… for the mode {self.mode}")
        if self.mode == "x509" and not self.server_certificate:
            raise ValueError("serverCertificate: expected one for the mode x509")


class BootstrapProfile(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The servers of a type of devices. The first profile that fits an endpoint name is its."""

    endpoints: Annotated[
        list[NamePattern],
        Meta(
            max_length=1000,
            description="Patterns of endpoint names, such as `urn:imei:86*`; none is all.",
        ),
    ] = []
    servers: Annotated[list[ServerAccount], Meta(min_length=1, max_length=8, description="Its servers.")]


class BootstrapSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of an ``lwm2m-bootstrap`` datasource. Times are seconds."""

    port: Annotated[int, Meta(ge=0, le=65535, description="UDP port.")] = 5687
    interface: Annotated[
        str, Meta(description="Address to listen on: `0.0.0.0` is all of IPv4, `::` all of IPv6.")
    ] = "0.0.0.0"
    security_mode: Annotated[
        Literal["NO_SECURE", "DTLS", "MIXED"],
        Meta(
            description="`coap` on `port`, `coaps` on `securePort`, or both. Keys are given over `coaps` only."
        ),
    ] = "DTLS"
    secure_port: Annotated[int, Meta(ge=0, le=65535, description="UDP port of `coaps`.")] = 5688
    dtls: Annotated[DtlsSettings, Meta(description="How devices prove who they are.")] = DtlsSettings()
    path: Annotated[str, Meta(description="A path in front of `bs`.")] = ""
    endpoint_is: Annotated[
        Literal["identity", "any"],
        Meta(
            description="Over DTLS, `identity`: a device has the name that it proved. `any`: whatever name nobody else has credentials for."
        ),
    ] = "identity"
    profiles: Annotated[
        list[BootstrapProfile],
        Meta(max_length=100, description="Types of devices; the first one that fits is a device's."),
    ] = []
    issuer: Annotated[
        IssuerSettings | None,
        Meta(description="Who signs the certificates of devices, for servers of the mode `x509`."),
    ] = None
    timing: Annotated[
        TimingName, Meta(description="Preset of the transmission parameters (RFC 7252 §4.8).")
    ] = "default"

    def __post_init__(self) -> None:
        """Refuse settings that couldn't work."""
        assert self.coap  # checks what both have in common
        if self.path:
            parse_fixed(self.path)
        check_patterns("profiles", (each for profile in self.profiles for each in profile.endpoints))
        if self.issuer is None and any(server.mode == "x509" for server in self.servers):
            raise ValueError("issuer: expected one for servers of the mode x509")
        if self.security_mode == "NO_SECURE" and any(server.mode != "none" for server in self.servers):
            raise ValueError("securityMode: expected DTLS or MIXED, as keys are given over DTLS only")

    @property
    def servers(self) -> list[ServerAccount]:
        """Those of all profiles."""
        return [server for profile in self.profiles for server in profile.servers]

    @property
    def files(self) -> list[str]:
        """The names of the operator's files that they need."""
        texts = [*(server.server_certificate for server in self.servers), *self.issued_by]
        return names(texts)

    @property
    def issued_by(self) -> tuple[str, ...]:
        """The settings of the issuer's certificate and key."""
        issuer = self.issuer
        return () if issuer is None else (issuer.cert_file, issuer.key_file or issuer.cert_file)

    @property
    def coap(self) -> CoapSettings:
        """What it has in common with ``coap`` datasources."""
        return CoapSettings(
            port=self.port, interface=self.interface, security_mode=self.security_mode, secure_port=self.secure_port,
            dtls=self.dtls, timing=self.timing,
        )  # fmt: skip
