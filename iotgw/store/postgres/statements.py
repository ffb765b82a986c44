"""The statements of a commit: one round trip, and no transaction that a stopped process leaves open.

Each begins with the *fence*: it matches the partition's row only while this process owns it, and only once for each group. Everything else is
inserted from what the fence returns.
"""

from __future__ import annotations

from psycopg.types.numeric import Int8

from iotgw.core.epochs import Epoch
from iotgw.store.names import NameTable
from iotgw.store.postgres.draft import GroupDraft, ProgressDraft, columns
from iotgw.store.postgres.packed import bytes_of, int4s, int8s
from iotgw.store.postgres.positions import PartitionEpochs

_FENCE = """WITH fence AS (UPDATE partition SET group_no = group_no + 1, uplink = greatest(uplink, %s), telemetry = greatest(telemetry, %s),
    bytes = greatest(bytes + %s, 0), alive_at = now() WHERE id = %s AND owner_epoch = %s AND group_no = %s RETURNING id)"""
_UPLINKS = "u AS (INSERT INTO uplink SELECT f.id, x.* FROM fence f, unnest(%s, %s, %s, %s, %s, %s) x)"
_TALLY = """y AS (INSERT INTO tally SELECT f.id, x.* FROM fence f, unnest(%s, %s, %s) x
    ON CONFLICT (part, datasource, state) DO UPDATE SET count = tally.count + excluded.count)"""
_END = "SELECT count(*) FROM fence"
_PARKED = (
    "state", "attempts", "next_try_ms", "error", "uplink", "tenant", "datasource", "received_ms", "kind", "device_name", "device_type",
    "body", "tries",
)  # fmt: skip

_PARK = f"""INSERT INTO parked SELECT f.id, x.* FROM fence f, unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) x
    ON CONFLICT (part, integration, seq) DO UPDATE SET {", ".join(f"{each} = excluded.{each}" for each in _PARKED)}"""

