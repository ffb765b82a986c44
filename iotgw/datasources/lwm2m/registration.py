"""A registration: what a device said of itself (Core §6.2), and how it is read from its requests."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import lru_cache

import msgspec
from msgspec import Struct, structs

from iotgw.core.names import unfit
from iotgw.core.numbers import whole
from iotgw.wire.lwm2m import links
from iotgw.wire.lwm2m.links import Objects
from iotgw.wire.lwm2m.values import CodecError

LIFETIME = 86_400
"""Seconds that a registration lives for which the device names none (Core §6.2.1)."""
LONGEST_LIFETIME = (1 << 53) - 1
LONGEST_NAME = 255
VERSIONS = ("1.0", "1.1", "1.2")
_BINDINGS = frozenset("UTSNQM")


class Said(Struct, frozen=True):
    """The parameters of a Register or an Update; None is what it doesn't name."""

    endpoint: str = ""
    lifetime: int | None = None
    version: str = ""
    binding: str | None = None
    queue: bool = False
    sms: str | None = None


class Lwm2mRegistration(Struct, frozen=True, omit_defaults=True):
    """A device that has registered.

    ``device`` is its name, ``proved`` what it has proved to be (empty: nothing) by a
    ``proof`` of ``psk`` or ``x509``. A ``lifetime`` of 0 has no end (Core 1.1.1, appendix E.2). ``links`` are its objects as it sent them.
    ``host`` and ``port`` are where it was last, ``told`` is the host where it was told its id, unless that is the same. ``tokens`` are those of its observations, in hexadecimal, by what is
    observed. ``conditions`` is the mark of those that it was given (`ProfilePlan.mark`). ``registered_ms`` is a date.
    """

    id: str
    endpoint: str
    device: str
    proved: str = ""
    proof: str = ""
    version: str = "1.0"
    lifetime: int = LIFETIME
    binding: str = "U"
    queue: bool = False
    sms: str = ""
    links: bytes = b""
    host: str = ""
    port: int = 0
    told: str = ""
    registered_ms: int = 0
    tokens: dict[str, str] = {}
    conditions: str = ""

    @property
    def told_host(self) -> str:
        """Where it was told its id: whoever names the id from there gets what is sent there."""
        return self.told or self.host

    @property
    def objects(self) -> Objects:
        """Its objects."""
        return objects_of(self.links)

    def view(self) -> dict[str, object]:
        """It as users see it, JSON."""
        objects = self.objects
        return {
            "id": self.id,
            "endpoint": self.endpoint,
            "device": self.device,
            "identity": self.proved,
            "lwm2mVersion": self.version,
            "lifetime": self.lifetime,
            "binding": self.binding,
            "queueMode": self.queue,
            "remoteIp": self.host,
            "remotePort": self.port,
            "registeredAt": self.registered_ms,
            "objects": {
                (str(id) if id not in objects.versions else f"{id}_{objects.versions[id]}"): instances
                for id, instances in objects.instances.items()
            },
            "observes": sorted(self.tokens),
        }


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Lwm2mRegistration).decode


def shared(registration: Lwm2mRegistration, links: bytes) -> Lwm2mRegistration:
    """It with the same objects as others, and as within itself, where they say the same, as its ``links``: there are many, and they are
    kept long."""
    endpoint, device = registration.endpoint, registration.device
    return structs.replace(
        registration,
        device=endpoint if device == endpoint else device,
        links=links,
        host=sys.intern(registration.host),
        tokens={sys.intern(what): token for what, token in registration.tokens.items()},
        conditions=sys.intern(registration.conditions),
    )


@lru_cache(maxsize=1024)
def objects_of(data: bytes) -> Objects:
    """The objects in the links of a registration. Devices of one type send the same. Raises `CodecError`."""
    return links.objects_of(links.parse(data))


def said(queries: Sequence[str]) -> Said:
    """The parameters of a request (Core §6.2.1, §6.2.2). Unknown ones are ignored. Raises `CodecError`."""
    given = dict(reversed([query.partition("=")[::2] for query in queries]))
    endpoint = given.get("ep", "")
    if len(endpoint) > LONGEST_NAME or unfit(endpoint):
        raise CodecError("ep: expected a name without control characters")
    version = given.get("lwm2m", "")
    if version and version.removesuffix(".0") not in VERSIONS and version not in VERSIONS:
        raise CodecError(f"lwm2m: expected one of {', '.join(VERSIONS)}")
    binding = given.get("b")
    if binding is not None and not (binding and set(binding.upper()) <= _BINDINGS and len(binding) <= 8):
        raise CodecError("b: expected letters of bindings, such as U or UQ")
    lifetime = whole(given["lt"], 0, LONGEST_LIFETIME) if "lt" in given else None
    if "lt" in given and lifetime is None:
        raise CodecError("lt: expected a number of seconds")
    return Said(
        endpoint,
        lifetime,
        "1.0" if version == "1.0.0" else version,
        None if binding is None else binding.upper(),
        "Q" in given,
        given.get("sms"),
    )
