"""AWS's services that speak JSON: who we are there, where they are, and what their errors say.

Requests are signed by the gateway's own `iotgw.wire.sigv4`. AWS's library would find credentials by itself, but it does that on
connections of its own, which know neither the networks that an operator forbids nor the proxy.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, Struct

from iotgw.connect.aws_auth import AwsSigner, AwsSigV4
from iotgw.connect.json_api import CallProblem, JsonApi, Told
from iotgw.connect.proxy import ProxyUrl, goes_by
from iotgw.connect.tls import ClientTls, trust
from iotgw.core.destination import origin
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.reactor import IReactor
from iotgw.core.secrets import Secret

REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
"""Such as ``eu-central-1`` and ``us-gov-west-1``."""
LATER = frozenset(
    {
        "ThrottlingException", "Throttling", "RequestThrottled", "ThrottledException", "TooManyRequestsException",
        "ProvisionedThroughputExceededException", "LimitExceededException", "KMSThrottlingException", "OverLimit",
        "InternalFailure", "InternalError", "ServiceUnavailable",
    }
)  # fmt: skip
"""Errors that pass (each service's API reference, "Common Errors")."""
SETTINGS = frozenset(
    {
        "AccessDenied", "AccessDeniedException", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature",
        "IncompleteSignatureException", "InvalidClientTokenId", "InvalidSignatureException", "MissingAuthenticationToken",
        "MissingAuthenticationTokenException", "NotAuthorized", "OptInRequired", "RequestExpired", "SignatureDoesNotMatch",
        "UnrecognizedClientException", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDeletedRecently", "ResourceNotFoundException", "InvalidAddress", "InvalidSecurity", "UnsupportedOperation",
        "KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException",
        "KmsAccessDenied", "KmsDisabled", "KmsInvalidState", "KmsNotFound", "KMSOptInRequired", "KmsOptInRequired",
    }
)  # fmt: skip
"""Errors that no other message has, either: of credentials, of the clock, of the place."""


class AwsAccess(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of who we are at AWS, and of the way there."""

    access_key_id: Annotated[
        str, Meta(min_length=1, description="Of an IAM user or of temporary credentials.")
    ]
    secret_access_key: Annotated[Secret, Meta(description="The secret that belongs to the access key.")]
    session_token: Annotated[Secret, Meta(description="Of temporary credentials.")] = ""
    tls: Annotated[ClientTls | None, Meta(description="TLS, if not with the system's authorities.")] = None
    proxy: ProxyUrl = ""

    def way(self, url: str, setting: str) -> object:
        """What `iotgw.core.destination.Destined.destination` compares of a service at a URL."""
        return origin(url, setting), trust(self.tls), goes_by(self.proxy)


class AwsApi(JsonApi):
    """One service's actions. ``target`` stands before their names in ``X-Amz-Target``, ``version`` is the JSON protocol's."""

    def __init__(
        self,
        reactor: IReactor,
        connector: IConnector,
        access: AwsAccess,
        url: str,
        region: str,
        service: str,
        target: str,
        version: str,
        date: Callable[[], float],
        *,
        connections: int,
        timeout: float,
        kept: int = 1 << 20,
        place: str = "configuration.endpoint",
    ) -> None:
        auth = AwsSigV4(
            access_key_id=access.access_key_id, secret_access_key=access.secret_access_key,
            session_token=access.session_token, region=region, service=service,
        )  # fmt: skip
        super().__init__(
            reactor, connector, url, AwsSigner(auth, date), explain, tls=access.tls, proxy=access.proxy, date=date,
            connections=connections, timeout=timeout, kept=kept, place=place,
        )  # fmt: skip
        self._target = target
        self._type = f"application/x-amz-json-{version}"

    def act(self, action: str, body: dict[str, Any], told: Told, form: Any = Any) -> None:
        """Do what a service calls ``action``; ``form`` is the type of its answer."""
        headers = [("Content-Type", self._type), ("X-Amz-Target", f"{self._target}.{action}")]
        self.call("/", body, told, headers, form=form)


def check_region(region: str) -> None:
    """Raises ValueError for what is no region."""
    if not REGION.fullmatch(region):
        raise ValueError("region: expected a region such as eu-central-1")


def endpoint_of(service: str, region: str) -> str:
    """The URL of a service in a region."""
    return f"https://{service}.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def explain(document: Any) -> tuple[str, str]:
    """The name and the words of an error (AWS JSON 1.0 and 1.1 protocols of Smithy, "Operation error serialization")."""
    if not isinstance(document, dict):
        return "", ""
    name = str(document.get("__type") or document.get("code") or "").rpartition("#")[2].partition(":")[0]
    words = document.get("message") or document.get("Message") or ""
    return name[:100], str(words)


def is_about_messages(problem: CallProblem) -> bool:
    """Whether an action failed because of what was sent with it, not because of the service or the settings."""
    return problem.is_ours and problem.code not in LATER and problem.code not in SETTINGS
