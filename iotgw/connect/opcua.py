"""A session with an OPC UA server, as its user sees it: what to read, what is told, and how values are written.

The session itself runs in the asyncio thread (`opcua_session`), because the package ``asyncua`` needs one. What it tells comes
back into the reactor here, many values at once.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from iotgw.connect.opcua_plan import Bad, Done, OpcuaOwner, OpcuaPlan, Sample
from iotgw.core.errors import SettingsError
from iotgw.core.ports.connect import IAsyncioThread
from iotgw.core.ports.reactor import IThreadedClock

if TYPE_CHECKING:
    from iotgw.connect.opcua_session import OpcuaSession


class OpcuaClient:
    """Keeps a session up from `start` to `stop`."""

    def __init__(
        self, plan: OpcuaPlan, thread: IAsyncioThread, reactor: IThreadedClock, owner: OpcuaOwner
    ) -> None:
        if find_spec("asyncua") is None:
            raise SettingsError(
                "", "expected the extra iotgw[opc-ua] to be installed: pip install 'iotgw[opc-ua]'"
            )
        self._plan = plan
        self._thread = thread
        self._reactor = reactor
        self._owner = owner
        self._session: OpcuaSession | None = None
        self._running: Deferred[None] | None = None
        self._is_over: list[Deferred[None]] = []

    def start(self) -> None:
        """Connect in the background, with retries."""
        self._running = running = self._thread.run(self._live())
        running.addErrback(self._ended).addCallback(self._over)

    async def _live(self) -> None:
        """In the loop: the package is imported there, since that takes a second."""
        from iotgw.connect.opcua_session import OpcuaSession  # noqa: PLC0415 - an extra

        self._session = session = OpcuaSession(self._plan, self._tell, self._take)
        await session.live()

    def stop(self) -> Deferred[None]:
        """Close the session; fires when it is closed, after `OpcuaPlan.timeout` at most."""
        over: Deferred[None] = Deferred()
        if self._running is None:
            over.callback(None)
            return over
        self._is_over.append(over)
        if self._session is not None:
            self._thread.call(self._session.end)
        self._running.cancel()
        return over

    def pause(self) -> None:
        """Have the server keep values back, in its queues."""
        if self._session is not None:
            self._thread.call(self._session.publish, False)

    def resume(self) -> None:
        """Have it send again."""
        if self._session is not None:
            self._thread.call(self._session.publish, True)

    def write(self, device_id: str, values: dict[str, Any]) -> Deferred[Done]:
        """Write variables of an object by their names (or any by its node id), and read them back."""
        return self._ask(lambda session: session.write(device_id, values))

    def call(self, device_id: str, method: str, arguments: list[Any]) -> Deferred[Done]:
        """Call a method of an object by its name or node id."""
        return self._ask(lambda session: session.call(device_id, method, arguments))

    def _ask(self, asked: Callable[[OpcuaSession], Any]) -> Deferred[Done]:
        session = self._session
        if session is None or self._running is None:
            waiting: Deferred[Done] = Deferred()
            waiting.callback(Done("lost", "the server is not connected"))
            return waiting
        return self._thread.run(asked(session))

    # --- from the loop

    def _tell(self, what: str, *about: Any) -> None:
        self._reactor.callFromThread(getattr(self._owner, what), *about)

    def _take(self, values: Callable[[], list[Sample | Bad]]) -> None:
        self._reactor.callFromThread(self._give, values)

    def _give(self, values: Callable[[], list[Sample | Bad]]) -> None:
        self._owner.on_values(values())

    def _ended(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self._owner.on_lost(f"{type(failure.value).__name__}: {failure.getErrorMessage()}")

    def _over(self, _: None) -> None:
        self._session = self._running = None
        waiting, self._is_over = self._is_over, []
        for each in waiting:
            each.callback(None)
