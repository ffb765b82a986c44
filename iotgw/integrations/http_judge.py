"""What an HTTP target's answer means for the messages of its request: by status, and by conditions on the answer.

A status of success alone may lie: Elasticsearch answers `_bulk` with 200 where it refused documents, GraphQL has `errors`, others
say ``{"status": false}``. So a target may say what success is (`AnswerSettings`), for a whole request or for each message of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from iotgw.core import plain_json
from iotgw.core.errors import SettingsError
from iotgw.core.expressions.language import Expression, compile_expression
from iotgw.core.model import TelemetryRecord
from iotgw.core.numbers import whole
from iotgw.core.verdict import DELIVERED, Apart, Rejected, Retry, Unavailable, Verdict
from iotgw.integrations.http_answers import retry_after
from iotgw.wire.charsets import BOM, charset_of, text_of
from iotgw.wire.http1 import KEPT, MAX_BODY, Response

NOT_THE_MESSAGE = {401, 403, 407, 408, 425, 429}
"""Status codes below 500 that are about us or the target, not about the message."""
WRONG = {400, 413, 414, 415, 422, 431}
"""Status codes that say what is wrong with the request: the same one again is no use."""
STEPS = 200_000
"""List items and object members that one look at an answer may take: it may speak of 10,000 messages."""
PLACE = "configuration.answer"
Outcomes = list[tuple[Sequence[TelemetryRecord], Verdict]]
"""Records with what became of them."""


class ItemSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What an answer says of one message of a batch. All are JMESPath expressions of the item."""

    success: Annotated[
        str,
        Meta(
            description="A condition: it holds where the message was accepted. Empty: each item is a refusal."
        ),
    ] = ""
    reason: Annotated[
        str, Meta(description="A path: why the message was refused. Empty: the item itself.")
    ] = ""
    final: Annotated[
        str,
        Meta(
            description="A condition: it holds where another try is no use. The message is a dead letter at once."
        ),
    ] = ""
    busy: Annotated[
        str,
        Meta(
            description="A condition: it holds where the target is busy. The message waits and isn't charged a try."
        ),
    ] = ""


class AnswerSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What an answer means, beside its status. Expressions are JMESPath, of an object with ``status``, ``headers`` (names in
    lower case), ``body`` (JSON) and ``text``."""

    success: Annotated[
        str,
        Meta(
            description="A condition: a status of success counts only where it holds, such as `!(body.errors)`."
        ),
    ] = ""
    reason: Annotated[
        str, Meta(description="A path: why it was refused. Empty: the beginning of the body.")
    ] = ""
    final: Annotated[
        str,
        Meta(
            description="A condition on an answer that refuses, whatever its status: it holds where another try is no use. "
            "Empty: the status is 400, 413, 414, 415, 422 or 431, without `Retry-After`."
        ),
    ] = ""
    busy: Annotated[
        str,
        Meta(
            description="A condition on an answer that refuses: it holds where the target is to blame, and no message is charged a try."
        ),
    ] = ""
    items: Annotated[
        str,
        Meta(
            description="A path to a list with an item for each message of a batch, in the order of the batch. It is looked at where `success` is empty or doesn't hold."
        ),
    ] = ""
    index: Annotated[
        str,
        Meta(
            description="A path in an item to its message's place in the batch, from 0. The list need not name all then: what it doesn't name was accepted."
        ),
    ] = ""
    item: Annotated[ItemSettings, Meta(description="How an item is read.")] = ItemSettings()

    def __post_init__(self) -> None:
        """Refuse what is no expression, and items that nothing tells apart."""
        places = [(self, each, each) for each in ("success", "reason", "final", "busy", "items", "index")]
        places += [(self.item, each, f"item.{each}") for each in ("success", "reason", "final", "busy")]  # type: ignore[misc]
        for holder, name, place in places:
            _compiled(getattr(holder, name), f"{PLACE}.{place}")
        if self.items and not self.index and not self.item.success:
            raise SettingsError(
                f"{PLACE}.item.success", "expected a condition, or index where the list has refusals only"
            )
        if not self.items and (self.index or self.item != ItemSettings()):
            raise SettingsError(f"{PLACE}.items", "expected a path, as index or item are set")


class AnswerJudge:
    """Tells what became of the messages of a request.

    ``successes`` are the status codes of success; any 2xx where there are none. ``is_fixed``: the URL is the same for all messages.
    ``excerpt`` makes one line for people of what a server said, without our secrets. ``date()`` is in seconds since 1970.
    """

    def __init__(
        self,
        settings: AnswerSettings | None,
        successes: Sequence[int],
        is_fixed: bool,
        excerpt: Callable[[bytes], str],
        date: Callable[[], float],
    ) -> None:
        self._successes = frozenset(successes or range(200, 300))
        self._is_fixed = is_fixed
        self._excerpt = excerpt
        self._date = date
        self._answer = _Conditions(settings) if settings is not None else None
        self._wrong = frozenset() if settings is not None and settings.final else frozenset(WRONG)
        """Status codes that are final by themselves."""
        self.enough: frozenset[int] = self._successes if settings is None else frozenset()
        """Status codes that say by themselves that all records of a request were accepted."""
        self.kept = KEPT if settings is None else MAX_BODY
        """Bytes of a body that it wants to see."""

    def outcomes(self, response: Response, records: Sequence[TelemetryRecord]) -> Outcomes:
        """What became of the records of a request, each exactly once."""
        status = response.status
        is_good = status in self._successes
        if self._answer is None:
            return [(records, DELIVERED if is_good else self._by_status(response, records, ""))]
        said = _Said(response, self.kept)
        conditions = self._answer
        if is_good and conditions.accepts(said):
            return [(records, DELIVERED)]
        after = retry_after(response.headers.get(b"retry-after"), self._date())
        if is_good and (found := conditions.of_each(said, len(records))) is not None:
            return self._by_item(found, status, records, after)
        why = self._words(said, conditions, is_good)
        if conditions.is_busy(said):
            return [(records, Unavailable(why, after))]
        if conditions.is_final(said):
            return [(records, Rejected(why) if len(records) == 1 else Apart(why))]
        if is_good:
            return [(records, Retry(why, after) if len(records) == 1 else Apart(why))]
        return [(records, self._by_status(response, records, why))]

    def _by_status(self, response: Response, records: Sequence[TelemetryRecord], why: str) -> Verdict:
        """The verdict of a status that is none of success."""
        status = response.status
        if not why:
            said = self._excerpt(response.body)
            why = f"HTTP {status}" + (f": {said}" if said else "")
        after = retry_after(response.headers.get(b"retry-after"), self._date())
        if (
            status < 400
            or status >= 500
            or status in NOT_THE_MESSAGE
            or (status in (404, 405) and self._is_fixed)
        ):
            # If a single message is the reason, the others get through, and the outbox finds it.
            return Unavailable(why, after)
        if len(records) > 1:
            return Apart(why)
        return Rejected(why) if status in self._wrong and after is None else Retry(why, after)

    def _by_item(
        self, found: list[_Item | None], status: int, records: Sequence[TelemetryRecord], after: float | None
    ) -> Outcomes:
        """What was accepted comes first, so that the target counts as up."""
        accepted = [record for record, item in zip(records, found, strict=True) if item is None]
        outcomes: Outcomes = [(accepted, DELIVERED)] if accepted else []
        for record, item in zip(records, found, strict=True):
            if item is not None:
                why = f"HTTP {status}: {self._excerpt(_text(item.reason))}"
                verdict = (
                    Unavailable(why, after)
                    if item.is_busy
                    else Rejected(why)
                    if item.is_final
                    else Retry(why, after)
                )
                outcomes.append(([record], verdict))
        return outcomes

    def _words(self, said: _Said, conditions: _Conditions, is_good: bool) -> str:
        what = self._excerpt(conditions.reason(said))
        if said.is_cut:
            what = f"the answer is longer than {self.kept} bytes, which are all that is looked at"
        elif is_good and conditions.wants_json and said.body is None:
            what = (
                f"expected JSON in the answer, got {what}"
                if what
                else "expected JSON in the answer, got nothing"
            )
        return f"HTTP {said.response.status}" + (f": {what}" if what else "")


class _Item(Struct, frozen=True):
    """A refusal of one message."""

    reason: Any
    is_final: bool
    is_busy: bool


class _Said:
    """An answer as expressions see it."""

    def __init__(self, response: Response, kept: int) -> None:
        self.response = response
        self.is_cut = len(response.body) >= kept
        self.body = None if self.is_cut else _json(response)
        self._root: dict[str, Any] | None = None

    @property
    def root(self) -> dict[str, Any]:
        if self._root is None:
            response = self.response
            self._root = {
                "status": response.status,
                "headers": {
                    name.decode("latin-1"): value.decode("latin-1")
                    for name, value in response.headers.items()
                },
                "body": self.body,
                "text": _as_text(response),
            }
        return self._root


def _as_text(response: Response) -> str:
    said = charset_of(response.headers.get(b"content-type", b""))
    return text_of(response.body.removeprefix(BOM), said)


def _json(response: Response) -> Any:
    """The body as JSON, in UTF-8 or in what its server says; None where it is none."""
    try:
        return plain_json.decode(response.body)
    except plain_json.NotJson:
        pass
    if response.body.isascii():
        return None
    try:
        return plain_json.decode(_as_text(response).encode())
    except ValueError:
        return None


class _Conditions:
    """`AnswerSettings`, compiled."""

    def __init__(self, settings: AnswerSettings) -> None:
        self._success = _compiled(settings.success, PLACE)
        self._reason = _compiled(settings.reason, PLACE)
        self._final = _compiled(settings.final, PLACE)
        self._busy = _compiled(settings.busy, PLACE)
        self._items = _compiled(settings.items, PLACE)
        self._index = _compiled(settings.index, PLACE)
        self._item_success = _compiled(settings.item.success, PLACE)
        self._item_reason = _compiled(settings.item.reason, PLACE)
        self._item_final = _compiled(settings.item.final, PLACE)
        self._item_busy = _compiled(settings.item.busy, PLACE)
        self.wants_json = any(
            each is not None and "body" in each.names for each in (self._success, self._items)
        )
        """Whether an answer that isn't JSON can't say yes: ``!(body.errors)`` would hold for any web page."""

    def accepts(self, said: _Said) -> bool:
        """Whether all was accepted."""
        if self._success is None:
            return self._items is None
        if said.is_cut or (self.wants_json and said.body is None):
            return False
        return self._success.holds(said.root)

    def is_busy(self, said: _Said) -> bool:
        """Whether a refusal is about the target."""
        return _holds(self._busy, said.root)

    def is_final(self, said: _Said) -> bool:
        """Whether another try is no use."""
        return _holds(self._final, said.root)

    def reason(self, said: _Said) -> bytes:
        """Why it was refused."""
        found = self._reason(said.root) if self._reason is not None else None
        return said.response.body if found in (None, "", [], {}) else _text(found)

    def of_each(self, said: _Said, count: int) -> list[_Item | None] | None:
        """For each of ``count`` messages None where it was accepted, or its refusal. None where the answer says nothing of single
        messages, or not of all."""
        if self._items is None or said.is_cut or said.body is None:
            return None
        items = self._items(said.root)
        if not isinstance(items, list) or not items:
            return None
        if self._index is None:
            return [self._refusal(item) for item in items] if len(items) == count else None
        found: list[_Item | None] = [None] * count
        for item in items:
            place = self._index(item)
            number = whole(place) if isinstance(place, str) else place
            if type(number) is not int or not 0 <= number < count:
                return None
            found[number] = self._refusal(item)
        return found

    def _refusal(self, item: Any) -> _Item | None:
        if _holds(self._item_success, item):
            return None
        reason = self._item_reason(item) if self._item_reason is not None else None
        return _Item(
            item if reason in (None, "", [], {}) else reason,
            _holds(self._item_final, item),
            _holds(self._item_busy, item),
        )


def _compiled(text: str, place: str) -> Expression | None:
    if not text:
        return None
    try:
        return compile_expression(text, STEPS)
    except ValueError as error:
        raise SettingsError(place, str(error)) from error


def _holds(condition: Expression | None, value: Any) -> bool:
    return condition is not None and condition.holds(value)


def _text(value: Any) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else msgspec.json.encode(value)
