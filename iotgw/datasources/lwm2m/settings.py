"""The settings of ``lwm2m`` datasources."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal

from msgspec import Meta, Struct

from iotgw.core.patterns import pattern
from iotgw.datasources.coap.paths import parse_fixed
from iotgw.datasources.coap.settings import CoapSettings, Seconds
from iotgw.datasources.lwm2m.profile import Lwm2mProfile, checked
from iotgw.dtls.settings import DtlsSettings
from iotgw.wire.coap.timing import TimingName
from iotgw.wire.lwm2m.model_xml import MOST_BYTES, models_of
from iotgw.wire.lwm2m.models import ObjectModel
from iotgw.wire.lwm2m.values import CodecError

Xml = Annotated[str, Meta(max_length=MOST_BYTES)]


@lru_cache(maxsize=256)
def _models(text: str) -> tuple[ObjectModel, ...] | CodecError:
    """The models of a text, or what is wrong with it: read once for the check when it is saved, and for what runs with it."""
    try:
        return tuple(models_of(text.encode()))
    except CodecError as error:
        return error


class FirmwareSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How devices are updated. Times are seconds."""

    host: Annotated[
        str,
        Meta(
            max_length=200,
            description="The gateway's name or address as devices reach it, for those that fetch their image by CoAP or coaps. Without it, images are pushed.",
        ),
    ] = ""
    http_url: Annotated[
        str,
        Meta(
            max_length=150,
            pattern=pattern("^(https?://[^/]+(/.*)?)?$", "a URL such as http://gateway.example:8080"),
            description="The URL of the API's listener as devices reach it, such as `http://gateway.example:8080`, for those that fetch by HTTP.",
        ),
    ] = ""
    at_once: Annotated[int, Meta(ge=1, le=1000, description="Images that are on their way at a time.")] = 10
    download_time: Annotated[
        Seconds, Meta(description="How long a device may fetch its image before it is told again.")
    ] = 3600.0
    install_time: Annotated[
        Seconds, Meta(description="How long a device may take until it says what became of the image.")
    ] = 1800.0


class Lwm2mSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of an ``lwm2m`` datasource. Times are seconds, sizes bytes."""

    port: Annotated[int, Meta(ge=0, le=65535, description="UDP port; `coap` datasources may share it.")] = (
        5683
    )
    interface: Annotated[
        str, Meta(description="Address to listen on: `0.0.0.0` is all of IPv4, `::` all of IPv6.")
    ] = "0.0.0.0"
    security_mode: Annotated[
        Literal["NO_SECURE", "DTLS", "MIXED"],
        Meta(description="`coap` on `port`, `coaps` on `securePort`, or both."),
    ] = "NO_SECURE"
    secure_port: Annotated[int, Meta(ge=0, le=65535, description="UDP port of `coaps`.")] = 5684
    dtls: Annotated[DtlsSettings, Meta(description="How devices prove who they are.")] = DtlsSettings()
    path: Annotated[
        str,
        Meta(
            description="A path in front of `rd` and `dp`, so that several datasources share a port: with `acme`, devices register at `coap://host/acme`."
        ),
    ] = ""
    endpoint_is: Annotated[
        Literal["identity", "any"],
        Meta(
            description="`identity`: over DTLS a device registers by the name that it proved, that of its credential's device or its `identity`. `any`: by whatever name nobody else has credentials for."
        ),
    ] = "identity"
    profiles: Annotated[
        list[Lwm2mProfile],
        Meta(max_length=100, description="Types of devices; the first one that fits is a device's."),
    ] = []
    objects: Annotated[
        list[Xml],
        Meta(
            max_length=200,
            description="Object models beside the bundled ones: OMA's XML, as text, at most a megabyte in all. They stand in place of bundled ones of the same version.",
        ),
    ] = []
    min_lifetime: Annotated[
        Seconds, Meta(description="A registration lives at least this long, whatever the device says.")
    ] = 15.0
    max_lifetime: Annotated[
        Seconds,
        Meta(
            description="And at most this long, also where a device says 0, which has no end. Without a word of the device it is a day."
        ),
    ] = 30 * 86_400.0
    max_registrations: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Beyond, devices are told to come back later (5.03).")
    ] = 100_000
    awake_time: Annotated[
        Seconds,
        Meta(
            description="How long a device in queue mode listens after each of its messages, unless its profile says otherwise."
        ),
    ] = 93.0
    updates: Annotated[
        Literal["changes", "always"],
        Meta(
            description="Which updates of a registration are messages: those that change something, or all."
        ),
    ] = "changes"
    reset_notifications: Annotated[
        bool,
        Meta(
            description="Whether a notification that nobody observes is reset though it is not confirmable, so that its device sends no more of them. Some modems then send nothing any more. It holds for the port."
        ),
    ] = True
    firmware: Annotated[FirmwareSettings, Meta(description="How devices are updated.")] = FirmwareSettings()
    timing: Annotated[
        TimingName, Meta(description="Preset of the transmission parameters (RFC 7252 §4.8).")
    ] = "default"
    response_timeout: Annotated[
        Seconds | None,
        Meta(
            description="Most seconds that a device may take to answer a request that it has acknowledged; 93 s with the default timing."
        ),
    ] = None
    block_size: Annotated[
        Literal[16, 32, 64, 128, 256, 512, 1024], Meta(description="Largest block that is sent.")
    ] = 1024
    max_body: Annotated[int, Meta(gt=0, description="Largest body that comes in, block-wise.")] = 1 << 20
    rate_limit: Annotated[
        float,
        Meta(
            ge=0,
            description="Requests per second and peer; beyond, 4.29. 0 is no limit.",
            extra_json_schema={"x-unit": "1/s"},
        ),
    ] = 0.0
    rate_burst: Annotated[
        float,
        Meta(
            ge=1,
            description="Requests at once before the limit counts.",
            extra_json_schema={"x-unit": "requests"},
        ),
    ] = 10.0

    def __post_init__(self) -> None:
        """Refuse settings that couldn't work."""
        checked(self.profiles)
        self.models()
        assert self.coap  # checks what both have in common
        if self.path:
            parse_fixed(self.path)
        if self.min_lifetime > self.max_lifetime:
            raise ValueError("minLifetime: expected at most maxLifetime")

    def models(self) -> list[ObjectModel]:
        """The users' object models. Raises ValueError."""
        found: list[ObjectModel] = []
        if (size := sum(map(len, self.objects))) > MOST_BYTES:
            raise ValueError(f"objects: expected at most {MOST_BYTES} characters in all, got {size}")
        for number, text in enumerate(self.objects):
            models = _models(text)
            if isinstance(models, CodecError):
                raise ValueError(f"objects[{number}]: {models}")
            found += models
        return found

    @property
    def coap(self) -> CoapSettings:
        """What it has in common with ``coap`` datasources."""
        return CoapSettings(
            port=self.port,
            interface=self.interface,
            security_mode=self.security_mode,
            secure_port=self.secure_port,
            dtls=self.dtls,
            timing=self.timing,
            response_timeout=self.response_timeout,
            block_size=self.block_size,
            max_body=self.max_body,
            rate_limit=self.rate_limit,
            rate_burst=self.rate_burst,
        )