LEAN = f"{_FENCE}, {_UPLINKS}, {_TALLY} {_END}"
"""Uplinks, and nothing else."""
FULL = f"""{_FENCE}, {_UPLINKS}, {_TALLY},
o AS (INSERT INTO outcome SELECT f.id, x.* FROM fence f, unnest(%s, %s, %s, %s, %s) x ON CONFLICT (part, seq) DO UPDATE
    SET state = excluded.state, converter = excluded.converter, telemetry = excluded.telemetry, error = excluded.error),
t AS (INSERT INTO telemetry SELECT f.id, x.* FROM fence f, unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s) x),
c AS (INSERT INTO conversion SELECT f.id, x.* FROM fence f, unnest(%s, %s) x
    ON CONFLICT (part, datasource) DO UPDATE SET cursor = excluded.cursor),
i AS (INSERT INTO integration (part, id, cursor, counters, loan)
    SELECT f.id, x.id, x.cursor, x.counters, CASE WHEN x.is_lent <> 0 THEN nextval('loan') ELSE 0 END
    FROM fence f, unnest(%s, %s, %s, %s) x(id, cursor, counters, is_lent)
    ON CONFLICT (part, id) DO UPDATE SET cursor = excluded.cursor, counters = excluded.counters, loan = excluded.loan),
r AS (DELETE FROM parked USING fence f, unnest(%s, %s) x(integration, seq)
    WHERE part = f.id AND parked.integration = x.integration AND parked.seq = x.seq),
p AS ({_PARK}),
n AS (INSERT INTO name SELECT f.id, x.* FROM fence f, unnest(%s, %s) x ON CONFLICT DO NOTHING),
g AS (DELETE FROM epoch USING fence f, unnest(%s) x(name) WHERE part = f.id AND epoch.name = convert_from(x.name, 'UTF8')),
e AS (INSERT INTO epoch SELECT f.id, convert_from(x.name, 'UTF8'), x.uplink, x.telemetry
    FROM fence f, unnest(%s, %s, %s) x(name, uplink, telemetry) ON CONFLICT DO NOTHING),
w AS (DELETE FROM mark USING fence f WHERE part = f.id AND at_ms > %s),
m AS (INSERT INTO mark SELECT f.id, x.* FROM fence f, unnest(%s, %s, %s) x
    ON CONFLICT (part, at_ms) DO UPDATE SET uplink = excluded.uplink, telemetry = excluded.telemetry)
{_END}"""
"""Everything that a group may hold."""
DRAIN = f"""{_FENCE}, {_UPLINKS}, {_TALLY},
n AS (INSERT INTO name SELECT f.id, x.* FROM fence f, unnest(%s, %s) x ON CONFLICT DO NOTHING),
e AS (INSERT INTO epoch SELECT f.id, %s::text, %s::bigint, %s::bigint FROM fence f ON CONFLICT DO NOTHING),
v AS (UPDATE epoch SET uplink = x.last FROM fence f, (SELECT %s::bigint AS first, %s::bigint AS last, %s::text AS name) x
    WHERE part = f.id AND epoch.name <> x.name AND epoch.uplink >= x.first AND epoch.uplink < x.last)
{_END}"""
"""Uplinks of an epoch that others have followed: those begin after it."""
FORGET = f"""{_FENCE}, i AS (DELETE FROM integration USING fence f WHERE part = f.id AND integration.id = ANY(%s)),
p AS (DELETE FROM parked USING fence f WHERE part = f.id AND integration = ANY(%s)) {_END}"""
"""Integrations that are gone."""
TAKE_BACK = f"{_FENCE}, i AS (UPDATE integration SET loan = 0 FROM fence f WHERE part = f.id AND integration.id = %s) {_END}"
"""The owner writes again how far an integration has come."""
_LEASED = """EXISTS (SELECT FROM lease WHERE what = %s AND node = %s AND alive_at >= now() - make_interval(secs => %s))"""
BORROW = f"""UPDATE integration SET loan = nextval('loan') WHERE part = %s AND id = %s AND loan <> 0 AND (%s = 0 OR loan = %s) AND {_LEASED}
RETURNING loan, cursor, counters"""
"""Take what was lent, unless it has been taken back, from whoever else has it; with a number that isn't 0, only from who has this one."""
BORROWED = f"""WITH fence AS (UPDATE integration SET cursor = %s, counters = %s WHERE part = %s AND id = %s AND loan = %s AND {_LEASED} RETURNING part AS id),
r AS (DELETE FROM parked USING fence f, unnest(%s, %s) x(integration, seq)
    WHERE part = f.id AND parked.integration = x.integration AND parked.seq = x.seq),
p AS ({_PARK}) {_END}"""
"""How far a lent integration has come: the loan is the fence."""
FORGET_BORROWED = f"""WITH fence AS (DELETE FROM integration WHERE part = %s AND id = %s AND loan = %s AND {_LEASED} RETURNING part, id),
p AS (DELETE FROM parked USING fence f WHERE parked.part = f.part AND parked.integration = f.id) {_END}"""
"""A lent integration that is gone."""
BEAT = f"{_FENCE} {_END}"
"""Nothing but the fence: the owner lives."""
TRIM_UPLINKS = f"""{_FENCE}, u AS (DELETE FROM uplink USING fence f WHERE part = f.id AND seq > %s AND seq <= %s),
o AS (DELETE FROM outcome USING fence f WHERE part = f.id AND seq > %s AND seq <= %s),
m AS (DELETE FROM mark USING fence f WHERE part = f.id AND at_ms < %s) {_END}"""
TRIM_TELEMETRY = f"""{_FENCE}, t AS (DELETE FROM telemetry USING fence f WHERE part = f.id AND seq > %s AND seq <= %s),
m AS (DELETE FROM mark USING fence f WHERE part = f.id AND at_ms < %s) {_END}"""
ERASE_UPLINKS = f"""{_FENCE}, u AS (DELETE FROM uplink USING fence f WHERE part = f.id AND seq = ANY(%s)),
o AS (DELETE FROM outcome USING fence f WHERE part = f.id AND seq = ANY(%s)) {_END}"""
ERASE_TELEMETRY = (
    f"{_FENCE}, t AS (DELETE FROM telemetry USING fence f WHERE part = f.id AND seq = ANY(%s)) {_END}"
)
"""Single rows: a tenant's."""
LATEST = 1 << 62
"""Later than every time."""


