"""The session of `iotgw.connect.opcua`, in the asyncio thread: connect, browse, subscribe, write, call.

asyncua reconnects by itself, and takes up the session that the server has kept. The subscription and its queues are there then, and the
server republishes what was not acknowledged (OPC 10000-4 §5.14.5). Where the session is gone, the subscription is made
anew. Last, all values are read once: what changed meanwhile is known, though not each change. A value that
comes again so is recognised.

OPC UA has no acknowledgement by which a value could be durable first: delivery is at most once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from asyncua import Client, ua
from asyncua.client.ua_client import UaClientState
from asyncua.common.subscription import DataChangeEvent, OverflowPolicy, StatusChangeEvent, Subscription
from asyncua.crypto import security_policies
from asyncua.crypto.uacrypto import CertProperties

from iotgw.connect.opcua_browse import OpcuaVariable, find, type_of
from iotgw.connect.opcua_commands import OpcuaCommands, in_words
from iotgw.connect.opcua_limits import BoundedClient
from iotgw.connect.opcua_plan import Bad, Done, OpcuaPlan, Sample
from iotgw.connect.opcua_values import NUMBERS, NoJson, ms, to_json

for _name in ("asyncua", "asyncua.client", "asyncua.common"):  # it logs each lost connection with a traceback
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

FULL = 10_000
"""Values that may wait for the reactor before the server has to keep further ones."""
BUFFER = 100_000
"""Values that asyncua may hold."""
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
MOST_REPEATED = 1000
"""Messages that a server may repeat."""
GRACE, LONGEST_GRACE = 1.5, 10.0
"""Seconds that a server has, after a reconnection, to report by itself: beside two reports, and at most. asyncua asks for reports
after a second."""
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
        self._subscription: Subscription | None = None
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
                await self._connected()
                wait = 1.0
                reason = "the server's variables have changed"
            except asyncio.CancelledError:
                raise
            except Exception as error:
                reason = in_words(error)
            if self._over.is_set():
                return
            self._tell("on_lost", reason)
            await asyncio.sleep(wait)
            wait = min(wait * 2, self._plan.longest_wait)

    async def _connected(self) -> None:
        """One client's life. Returns when it should begin anew."""
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
            await self._subscribe(client)
            self._commands = OpcuaCommands(client, self._variables.values(), plan.timeout * 2)
            self._up()
            assert self._subscription is not None
            reading = asyncio.ensure_future(self._read(self._subscription))
            watching = asyncio.ensure_future(self._watch(client))
            ending = asyncio.ensure_future(self._over.wait())
            try:
                await asyncio.wait((reading, watching, ending), return_when=asyncio.FIRST_COMPLETED)
                for task in (reading, watching):
                    if task.done():
                        task.result()
            finally:
                ending.cancel()
                for task in (reading, watching):
                    task.cancel()
                over, _ = await asyncio.wait((reading, watching), timeout=plan.timeout)
                for task in over:
                    if not task.cancelled():
                        task.exception()  # so that nobody logs that it was not looked at
        finally:
            self._is_up = False
            self._subscription = None
            leaving = asyncio.ensure_future(client.disconnect())
            await asyncio.wait((leaving,), timeout=plan.timeout)
            if not leaving.done() or leaving.cancelled() or leaving.exception() is not None:
                leaving.cancel()  # and don't wait for it: the connection is gone, one way or the other
                client.disconnect_socket()

    # --- what there is to read

    async def _subscribe(self, client: Client) -> None:
        variables = await find(client, self._plan, lambda reason: self._tell("on_trouble", reason))
        known = self._variables
        self._variables = {each.node.nodeid: each for each in variables}
        for id_, variable in self._variables.items():
            if id_ in known:
                variable.recent = known[id_].recent
        if not variables:
            raise LookupError("the server has no variables where the settings say")
        for start in range(0, len(variables), AT_ONCE):
            part = variables[start : start + AT_ONCE]
            types = await asyncio.gather(*(type_of(each.node) for each in part))
            for variable, type_ in zip(part, types, strict=True):
                variable.type = type_
        plan = self._plan
        subscription = await client.create_subscription(
            plan.publishing * 1000,
            publishing=self._is_wanted,
            queue_maxsize=BUFFER,
            overflow=OverflowPolicy.DROP_OLDEST,
        )
        self._publishes = self._is_wanted
        self._subscription = subscription
        subscription.restore = partial(self._restore, subscription)
        failed: list[str] = []
        for start in range(0, len(variables), AT_ONCE):
            part = variables[start : start + AT_ONCE]
            requests = [self._request(each, FIRST_HANDLE + start + n) for n, each in enumerate(part)]
            results = await subscription.create_monitored_items(requests)
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

    async def _restore(self, subscription: Subscription) -> None:
        """Called by asyncua after a reconnection, in place of its own, which transfers a subscription even to the session that has
        it, and asks for repetitions without an end where a server answers each such request."""
        try:
            (result,) = await subscription.set_publishing_mode(self._publishes)
            is_there = result.is_good()
        except (ua.UaError, ValueError):
            is_there = False
        if is_there:
            await _republish(subscription)
            subscription.last_publish_at = time.monotonic()
        else:
            await subscription.recreate()

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

    async def _read(self, subscription: Subscription) -> None:
        async for event in subscription:
            if isinstance(event, DataChangeEvent):
                variable = self._variables.get(event.node.nodeid)
                if variable is not None:
                    self._came(variable, event.data.monitored_item.Value)
            elif isinstance(event, StatusChangeEvent):
                self._tell(
                    "on_trouble", f"the server says of the subscription: {event.notification.Status.name}"
                )

    def _came(self, variable: OpcuaVariable, said: ua.DataValue, is_read: bool = False) -> None:
        """A value; one that came already is left out, and one that was read and is no newer than what came."""
        status = said.StatusCode or ua.StatusCode(ua.StatusCodes.Good)
        value = said.Value.Value if said.Value is not None else None
        latest = said.SourceTimestamp
        if is_read and latest is not None and variable.latest is not None and latest <= variable.latest:
            return
        if latest is not None:
            variable.latest = latest
        mark = (said.SourceTimestamp, status.value & ~0xFFFF, repr(value))
        if mark in variable.recent:
            return
        variable.recent.append(mark)
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

    async def _watch(self, client: Client) -> None:
        """Tell of lost connections; after each, read all values once. Returns when the variables aren't there any more."""
        async with client.subscribe_state() as changes:
            while True:
                try:
                    state = await changes.next_change(1.0)
                except TimeoutError:
                    if self._publishes is not (self._is_wanted and len(self._values) < FULL):
                        self._switch()
                    continue
                if self._is_up and state is not UaClientState.CONNECTED:
                    self._is_up = False
                    self._tell("on_lost", "the connection was lost")
                elif not self._is_up and state is UaClientState.CONNECTED:
                    self._up()
                    if not await self._catch_up(client):
                        return

    def _up(self) -> None:
        self._is_up = True
        self._tell("on_up", len(self._variables))

    async def _catch_up(self, client: Client) -> bool:
        """Read all values, and take those that are newer than what the server reports by itself; returns whether it has all
        variables."""
        variables = list(self._variables.values())
        read: list[ua.DataValue] = []
        for start in range(0, len(variables), AT_ONCE):
            part = [each.node for each in variables[start : start + AT_ONCE]]
            read += await client.read_attributes(part)
        if any(said.StatusCode is not None and said.StatusCode.name in GONE for said in read):
            return False
        await asyncio.sleep(min(2 * self._plan.publishing + GRACE, LONGEST_GRACE))
        for variable, said in zip(variables, read, strict=True):
            self._came(variable, said, is_read=True)
        return True

    def publish(self, is_wanted: bool) -> None:
        """Have the server send values, or keep them."""
        self._is_wanted = is_wanted
        self._switch()

    def _switch(self) -> None:
        if self._switching is None or self._switching.done():
            self._switching = asyncio.ensure_future(self._switched())

    async def _switched(self) -> None:
        while self._subscription is not None:
            wanted = self._is_wanted and len(self._values) < FULL
            if wanted is self._publishes:
                return
            try:
                await self._subscription.set_publishing_mode(wanted)
            except Exception:  # the connection breaks; the next one begins with what is wanted then
                return
            self._publishes = wanted


async def _republish(subscription: Subscription) -> None:
    """Have the server repeat what it sent and had no answer to."""
    session, number = subscription.server, subscription.last_sequence_number or 0
    for _ in range(MOST_REPEATED):
        number += 1
        try:
            message = await session.republish(subscription.subscription_id, number)
        except ua.UaError:  # BadMessageNotAvailable: that was all
            return
        if message.SequenceNumber != number:
            return
        await subscription.publish_callback(
            ua.PublishResult(subscription.subscription_id, NotificationMessage=message)
        )
