"""Devices in memory are found as if each were looked at in turn, whatever came and went before."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from iotgw.core.device_entry import DeviceEntry, DeviceSpec
from iotgw.core.ports.devices import DeviceFilter
from iotgw.core.rectangle import WORLD, Rectangle
from iotgw.devices import roster as module
from iotgw.devices.roster import Roster

NAMES = st.text("abAB1", min_size=1, max_size=3)
WORDS = st.sampled_from(["", "a", "b", "north"])
SPECS = st.builds(
    DeviceSpec, name=NAMES, label=WORDS, type=WORDS, groups=st.sampled_from([(), ("a",), ("b", "north")]),
    tags=st.dictionaries(st.sampled_from(["a", "b"]), WORDS, max_size=2), identity=WORDS,
).flatmap(lambda spec: st.sampled_from([spec, *(structs.replace(spec, latitude=x, longitude=x) for x in (1, 20))]))  # fmt: skip
STEPS = st.lists(st.tuples(st.booleans(), SPECS), max_size=30)
FILTERS = st.builds(
    DeviceFilter, text=WORDS, type=WORDS, group=WORDS, tag=st.sampled_from(["", "a", "b=north"]), datasource=st.sampled_from(["", "ds"]),
    box=st.sampled_from([None, Rectangle(0, 0, 10, 10), WORLD]),
)  # fmt: skip


def entry(spec):
    return DeviceEntry("default", spec, 1, 1, 1)


def is_meant(spec, wanted, owned):
    key, has_value, value = wanted.tag.partition("=")
    words = (spec.name, spec.label, spec.identity, *[f"{key}={text}" for key, text in spec.tags.items()])
    text = "\n".join(words).lower()
    return (
        wanted.text in text
        and wanted.type in ("", spec.type)
        and (not wanted.group or wanted.group in spec.groups)
        and (not key or (key in spec.tags and (not has_value or spec.tags[key] == value)))
        and (not wanted.datasource or spec.name in owned)
        and (
            wanted.box is None or (spec.latitude is not None and (wanted.box is WORLD or spec.latitude == 1))
        )
    )


@settings(max_examples=60)
@given(STEPS, STEPS, FILTERS, NAMES | st.just(""), st.integers(1, 5))
def test_a_search_finds_what_a_look_at_each_finds(loaded, steps, wanted, after, limit):
    module.BLOCK, before = 3, module.BLOCK
    try:
        known = {spec.name: spec for _, spec in loaded}
        roster = Roster()
        roster.load((entry(spec), "") for spec in known.values())
        for is_put, spec in steps:
            if is_put:
                roster.put(entry(spec))
                known[spec.name] = spec
            else:
                assert (roster.remove(spec.name) is None) == (known.pop(spec.name, None) is None)
        owned = [name for name in known if "1" in name]
        expected = [name for name in sorted(known) if name > after and is_meant(known[name], wanted, owned)]
        assert roster.find(wanted, after, limit, lambda datasource: owned) == expected[:limit]
        groups = {group for spec in known.values() for group in spec.groups}
        assert set(roster.groups) == groups
    finally:
        module.BLOCK = before
