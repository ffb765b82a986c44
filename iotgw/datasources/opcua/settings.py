"""The settings of an ``opc-ua`` datasource."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import unquote, urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Meta, Struct

from iotgw.connect.opcua_plan import Mode, OpcuaPlan, Policy
from iotgw.core.names import unfit
from iotgw.core.pem import Pem, SecretPem, is_pem
from iotgw.core.secrets import Secret, SecretUrl

NodeId = Annotated[str, Meta(max_length=1024)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
LARGEST_KEY = 4096
"""Bits of a key (OPC 10000-7, "Basic256Sha256" and its successors)."""
_NODE = re.compile(r"(?:ns=\d{1,5};|nsu=[^;]+;)?[isgb]=.+", re.DOTALL)
OBJECTS = "i=85"
"""The folder of all objects (OPC 10000-5 §8.2.4)."""


class OpcuaSecurity(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Signed and encrypted messages."""

    policy: Annotated[Policy, Meta(description="The policy; `none` is without security.")] = "none"
    mode: Annotated[Mode, Meta(description="Whether messages are signed, or signed and encrypted.")] = (
        "signAndEncrypt"
    )
    certificate: Annotated[Pem, Meta(description="Our certificate, PEM. The server has to trust it.")] = ""
    key: Annotated[SecretPem, Meta(description="The private key of `certificate`.")] = ""
    server_certificate: Annotated[
        Pem, Meta(description="The server's certificate, PEM: no other one is trusted.")
    ] = ""

    def __post_init__(self) -> None:
        """Refuse what is missing, and what would not be used."""
        for name in ("certificate", "key", "server_certificate"):
            text = getattr(self, name)
            if (self.policy == "none") is not (text == ""):
                expected = "none without a policy" if text else "PEM text, which the policy needs"
                raise ValueError(f"{name}: expected {expected}")
            if text and (not is_pem(text) or "ENCRYPTED" in text):
                raise ValueError(f"{name}: expected PEM text without a passphrase")
        if self.key:
            _check_key(self.key)


def _check_key(text: str) -> None:
    """Refuse what is no key for the policies; raises ValueError. The package that uses it looks whether its factors are prime, which
    takes seconds for a larger one."""
    try:
        key = load_pem_private_key(text.encode(), None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey) or key.key_size > LARGEST_KEY:
        raise ValueError(f"key: expected an RSA key of at most {LARGEST_KEY} bits")


class OpcuaSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of an ``opc-ua`` datasource."""

    url: Annotated[
        SecretUrl,
        Meta(
            max_length=2048,
            description="The server: `opc.tcp://host:4840/path`; stored encrypted, as it may have a password.",
        ),
    ]
    username: Annotated[str, Meta(description="The user's name at the server.")] = ""
    password: Annotated[Secret, Meta(description="The user's password at the server.")] = ""
    security: Annotated[OpcuaSecurity, Meta(description="How the connection is secured.")] = OpcuaSecurity()
    nodes: Annotated[
        list[NodeId],
        Meta(
            max_length=10_000,
            description="Variables to read by their node ids: `ns=2;s=Line1.Speed`, or `nsu=urn:plant;s=Line1.Speed`.",
        ),
    ] = []
    browse: Annotated[
        list[NodeId],
        Meta(
            max_length=100,
            description="Objects below which all variables are read. Without this and `nodes`, all below Objects, without the server's own.",
        ),
    ] = []
    depth: Annotated[int, Meta(ge=1, le=32, description="Levels of objects below `browse`.")] = 8
    most_variables: Annotated[
        int, Meta(ge=1, le=10_000, description="Further ones are not read, and an event says so.")
    ] = 1000
    device_name: Annotated[
        str, Meta(description="One name for all; empty: the object that has the variable is the device.")
    ] = ""
    publishing_interval: Annotated[
        Seconds, Meta(description="Seconds between the server's reports of changes.")
    ] = 1.0
    sampling_interval: Annotated[
        Annotated[float, Meta(ge=0, le=86_400)],
        Meta(description="Seconds between the server's looks at a variable; 0 is as fast as it can."),
    ] = 1.0
    queue_size: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="Values of a variable that the server keeps between two reports, and while the gateway is full.",
        ),
    ] = 10
    deadband: Annotated[
        float,
        Meta(
            ge=0,
            description="By how much a number has to change to be reported; 0 is any change.",
            extra_json_schema={"x-unit": ""},
        ),
    ] = 0.0
    deadband_percent: Annotated[
        bool, Meta(description="`deadband` is in percent of the variable's range, for servers that know it.")
    ] = False
    timeout: Annotated[
        float, Meta(gt=0, le=120, description="Seconds that the server has for an answer.")
    ] = 5.0

    def __post_init__(self) -> None:
        """Refuse a URL that leads to no server, and what is no node id."""
        self.plan()
        for name, nodes in (("nodes", self.nodes), ("browse", self.browse)):
            for node in nodes:
                if _NODE.fullmatch(node) is None:
                    raise ValueError(
                        f"{name}: expected a node id such as ns=2;s=Line1.Speed, got {node[:100]!r}"
                    )
        if self.deadband_percent and self.deadband > 100:
            raise ValueError("deadband: expected at most 100 percent")
        if unfit(self.device_name):
            raise ValueError("deviceName: expected no control characters")

    @property
    def place(self) -> tuple[str, int]:
        """The server's host and port. Raises ValueError."""
        try:
            parts = urlsplit(self.url.strip())
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not host or re.search(r"\s", host) or parts.scheme != "opc.tcp":
            raise ValueError("url: expected opc.tcp://host:port")
        return host, port or 4840

    @property
    def address(self) -> str:
        """The URL without any secret."""
        host, port = self.place
        return f"opc.tcp://[{host}]:{port}" if ":" in host else f"opc.tcp://{host}:{port}"

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        return (*self.place, self.security.policy, self.security.server_certificate.strip())

    def plan(self) -> OpcuaPlan:
        """What to connect to and to read. Raises ValueError."""
        parts = urlsplit(self.url.strip())
        address, secure = self.address, self.security
        if parts.username and (self.username or self.password):
            raise ValueError("username: expected none beside a URL that says one")
        return OpcuaPlan(
            url=address + parts.path,
            username=unquote(parts.username or "") or self.username,
            password=unquote(parts.password or "") or self.password,
            policy=secure.policy,
            mode=secure.mode,
            certificate=secure.certificate,
            key=secure.key,
            server_certificate=secure.server_certificate,
            application_uri=_application_uri(secure.certificate),
            nodes=tuple(self.nodes),
            browse=tuple(self.browse) or (() if self.nodes else (OBJECTS,)),
            depth=self.depth,
            most=self.most_variables,
            publishing=self.publishing_interval,
            sampling=self.sampling_interval,
            queue_size=self.queue_size,
            deadband=self.deadband,
            is_percent=self.deadband_percent,
            timeout=self.timeout,
        )


def _application_uri(certificate: str) -> str:
    """The URI in our certificate, which servers compare with what we say (OPC 10000-6 §6.2.2); empty if there is none."""
    if not certificate:
        return ""
    try:
        names = x509.load_pem_x509_certificate(certificate.encode()).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        return next(iter(names.value.get_values_for_type(x509.UniformResourceIdentifier)), "")
    except x509.ExtensionNotFound:
        return ""
    except ValueError as error:
        raise ValueError("security.certificate: expected a certificate in PEM text") from error
