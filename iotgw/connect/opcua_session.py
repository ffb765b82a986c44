"""The session of `iotgw.connect.opcua`, in the asyncio thread: connect, browse, subscribe, write, call.

asyncua reconnects by itself, and takes up the session that the server has kept. The subscription and its queues are there then, and the
server repeats what was not acknowledged (`opcua_reports`). Where the subscription is gone, everything begins anew. Last, all values
are read once: what changed meanwhile is known, though not each change. A value that comes again so is recognised.

OPC UA has no acknowledgement by which a value could be durable first: delivery is at most once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

from asyncua import ua
from asyncua.client.ua_client import UaClientState
from asyncua.crypto import security_policies
from asyncua.crypto.uacrypto import CertProperties

from iotgw.connect.opcua_browse import Mark, OpcuaVariable, find, type_of
from iotgw.connect.opcua_commands import OpcuaCommands, in_words
from iotgw.connect.opcua_limits import BoundedClient
from iotgw.connect.opcua_plan import Bad, Done, OpcuaPlan, Sample
from iotgw.connect.opcua_reports import Reports
from iotgw.connect.opcua_values import NUMBERS, NoJson, ms, to_json

for _name in ("asyncua", "asyncua.client", "asyncua.common"):  # it logs each lost connection with a traceback
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

FULL = 10_000
"""Values that may wait for the reactor before the server has to keep further ones."""
AT_ONCE = 500
"""Variables in one request."""
OVERFLOW = 0x480
"""Bits of a status: the server's queue was too short (OPC 10000-4 §7.39.1)."""
FIRST_HANDLE = 1000
POLICIES: dict[str, type[security_policies.SecurityPolicy]] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128Sha256RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256Sha256RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
MODES = {"sign": ua.MessageSecurityMode.Sign, "signAndEncrypt": ua.MessageSecurityMode.SignAndEncrypt}
GRACE = 1.5
"""Seconds beside two reports, after which a server has nothing to report. After a reconnection asyncua asks for reports within a second."""
LIFETIME = 10_000
"""Reports that nobody asked for, after which a server may forget a subscription."""
MOST_TOLD = 10_000
"""Values in a report."""
GONE = ("BadNodeIdUnknown", "BadNodeIdInvalid")
AWAY = Done("lost", "the server is not connected")


