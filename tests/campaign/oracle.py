"""What must hold, judged by those who know it without the gateway: the devices' ledger, and what arrived at the targets."""

from base64 import b64decode
from collections import Counter, defaultdict
from itertools import pairwise

from msgspec import Struct

from . import resources as file
from .sources import BURST, PASSING, SOURCES, fate
from .targets import BOARD, PLAIN

SOURCE = {**SOURCES, BURST.name: BURST, PASSING.name: PASSING}
AT_BROKER = {"mqtt"}
"""Here a device is acknowledged by its broker, which keeps the message until the gateway has it."""
SHOWN = 5


class Stored(Struct, frozen=True):
    """A message of the journal."""

    position: int
    datasource: str
    payload: str
    state: str


def some(things):
    things = sorted(things)
    return f"{len(things)}, such as {things[:SHOWN]}"


def resources(chapter):
    """A first start that was killed is finished by the next."""
    for collection, expected in file.names(chapter.kinds).items():
        found = {item["name"] for item in chapter.gateway.api("GET", f"/{collection}").json["items"]}
        if not expected <= found:
            yield f"after the first start {sorted(expected - found)} are missing in {collection}"


def accounts(chapter):
    """The gateway's accounts add up, and say neither more nor less than others know."""
    gateway, reader = chapter.gateway, chapter.reader
    journal = gateway.api("GET", "/status").json["journal"]
    if journal["received"] != sum(journal[name] for name in ("converted", "filtered", "failed", "waiting")):
        yield f"the journal's accounts don't add up: {journal}"
    for item in gateway.api("GET", "/datasources").json["items"]:
        counts = item["status"]["counts"]
        if counts["received"] < counts["converted"] + counts["filtered"] + counts["failed"]:
            yield f"{item['name']}: more ended than was received: {counts}"
        if (
            item["name"] in SOURCE
            and item["name"] not in AT_BROKER
            and counts["received"] < len(reader.of(item["name"]))
        ):
            yield f"{item['name']}: {counts['received']} received, {len(reader.of(item['name']))} acknowledged"
    stats = {name: gateway.api("GET", f"/integrations/{name}/stats").json for name, _, _ in chapter.kinds}
    chapter.watch.barrier(is_dead=False)
    arrived = chapter.watch.arrivals()
    for name, of in stats.items():
        ended = sum(of[each] for each in ("delivered", "inflight", "waiting", "expired", "dead"))
        if of["queued"] != ended + sum(of["dropped"].values()) or not of["balanced"]:
            yield f"{name}: the accounts don't add up: {of}"
        if chapter.trims:  # what the journal has no room for may be given up, if it is counted
            chapter.given_up[name] = of["dropped"].pop("store full", 0)
            chapter.report["given up"] += chapter.given_up[name]
        if of["expired"] or of["dead"] or of["dropped"]:
            yield f"{name}: something was given up: {of}"
        if of["delivered"] > (there := deliveries(arrived.get(name, ()))):
            yield f"{name}: {of['delivered']} are said to be delivered, {there} arrived"


def deliveries(arrivals):
    """How many there were. One that came again has the same key; without keys each arrival counts, since two messages that say the same
    may come in one publication."""
    return len({each.key for each in arrivals if each.key is not None}) + sum(
        each.key is None for each in arrivals
    )


def journal(chapter):
    """All messages in their order."""
    found = [
        Stored(int(item["id"].rpartition("-")[2]), item["datasource"], b64decode(item["payload"]).strip().hex(), item["state"])
        for item in chapter.gateway.all_messages()
    ]  # fmt: skip
    return sorted(found, key=lambda stored: stored.position)


def everything(chapter):
    """No message is missing, none is out of order, none comes again without a reason."""
    stored = journal(chapter)
    arrived = chapter.watch.arrivals()
    chapter.report["acknowledged"] += len(chapter.reader.acknowledged)
    chapter.report["stored"] += len(stored)
    yield from _stored(chapter, stored)
    yield from _delivered(chapter, stored, arrived)
    yield from _drained(chapter, arrived)
    messages = Counter(
        payload for payload, _ in {(each.payload, each.key) for each in arrived.get(PLAIN, ())}
    )
    for name, _, _ in chapter.kinds:
        yield from _ordered(chapter, stored, name, arrived.get(name, []))
        yield from _repeated(chapter, messages, name, arrived.get(name, []))
    if not chapter.trims:
        yield from _counted(chapter, stored)


