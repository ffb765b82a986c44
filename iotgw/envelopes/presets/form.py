"""What a preset's file says, and what a user writes for a platform of his own (``preset: custom``).

Texts that are called *expressions* are JMESPath (`iotgw.core.expressions.language`). They see one object, the occasion:
``body`` is the message, ``whole`` the request's whole body where it was split, ``query`` the query's parameters,
``path`` the segments behind the routing key, ``topic`` the levels of an MQTT topic, ``headers`` the request's headers
by lower-case names, without secret ones.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Action = Literal["uplink", "receipt", "event", "ask", "ignore"]
"""What a kind of message is: a device's reading, a network's word on a downlink, something that happened to a device or the
network, its question for a downlink, or nothing."""
Became = Literal["sent", "delivered", "acknowledged", "lost", "refused", "ignored"]
"""What a receipt says. ``sent``: the network has sent it, which is all that an unconfirmed downlink can hope for. ``lost``:
it may be tried again. ``refused``: it would be refused again. ``ignored``: nothing is decided yet."""
Encoding = Literal["base64", "hex", "text", "json"]
Unit = Literal["iso", "ms", "s", "compact"]
"""``iso``: ISO 8601. ``ms``, ``s``: since 1970. ``compact``: ``yyyyMMdd'T'HHmmss'Z'``."""


class Form(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of a preset's tables; unknown fields are refused."""


class KindForm(Form, frozen=True, kw_only=True):
    """How to tell what a message is."""

    at: Annotated[str, Meta(description="Expression: the word that says what it is.")] = ""
    root: Annotated[
        bool, Meta(description="The word is the first one of `words` that is a key of the message.")
    ] = False
    words: Annotated[dict[str, Action], Meta(description="What each word means.")] = {}
    otherwise: Annotated[Action, Meta(description="What any other word, or none, means.")] = "ignore"


class DeviceForm(Form, frozen=True, kw_only=True):
    """Whose message it is."""

    identity: Annotated[
        str, Meta(description="Expression: the name by which the platform is told of the device.")
    ]
    name: Annotated[str, Meta(description="Expression: the device's name for people (`deviceName`).")] = ""
    type: Annotated[str, Meta(description="Expression: its type or profile (`deviceType`).")] = ""


class PayloadForm(Form, frozen=True, kw_only=True):
    """Where the device's own bytes are."""

    at: Annotated[str, Meta(description="Expression: the encoded payload.")]
    encoding: Annotated[
        Encoding, Meta(description="How the device's bytes are written in the platform's message.")
    ] = "base64"


class GatewaysForm(Form, frozen=True, kw_only=True):
    """The gateways that heard a frame: the one with the best signal is told in the metadata."""

    at: Annotated[str, Meta(description="Expression: the list of gateways.")]
    rssi: Annotated[str, Meta(description="Expression on one gateway: dBm.")] = "rssi"
    snr: Annotated[str, Meta(description="Expression on one gateway: dB.")] = "snr"
    id: Annotated[str, Meta(description="Expression on one gateway: its name.")] = ""


class TimeForm(Form, frozen=True, kw_only=True):
    """When the reading was taken, or the network heard it: `time` in the metadata, in ms since 1970."""

    at: Annotated[str, Meta(description="Expression: the time.")]
    unit: Annotated[Unit, Meta(description="What a number counts since 1970.")] = "iso"


class BatchForm(Form, frozen=True, kw_only=True):
    """Several messages in one field of a form, a line for each, as SigFox's batch callbacks have them: ``body`` is then an
    object with a list under the field's name."""

    field: Annotated[str, Meta(description="The field of the body that has the list of messages.")] = "batch"
    separator: Annotated[
        str, Meta(min_length=1, max_length=8, description="Between the parts of a line.")
    ] = ";"
    names: Annotated[list[str], Meta(description="Names of a line's parts.")]


class ProofForm(Form, frozen=True, kw_only=True):
    """How a request proves that the platform sent it."""

    way: Annotated[
        Literal["none", "header", "basic", "hook"], Meta(description="How the platform proves itself.")
    ] = "none"
    header: Annotated[str, Meta(description='Suggested header of `way = "header"`.')] = ""
    hook: Annotated[
        str, Meta(description='Name of the check of `way = "hook"`; it needs the setting `secret`.')
    ] = ""


class AnswerForm(Form, frozen=True, kw_only=True):
    """What an answer over HTTP is, and whether it reaches the device."""

    status: Annotated[
        Literal[200, 202, 204], Meta(description="The status of an answer to an upload that is stored.")
    ] = 204
    carries: Annotated[
        str,
        Meta(description="Condition: this message's answer takes a downlink to its device; empty is never."),
    ] = ""
    reply: Annotated[str, Meta(description="Name of the hook that writes such an answer.")] = ""
    ask: Annotated[
        str, Meta(description="Name of the hook that answers a message of the kind `ask` with a downlink.")
    ] = ""