def lean(draft: GroupDraft) -> list[object]:
    """The parameters of `LEAN` after the fence's."""
    seqs, tenants, sources, times, metadata, payloads = columns(draft.uplinks, 6)
    tally = [(source, state, count) for (source, state), count in draft.tally.items() if count]
    ofs, states, counts = columns(tally, 3)
    return [
        int8s(seqs), int4s(tenants), int4s(sources), int8s(times), bytes_of(metadata), bytes_of(payloads),
        int4s(ofs), int4s(states), int8s(counts),
    ]  # fmt: skip


def drained(draft: GroupDraft, names: NameTable, origin: Epoch, last: int) -> list[object]:
    """The parameters of `DRAIN` after the fence's: ``last`` is the highest position of ``origin`` that is in it."""
    unsaved = names.unsaved
    return [
        *lean(draft),
        int4s([number for number, _ in unsaved]), bytes_of([text.encode() for _, text in unsaved]),
        origin.name, Int8(origin.uplink), Int8(origin.telemetry),
        Int8(origin.uplink), Int8(last), origin.name,
    ]  # fmt: skip


def full(
    draft: GroupDraft, names: NameTable, epochs: PartitionEpochs | None, mark: tuple[int, int, int] | None, marked_ms: int
) -> list[object]:  # fmt: skip
    """The parameters of `FULL` after the fence's. ``epochs`` where they are to be written; ``mark`` is one time and the positions at it, and
    times after ``marked_ms`` were wrong."""
    o, t, i, r = (
        columns(draft.outcomes.values(), 5),
        columns(draft.telemetry, 9),
        columns(draft.integrations, 4),
        columns(draft.released, 2),
    )
    unsaved = names.unsaved
    now = [] if epochs is None else [epochs.current]
    gone = [] if epochs is None else epochs.gone
    marks = [] if mark is None else [mark]
    return [
        *lean(draft),
        int8s(o[0]), int4s(o[1]), int4s(o[2]), int8s(o[3]), bytes_of(o[4]),
        int8s(t[0]), int8s(t[1]), int4s(t[2]), int4s(t[3]), int8s(t[4]), int4s(t[5]), bytes_of(t[6]), bytes_of(t[7]), bytes_of(t[8]),
        int4s(list(draft.converted)), int8s(list(draft.converted.values())),
        int4s(i[0]), int8s(i[1]), bytes_of(i[2]), int4s(i[3]),
        int4s(r[0]), int8s(r[1]),
        *_parked(draft),
        int4s([number for number, _ in unsaved]), bytes_of([text.encode() for _, text in unsaved]),
        bytes_of([name.encode() for name in gone]),
        bytes_of([each.name.encode() for each in now]), int8s([each.uplink for each in now]), int8s([each.telemetry for each in now]),
        Int8(marked_ms),
        int8s([each[0] for each in marks]), int8s([each[1] for each in marks]), int8s([each[2] for each in marks]),
    ]  # fmt: skip


def borrowed(draft: ProgressDraft) -> list[object]:
    """The parameters of `BORROWED` after those of its fence, of a draft of one integration's progress."""
    released = columns(draft.released, 2)
    return [int4s(released[0]), int8s(released[1]), *_parked(draft)]


def _parked(draft: ProgressDraft) -> list[object]:
    p = columns(draft.parked, 15)
    return [
        int4s(p[0]), int8s(p[1]), int4s(p[2]), int4s(p[3]), int8s(p[4]), bytes_of(p[5]), int8s(p[6]), int4s(p[7]), int4s(p[8]), int8s(p[9]),
        int4s(p[10]), bytes_of(p[11]), bytes_of(p[12]), bytes_of(p[13]), bytes_of(p[14]),
    ]  # fmt: skip
