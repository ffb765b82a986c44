"""The journal of a partition that somebody else owns, who has lent some integrations to this process."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from twisted.internet.defer import Deferred

from iotgw.core.model import Counters
from iotgw.store.journal import GroupCommitJournal


class LoanJournal(GroupCommitJournal):
    """It reads what the owner commits to the telemetry stream, and writes how far the lent integrations have come. `part` is the partition's number."""

    part: int

    @abstractmethod
    def listen(self, moved: Callable[[str], None]) -> None:
        """``moved(integration)`` is called when one is lent, and when it can't be written for any more."""

    @abstractmethod
    def borrow(self, integration: str) -> Deferred[tuple[int, Counters] | None]:
        """Take what is lent of an integration, from whoever has it: its place in the stream, and its accounts. None where nothing is lent, or this process
        hasn't the integration's lease. Fails with Unavailable."""

    @abstractmethod
    def is_lost(self, integration: str) -> bool:
        """Whether what was taken can't be written any more, as it is another's."""

    @abstractmethod
    def give_back(self, integration: str) -> None:
        """Write nothing more for it."""

    @abstractmethod
    def watch(self) -> None:
        """Look what the owner commits, from now on. The journal has started."""