class SecretsForm(Form, frozen=True, kw_only=True):
    """What never enters a message's metadata, beside what the gateway knows as secret by its name."""

    headers: Annotated[list[str], Meta(description="Names of headers that carry secrets.")] = []
    parameters: Annotated[list[str], Meta(description="Names of parameters that carry secrets.")] = []


class ReceiptForm(Form, frozen=True, kw_only=True):
    """A rule for receipts; the first whose ``kind`` and ``when`` fit counts. One that fits no rule is an event."""

    kind: Annotated[
        str,
        Meta(
            description="A word of `kind.words` that is a receipt, or an uplink that says something of a downlink besides."
        ),
    ]
    when: Annotated[str, Meta(description="Condition; empty always holds.")] = ""
    became: Annotated[
        Became,
        Meta(
            description="What the receipt says of the downlink. `acknowledged`: the device has got one that must be `confirmed`; the `reason` tells this word from all others."
        ),
    ]
    item: Annotated[
        str,
        Meta(
            description="Expression: the downlink's id, as it was sent. Without one, the receipt is for a "
            "downlink of the device: the first that the network still has, or the latest where answers carry them; where it gives none, the downlink was somebody else's."
        ),
    ] = ""
    network: Annotated[
        str,
        Meta(
            description="Expression: what the network calls the downlink, as the answer to its call said (`downlink.http.network`)."
        ),
    ] = ""
    reason: Annotated[str, Meta(description="Expression: why.")] = ""


class PublishForm(Form, frozen=True, kw_only=True):
    """A downlink over MQTT. Its expressions see ``identity``, ``topic`` (levels of the device's last uplink), ``id``
    (free text), ``uuid``, ``hex64`` (the same as such), ``base64``, ``hex``, ``text`` (the payload), ``json`` (what it says as
    such, or null), ``fPort``, ``confirmed``, ``metadata``."""

    topic: Annotated[str, Meta(description="Expression: the topic.")]
    body: Annotated[str, Meta(description="Expression: the JSON body.")]


class LoginForm(Form, frozen=True, kw_only=True):
    """A call that gives a token for the others, such as OAuth 2.0 client credentials (RFC 6749 §4.4). Its expressions see
    ``settings``; those on its answer see ``status``, ``headers`` by lower-case names, and ``body``."""

    url: Annotated[str, Meta(description="Expression: the URL.")]
    body: Annotated[str, Meta(description="Expression: an object with what is sent.")]
    is_form: Annotated[bool, Meta(description="It is sent as a form, otherwise as JSON.")] = False
    headers: Annotated[dict[str, str], Meta(description="Expressions.")] = {}
    token: Annotated[str, Meta(description="Expression on the answer: the token.")]
    seconds: Annotated[
        str, Meta(description="Expression on the answer: how many seconds the token counts.")
    ] = ""
    until: Annotated[
        str,
        Meta(
            description="Expression on the answer: the date until which it counts, as ISO 8601 or in ms since 1970."
        ),
    ] = ""
    header: Annotated[str, Meta(description="The header in which calls have the token.")] = "Authorization"
    prefix: Annotated[str, Meta(description="What stands before it there.")] = "Bearer"


class ResultForm(Form, frozen=True, kw_only=True):
    """A rule for the answers of the API; the first that holds counts. Without one, 2xx is ``accepted`` unless its body has an ``error`` or a false ``success``, 401 and 403 are
    ``denied``, 408, 425, 429, 502, 503 and 504 are ``later``, other 5xx are ``lost``, and the rest is ``refused``."""

    when: Annotated[str, Meta(description="Condition; sees `status`, `headers`, `body`.")]
    means: Annotated[
        Literal["accepted", "refused", "lost", "later", "denied"],
        Meta(description="What becomes of the downlink then."),
    ]
    reason: Annotated[str, Meta(description="Expression: why.")] = ""