def _stored(chapter, stored):
    """Acknowledged is stored, and ended as it should."""
    states = defaultdict(set)
    for each in stored:
        states[each.payload].add(each.state)
    missing = chapter.reader.acknowledged.keys() - states.keys()
    if chapter.trims:
        chapter.report["trimmed"] += len(missing)
    elif missing:
        chapter.report["missing in the journal"] += len(missing)
        yield f"acknowledged, and not in the journal: {some(missing)}"
    wrong = {
        f"{payload} of {message.source}: {sorted(states[payload])}"
        for payload, message in chapter.reader.messages.items()
        if states.get(payload, set()) - {fate(SOURCE[message.source], message.number)}
        - ({"failed"} if payload in chapter.may_fail else set())
    }  # fmt: skip
    if wrong:
        yield f"not what the converter makes of them: {some(wrong)}"


def _delivered(chapter, stored, arrived):
    """Acknowledged is at each target, and so is whatever else was converted; nothing else is."""
    messages = chapter.reader.messages
    wanted = {each.payload for each in stored if each.state == "converted"}
    wanted |= {
        payload
        for payload in chapter.reader.acknowledged.keys() - chapter.may_fail
        if fate(SOURCE[messages[payload].source], messages[payload].number) == "converted"
    }
    arrived = {**arrived, **chapter.watch.on_disk()}
    for name, _, _ in chapter.kinds:
        there = {each.payload for each in arrived.get(name, ())}
        chapter.report[f"at {name}"] += len(there)
        if len(missing := wanted - there) > chapter.given_up[name]:
            chapter.report["missing at targets"] += len(missing)
            yield f"not at {name}: {some(missing)}"
        if strange := {each for each in there if each not in messages}:
            yield f"at {name}, and sent by nobody: {some(strange)}"


def _drained(chapter, arrived):
    """A deleted integration got what it was to get."""
    messages = chapter.reader.messages
    arrived = {**arrived, **chapter.watch.on_disk()}
    for name, (begun, ended) in chapter.drained.items():
        wanted = {
            each.payload
            for each in arrived.get(PLAIN, ())
            if each.at < ended and each.payload in messages and messages[each.payload].sent > begun
        }
        if missing := wanted - {each.payload for each in arrived.get(name, ())}:
            chapter.report["missing at targets"] += len(missing)
            yield f"not drained to {name}: {some(missing)}"
        chapter.report["drained"] += len(wanted)


def _ordered(chapter, stored, name, arrivals):
    """First arrivals are in the order in which their device sent them."""
    messages = chapter.reader.messages
    places = {each.payload: each.position for each in reversed(stored)}
    last, seen = {}, set()
    for each in arrivals:
        message = messages.get(each.payload)
        if message is None or each.payload in seen:
            continue
        seen.add(each.payload)
        serial = SOURCE[message.source].is_serial
        rank = message.number if serial else places.get(each.payload)
        if rank is None:
            continue  # trimmed
        device = (message.source, message.device)
        if rank < last.get(device, rank):
            chapter.report["out of order"] += 1
            yield f"{name}: {rank} of {device} came after {last[device]}"
        last[device] = max(rank, last.get(device, rank))


def _repeated(chapter, messages, name, arrivals):
    """What comes again was delivered shortly before a kill. ``messages`` says how many messages of each payload there are:
    a device that got no answer sends again."""
    times = defaultdict(list)
    for each in arrivals:
        if name == BOARD and messages[each.payload] != 1:
            continue  # it has no keys, so two messages of one content can't be told apart
        times[each.key or each.payload].append(each.at)
    for what, moments in times.items():
        for first, again in pairwise(moments):
            chapter.report["repeats"] += 1
            life = next(life for life in reversed(chapter.lives) if life.launched <= first)
            if again <= life.killed:
                yield f"{name}: {what} came again while the gateway lived"
            elif first < life.killed - 0.3:
                chapter.report["repeats older than 0.3 s on the clock"] += 1
            if first < life.safe:
                chapter.report["repeats older than 0.3 s"] += 1
                yield (
                    f"{name}: {what} came {life.killed - first:.3f} s before a kill and again after it; "
                    f"{life.killed - life.safe:.3f} s were its own time"
                )


def _counted(chapter, stored):
    """At rest the accounts are exactly what is there."""
    gateway = chapter.gateway
    held = Counter((each.datasource, each.state) for each in stored)
    for item in gateway.api("GET", "/datasources").json["items"]:
        counts = item["status"]["counts"]
        for state in ("converted", "filtered", "failed"):
            if counts[state] != held[item["name"], state]:
                yield f"{item['name']}: {counts[state]} {state}, {held[item['name'], state]} in the journal"
    converted = sum(each.state == "converted" for each in stored)
    for name, _, _ in chapter.kinds:
        stats = gateway.api("GET", f"/integrations/{name}/stats").json
        if stats["delivered"] != converted:
            yield f"{name}: {stats['delivered']} delivered, {converted} converted"