class OpcuaSession:
    """See above. ``tell(what, *about)`` calls the owner, ``take(values)`` has it fetch values by calling ``values()``."""

    def __init__(
        self,
        plan: OpcuaPlan,
        tell: Callable[..., None],
        take: Callable[[Callable[[], list[Sample | Bad]]], None],
    ) -> None:
        self._plan = plan
        self._tell = tell
        self._take = take
        self._lock = threading.Lock()
        self._values: list[Sample | Bad] = []
        """What the reactor has not fetched."""
        self._variables: dict[ua.NodeId, OpcuaVariable] = {}
        self._commands: OpcuaCommands
        """Those of the client that is up."""
        self._is_up = False
        self._reports: Reports | None = None
        self._is_wanted = True
        self._publishes = True
        self._switching: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    def end(self) -> None:
        """Have `live` return. A cancellation alone may be lost: asyncua catches some while it connects or takes its leave."""
        self._over.set()

    async def write(self, device_id: str, values: dict[str, Any]) -> Done:
        """See `OpcuaClient.write`."""
        return await self._commands.write(device_id, values) if self._is_up else AWAY

    async def call(self, device_id: str, method: str, arguments: list[Any]) -> Done:
        """See `OpcuaClient.call`."""
        return await self._commands.call(device_id, method, arguments) if self._is_up else AWAY

    async def live(self) -> None:
        """Connect again and again, until this is cancelled, or `end` was called."""
        wait = 1.0
        while not self._over.is_set():
            try:
                reason = await self._connected()
                wait = 1.0
            except asyncio.CancelledError:
                raise
            except Exception as error:
                reason = in_words(error)
            if self._over.is_set():
                return
            self._tell("on_lost", reason)
            await asyncio.sleep(wait)
            wait = min(wait * 2, self._plan.longest_wait)

    async def _connected(self) -> str:
        """One client's life. Returns when it should begin anew, and why."""
        plan = self._plan
        client = BoundedClient(
            plan.url, timeout=plan.timeout, auto_reconnect=True, reconnect_max_delay=plan.longest_wait
        )
        client.name = client.description = "iotgw"
        client.application_uri = plan.application_uri or "urn:iotgw"
        if plan.username:
            client.set_user(plan.username)
            client.set_password(plan.password)
        if plan.policy != "none":
            await client.set_security(
                POLICIES[plan.policy],
                CertProperties(plan.certificate.encode(), "pem"),
                CertProperties(plan.key.encode(), "pem"),
                server_certificate=CertProperties(plan.server_certificate.encode(), "pem"),
                mode=MODES[plan.mode],
            )
        try:
            await client.connect()
            reports = await self._subscribe(client)
            self._commands = OpcuaCommands(client, self._variables.values(), plan.timeout * 2)
            self._up()
            watching = asyncio.ensure_future(self._watch(client, reports))
            ends = [asyncio.ensure_future(each.wait()) for each in (reports.gone, self._over)]
            try:
                await asyncio.wait((watching, *ends), return_when=asyncio.FIRST_COMPLETED)
                if not watching.done():
                    return "the server has forgotten the subscription"
                watching.result()
                return "the server's variables have changed"
            finally:
                for task in (watching, *ends):
                    task.cancel()
                await asyncio.wait((watching,), timeout=plan.timeout)
        finally:
            self._is_up = False
            self._reports = None
            leaving = asyncio.ensure_future(client.disconnect())
            await asyncio.wait((leaving,), timeout=plan.timeout)
            if not leaving.done() or leaving.cancelled() or leaving.exception() is not None:
                leaving.cancel()  # and don't wait for it: the connection is gone, one way or the other
                client.disconnect_socket()

    # --- what there is to read

    async def _subscribe(self, client: BoundedClient) -> Reports:
        variables = await find(client, self._plan, lambda reason: self._tell("on_trouble", reason))
        known = self._variables
        self._variables = {each.node.nodeid: each for each in variables}
        for id_, variable in self._variables.items():
            if id_ in known:
                variable.mark = variable.again = known[id_].mark
        if not variables:
            raise LookupError("the server has no variables where the settings say")
        for start in range(0, len(variables), AT_ONCE):
            part = variables[start : start + AT_ONCE]
            types = await asyncio.gather(*(type_of(each.node) for each in part))
            for variable, type_ in zip(part, types, strict=True):
                variable.type = type_
        plan = self._plan
        asked = ua.CreateSubscriptionParameters()
        asked.RequestedPublishingInterval = plan.publishing * 1000
        asked.RequestedMaxKeepAliveCount = client.get_keepalive_count(asked.RequestedPublishingInterval)
        asked.RequestedLifetimeCount, asked.MaxNotificationsPerPublish = LIFETIME, MOST_TOLD
        asked.PublishingEnabled = self._publishes = self._is_wanted
        by_handle = dict(enumerate(variables, FIRST_HANDLE))
        self._reports = reports = Reports(
            client.uaclient.session,
            asked,
            lambda handle, said: self._came(by_handle.get(handle), said),
            lambda reason: self._tell("on_trouble", reason),
        )
        await client.add(reports)
        failed: list[str] = []
        for start in range(0, len(variables), AT_ONCE):
            part = variables[start : start + AT_ONCE]
            requests = [self._request(each, FIRST_HANDLE + start + n) for n, each in enumerate(part)]
            results = await reports.create_monitored_items(requests)
            failed += [
                f"{each.text} ({result.name})"
                for each, result in zip(part, results, strict=True)
                if isinstance(result, ua.StatusCode)
            ]
        if failed:
            more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
            self._tell("on_trouble", f"the server takes no subscription to {', '.join(failed[:3])}{more}")
        if len(failed) == len(variables):
            raise LookupError("the server takes no subscription to any variable")
        return reports

    def _request(self, variable: OpcuaVariable, handle: int) -> ua.MonitoredItemCreateRequest:
        plan = self._plan
        asked = ua.MonitoredItemCreateRequest()
        asked.ItemToMonitor = ua.ReadValueId()
        asked.ItemToMonitor.NodeId = variable.node.nodeid
        asked.ItemToMonitor.AttributeId = ua.AttributeIds.Value
        asked.MonitoringMode = ua.MonitoringMode.Reporting
        how = asked.RequestedParameters = ua.MonitoringParameters()
        how.ClientHandle = handle
        how.SamplingInterval = plan.sampling * 1000
        how.QueueSize = plan.queue_size
        how.DiscardOldest = True
        if plan.deadband and variable.type in NUMBERS:
            band = ua.DataChangeFilter()
            band.Trigger = ua.DataChangeTrigger.StatusValue
            band.DeadbandType = ua.DeadbandType.Percent if plan.is_percent else ua.DeadbandType.Absolute
            band.DeadbandValue = plan.deadband
            how.Filter = band
        return asked

    # --- values

    def _came(self, variable: OpcuaVariable | None, said: ua.DataValue) -> None:
        """A value that was reported; one that came already is left out."""
        if variable is None:
            return
        mark = _mark(said)
        again = variable.again
        if again is not None:
            if mark == again:
                variable.again = None
                return
            if mark[0] is None or again[0] is None or mark[0] > again[0]:
                variable.again = None
        self._hand_over(variable, said, mark)

    def _was_read(self, variable: OpcuaVariable, said: ua.DataValue, latest: Mark | None) -> None:
        """A value that was read when ``latest`` had come; one that is no newer than what has come is left out."""
        mark, known = _mark(said), variable.mark
        if known is not None and (mark == known or _is_later(known, mark, latest)):
            return
        variable.again = mark
        self._hand_over(variable, said, mark)

    def _hand_over(self, variable: OpcuaVariable, said: ua.DataValue, mark: Mark) -> None:
        variable.mark = mark
        status = said.StatusCode or ua.StatusCode(ua.StatusCodes.Good)
        value = said.Value.Value if said.Value is not None else None
        taken: Sample | Bad
        try:
            if status.is_bad():
                raise NoJson(status.name)
            taken = Sample(
                variable.text, variable.name, variable.device, variable.device_id, to_json(value),
                ms(said.SourceTimestamp), ms(said.ServerTimestamp), status.name,
                status.value & OVERFLOW == OVERFLOW,
            )  # fmt: skip
        except NoJson as error:
            taken = Bad(variable.text, variable.name, variable.device, str(error))
        with self._lock:
            is_first = not self._values
            self._values.append(taken)
        if is_first:
            self._take(self._taken)
        if len(self._values) >= FULL and self._publishes:
            self._switch()

    def _taken(self) -> list[Sample | Bad]:
        """Called by the reactor's thread."""
        with self._lock:
            values, self._values = self._values, []
        return values

    async def _watch(self, client: BoundedClient, reports: Reports) -> None:
        """Tell of lost connections; after each, read all values once. Returns when the variables aren't there any more."""
        catching: asyncio.Task[bool] | None = None
        try:
            async with client.subscribe_state() as changes:
                while catching is None or not catching.done() or catching.result():
                    if self._publishes is not self._may_publish:
                        self._switch()
                    try:
                        state = await changes.next_change(1.0)
                    except TimeoutError:
                        continue
                    if self._is_up and state is not UaClientState.CONNECTED:
                        self._is_up = False
                        self._tell("on_lost", "the connection was lost")
                        if catching is not None:
                            catching.cancel()
                            catching = None
                    elif not self._is_up and state is UaClientState.CONNECTED:
                        self._up()
                        catching = asyncio.ensure_future(self._catch_up(client, reports))
        finally:
            if catching is not None:
                catching.cancel()

    def _up(self) -> None:
        self._is_up = True
        self._tell("on_up", len(self._variables))

    async def _catch_up(self, client: BoundedClient, reports: Reports) -> bool:
        """Read all values, and take those that are newer than what the server reports by itself; returns whether it has all
        variables."""
        variables = list(self._variables.values())
        latest = [each.mark for each in variables]
        read: list[ua.DataValue] = []
        try:
            for start in range(0, len(variables), AT_ONCE):
                read += await client.read_attributes(
                    [each.node for each in variables[start : start + AT_ONCE]]
                )
            if any(said.StatusCode is not None and said.StatusCode.name in GONE for said in read):
                return False
            if await self._has_told(client, reports):  # one that may have been under way before
                await self._has_told(client, reports)
        except (ua.UaError, OSError) as error:
            self._tell("on_trouble", f"not all values could be read: {in_words(error)}")
            return True
        for variable, said, mark in zip(variables, read, latest, strict=True):
            self._was_read(variable, said, mark)
        return True

    async def _has_told(self, client: BoundedClient, reports: Reports) -> bool:
        """Wait for a report after which the server has no more. False when it had the time and reported nothing."""
        reports.told.clear()
        while True:
            latest = reports.last_publish_at
            try:
                async with asyncio.timeout(2 * reports.interval + GRACE):
                    return await reports.told.wait()
            except TimeoutError:
                if self._publishes:
                    await client.nodes.server_state.read_value()  # what was under way comes before the answer
                    await reports.taken()
                    if reports.last_publish_at == latest:
                        return False

    @property
    def _may_publish(self) -> bool:
        return self._is_wanted and len(self._values) < FULL

    def publish(self, is_wanted: bool) -> None:
        """Have the server send values, or keep them."""
        self._is_wanted = is_wanted
        self._switch()

    def _switch(self) -> None:
        if self._switching is None or self._switching.done():
            self._switching = asyncio.ensure_future(self._switched())

    async def _switched(self) -> None:
        while self._reports is not None:
            wanted = self._may_publish
            if wanted is self._publishes:
                return
            try:
                await self._reports.set_publishing_mode(wanted)
            except Exception:  # the connection breaks; the next one begins with what is wanted then
                return
            self._publishes = wanted


def _mark(said: ua.DataValue) -> Mark:
    status = said.StatusCode.value if said.StatusCode is not None else 0
    return said.SourceTimestamp, status & ~0xFFFF, repr(said.Value.Value if said.Value is not None else None)


def _is_later(known: Mark, read: Mark, latest: Mark | None) -> bool:
    """Whether what is known is later than what was read when ``latest`` was: by the source's time, or as it came since."""
    if known[0] is None or read[0] is None:
        return known is not latest
    return known[0] >= read[0]