class CallForm(Form, frozen=True, kw_only=True):
    """A downlink by a call of the platform's API. Its expressions see what those of ``mqtt`` see except ``topic``,
    ``settings``: what the user said of the API, and ``uplink``: the metadata of the device's last uplink."""

    method: Annotated[Literal["POST", "PUT", "GET"], Meta(description="The method of the call.")] = "POST"
    url: Annotated[
        str, Meta(description="Expression: the URL, made of settings only, never of what a peer sent.")
    ]
    body: Annotated[str, Meta(description="Expression: the JSON body; empty is none.")] = ""
    headers: Annotated[dict[str, str], Meta(description="Expressions.")] = {}
    auth: Annotated[
        Literal["none", "bearer", "basic", "login", "sign"],
        Meta(
            description="`bearer`: the setting `token`. `basic`: `username` and `password`. `login`: a token by another call. "
            "`sign`: a hook signs the query."
        ),
    ] = "none"
    hook: Annotated[str, Meta(description="Name of the hook of `sign`.")] = ""
    login: Annotated[LoginForm | None, Meta(description="How a token is got before.")] = None
    network: Annotated[
        str,
        Meta(
            description="Expression on the answer and the device's `identity`: what the network calls the downlink, where its "
            "receipts name it so."
        ),
    ] = ""
    results: Annotated[list[ResultForm], Meta(description="What the platform's answers mean.")] = []
    settings: Annotated[list[str], Meta(description="Names that the user must say.")] = []


class DownlinkForm(Form, frozen=True, kw_only=True):
    """How a downlink is sent."""

    lowest_port: Annotated[
        int, Meta(ge=0, le=255, description="The lowest port that the platform takes.")
    ] = 1
    highest_port: Annotated[
        int, Meta(ge=0, le=255, description="The highest port that the platform takes.")
    ] = 223
    port: Annotated[int, Meta(ge=0, le=255, description="Where the downlink says no `fPort`.")] = 1
    largest: Annotated[int, Meta(ge=1, description="Bytes of a payload.")] = 242
    mqtt: Annotated[PublishForm | None, Meta(description="How a downlink is published.")] = None
    http: Annotated[CallForm | None, Meta(description="How the answer to an upload carries a downlink.")] = (
        None
    )


class SetupForm(Form, frozen=True, kw_only=True):
    """What a user types in on the platform's side."""

    fields: Annotated[
        dict[str, str],
        Meta(description="What to type in where, with `{url}`, `{host}` and `{header}` filled in."),
    ] = {}
    note: Annotated[str, Meta(description="What else is to be known.")] = ""


class PresetForm(Form, frozen=True, kw_only=True):
    """A platform."""

    title: Annotated[str, Meta(description="What people read in a list.")] = ""
    unverified: Annotated[
        str, Meta(description="What was not confirmed in a public document or the platform's source.")
    ] = ""
    split: Annotated[
        str,
        Meta(
            description="Expression on the occasion: the list of messages; without one, the body is the message."
        ),
    ] = ""
    coding: Annotated[
        str,
        Meta(
            description="Name of the hook that reads and writes messages which aren't JSON; uplinks are then kept as the JSON that they "
            "stand for."
        ),
    ] = ""
    batch: Annotated[BatchForm | None, Meta(description="Where one message holds several.")] = None
    kind: Annotated[
        KindForm | None, Meta(description="How messages of different meaning are told apart.")
    ] = None
    device: Annotated[DeviceForm | None, Meta(description="Where the device's name and identity are.")] = None
    payload: Annotated[
        list[PayloadForm], Meta(description="The first that is there counts; none is the whole body.")
    ] = []
    encrypted: Annotated[
        str,
        Meta(
            description="Condition: the payload is encrypted with a key that the platform doesn't have. Converters of bytes get none then, "
            "and the metadata says `encrypted`."
        ),
    ] = ""
    metadata: Annotated[
        dict[str, str], Meta(description="Expressions, by the names that converters know.")
    ] = {}
    gateways: Annotated[
        list[GatewaysForm], Meta(description="Where the radio gateways are that heard it.")
    ] = []
    time: Annotated[list[TimeForm], Meta(description="Where the time of the message is.")] = []
    key: Annotated[
        list[str],
        Meta(
            description="Expressions: together they tell an uplink from all others, and are the same in a repetition."
        ),
    ] = []
    gather: Annotated[
        float,
        Meta(
            ge=0,
            le=30,
            description="Seconds that a message is held over HTTP, since the network delivers one frame several times: its gateways "
            "are gathered.",
        ),
    ] = 0.0
    proof: Annotated[ProofForm, Meta(description="How the platform proves itself.")] = ProofForm()
    answer: Annotated[AnswerForm, Meta(description="What the platform is answered.")] = AnswerForm()
    secrets: Annotated[SecretsForm, Meta(description="Which headers and parameters carry secrets.")] = (
        SecretsForm()
    )
    receipts: Annotated[list[ReceiptForm], Meta(description="What the platform says of downlinks.")] = []
    detail: Annotated[dict[str, str], Meta(description="Expressions: what is kept of an event.")] = {}
    topics: Annotated[
        list[str],
        Meta(description="Topic filters of an `mqtt` datasource; `{username}` is filled in, or `+`."),
    ] = []
    downlink: Annotated[DownlinkForm | None, Meta(description="How downlinks are written.")] = None
    setup: Annotated[SetupForm, Meta(description="How the platform is set up to send here.")] = SetupForm()
