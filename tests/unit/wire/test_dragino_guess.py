"""Which of several Dragino models sent a frame: by its values, and by what its device sent before."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.wire.dragino import DraginoFrame, Guesses, metadata, parse
from iotgw.wire.dragino.guess import CERTAIN, MISFIT, RESOLVE, best, evidence
from iotgw.wire.dragino.layout import LAYOUTS, MODELS, fitting
from iotgw.wire.dragino.quantity import NOTHING, count, flag, temperature

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "dragino.json").read_text())
FRAMES = [bytes.fromhex(vector["hex"]) for vector in VECTORS]
HEADER = "f86841105675413800640c7817"
TIME = 0x6315537B


def frame(first: str, *history: str, header: str = HEADER) -> DraginoFrame:
    """Data and records of hexadecimal words, with a timestamp each, as a G1 frame."""
    times = (f"{TIME - 900 * age:08x}" for age in range(len(history) + 1))
    text = header + "".join(
        words.replace(" ", "") + time for words, time in zip((first, *history), times, strict=True)
    )
    parsed = parse(bytes.fromhex(text))
    assert isinstance(parsed, DraginoFrame)
    return parsed


def model(seen: DraginoFrame, guesses: Guesses | None = None) -> str:
    return metadata(seen, guesses=guesses)["deviceModel"]


LEAF = frame("0100 0225 010b", "010b 0226", "010e 0226")
SOIL = frame("0100 0225 010b", "0226 010b", "0226 010e")
AMBIGUOUS = frame("0100 0225 010b")


@pytest.mark.parametrize(
    ("expected", "seen"),
    [
        ("NLMS01", LEAF),
        ("NSPH01", SOIL),
        ("NSPH01", frame("0100 02a4 f00a", "02a3 f014")),
        ("NMDS200", frame("0100 0bb8 1388", "0bb9 1386")),
        ("NMDS200", frame("0101 07d0 0000")),
        ("CPN01", frame("0100 01 00 000009 000002", "01 00000b 02 000026")),
        ("NSE01", frame("0100 0b54 0906 0064 00c8", "0b55 0908 0065 00c9")),
        ("NBSN95", frame("0100 fa00 0bb8 00fa 01f4")),
        ("N95S31B", frame("0100 0000 0030 0114 0231", "0113 0231")),
        ("SW3L", frame("0001 0001 01c2 00002328", "00001194")),
        ("PS-NB", frame("0000 0001 0000 0fa0 0000", "0fa1 0000")),
    ],
)
def test_the_likeliest_model_is_taken(expected, seen):
    facts = metadata(seen)
    assert facts["deviceModel"] == expected
    assert facts["deviceModelGuessed"] is True
    assert facts["deviceModelCandidates"][0] == expected and len(facts["deviceModelCandidates"]) > 1


def test_where_the_values_decide_nothing_the_fixed_order_does():
    assert metadata(AMBIGUOUS)["deviceModelCandidates"] == ["NLMS01", "NSPH01", "NMDS200"]
    assert best({"NMDS200": 0.0, "NSPH01": 2.9, "NLMS01": 2.9}) == ["NLMS01", "NSPH01", "NMDS200"]
    assert best({"NMDS200": 0.0, "NSPH01": 3.1, "NLMS01": 9.0}) == ["NMDS200", "NSPH01", "NLMS01"]


@pytest.mark.parametrize("first", ["02 00fa 01 0bb8 03e8", "05 00fa 0bb8 00 0400", "06 00010000"])
def test_a_mode_of_its_own_tells_the_model(first):
    for header in (HEADER, "72403155615900780c5419"):
        facts = metadata(frame(first, header=header))
        assert (facts["deviceModel"], facts["deviceModelSource"]) == ("NBSN95", "layout")


def test_each_layout_s_model_has_its_place_in_the_order():
    assert {layout.model for layout in LAYOUTS} == set(MODELS)


def test_the_first_frame_of_a_kind_stays_what_it_was_taken_for():
    guesses = Guesses()
    assert model(SOIL, guesses) == "NSPH01"
    # alone, this one would be a leaf's
    assert model(AMBIGUOUS) == "NLMS01" and model(AMBIGUOUS, guesses) == "NSPH01"


def test_readings_that_decide_nothing_do_not_add_up():
    guesses = Guesses()
    near = frame("0100 0384 0014")
    assert model(near, guesses) == "NLMS01"
    for moisture in range(300, 1000, 8):
        assert model(frame(f"0100 {moisture:04x} 0014"), guesses) == "NLMS01"


def test_clear_evidence_replaces_a_wrong_guess():
    guesses = Guesses()
    assert model(AMBIGUOUS, guesses) == "NLMS01"
    assert model(SOIL, guesses) in ("NLMS01", "NSPH01")
    assert model(SOIL, guesses) == "NSPH01"
    assert model(AMBIGUOUS, guesses) == "NSPH01"


def test_a_frame_that_only_one_layout_fits_settles_later_ones():
    guesses = Guesses()
    history = frame("0100 0000 0030 0114 0231", "0113 0231", "0113 0231", "0112 0237")
    plain = frame("0100 0000 0030 0114 0231")
    assert model(plain) == "NBSN95"
    assert model(history, guesses) == "N95S31B"
    assert model(plain, guesses) == "N95S31B"


def test_a_device_that_turns_out_another_is_believed_after_a_few_frames():
    guesses = Guesses()
    for _ in range(50):
        assert model(LEAF, guesses) == "NLMS01"
    needed = next(n for n in range(1, 20) if model(SOIL, guesses) == "NSPH01")
    assert needed <= (CERTAIN + RESOLVE) / 10


def test_devices_do_not_mix():
    guesses = Guesses()
    other = frame("0100 0225 010b", header=HEADER.replace("868411056754138", "868411056754146"))
    assert model(SOIL, guesses) == "NSPH01"
    assert model(other, guesses) == "NLMS01"


def test_memory_is_bounded_and_forgets_who_was_silent_longest():
    guesses = Guesses(capacity=100)
    says = {"NLMS01": 0.0, "NSPH01": MISFIT}
    for number in range(1000):
        guesses.models(str(number), says)
        guesses.models("0", says)
    assert len(guesses) == 100
    assert guesses.models("0", {"NLMS01": 0.0, "NSPH01": 0.0})[0] == "NLMS01"


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([*FRAMES, LEAF.payload, SOIL.payload]))))
def test_a_remembered_guess_is_always_one_that_fits(sent):
    guesses = Guesses(capacity=1)
    for _, data in sent:
        seen = parse(data)
        facts = metadata(seen, guesses=guesses)
        fits = {layout.model for layout in fitting(seen)}
        assert not fits or facts["deviceModel"] in fits
        assert set(facts.get("deviceModelCandidates", fits)) == fits


@given(
    st.binary(min_size=2, max_size=120),
    st.sampled_from(["f868411056754138", "f868411056754138" * 2, "868411056754"]),
)
def test_no_bytes_behind_a_header_make_the_guess_raise(data, identity):
    seen = parse(bytes.fromhex(identity + "00640c7817") + data)
    if isinstance(seen, DraginoFrame):
        says = evidence(seen, fitting(seen))
        assert all(bits >= 0 for bits in says.values()) and (not says or min(says.values()) == 0)
        json.dumps(metadata(seen, guesses=Guesses()), allow_nan=False)


def test_a_history_longer_than_any_node_s_is_not_looked_at():
    words = ["0226 010b"] * 64
    assert metadata(frame("0100 0225 010b", *words))["deviceModelGuessed"]
    assert fitting(frame("0100 0225 010b", *words, "0226 010b")) == ()


# --- one number -----------------------------------------------------------------------------------


def test_what_is_usual_is_less_surprising_than_what_is_possible_and_that_than_what_is_not():
    outside = temperature("air")
    usual, possible, impossible = (outside.surprise(raw) for raw in (215, 700, 2000))
    assert usual < possible < impossible


def test_a_value_near_the_one_before_is_hardly_surprising():
    outside = temperature("air")
    assert outside.surprise(215, 214) < outside.surprise(215) <= outside.surprise(215, -300)


@pytest.mark.parametrize(("raw", "tenths"), [(0x00A5, 165), (0xF0A5, -165), (0xFF5B, -165), (0xF000, 0)])
def test_a_temperature_below_zero_in_either_form(raw, tenths):
    assert temperature("air").value(raw) == tenths


def test_nothing_connected_speaks_for_nobody():
    assert temperature("air").surprise(0xFFFF) == temperature("air").surprise(0) == NOTHING


def test_a_flag_is_one_of_two():
    assert flag("door").surprise(0) == flag("door").surprise(1) == 1
    assert flag("door").surprise(2) > 8


def test_small_counts_are_likelier_than_large_ones():
    openings = count("openings", 3)
    assert openings.surprise(3) < openings.surprise(3000) < openings.surprise(0xFFFFFF)


# --- how often it is right ------------------------------------------------------------------------

WALKS = {
    "NLMS01": ((0, 1000, 20), (-100, 400, 5)),
    "NSPH01": ((400, 850, 3), (-50, 350, 5)),
    "NMDS200": ((900, 8000, 15), (2000, 15000, 15)),
}


def plausible(name: str, rng: random.Random) -> DraginoFrame:
    """A frame with eight records of values that wander."""
    values = [rng.randint(low, high) for low, high, _ in WALKS[name]]
    rows = []
    for _ in range(9):
        steps = zip(values, WALKS[name], strict=True)
        values = [min(high, max(low, value + rng.randint(-by, by))) for value, (low, high, by) in steps]
        rows.append([f"{value if value >= 0 else 0xF000 - value:04x}" for value in values])
    history = [row[::-1] if name == "NLMS01" else row for row in rows[1:]]
    return frame("0100" + "".join(rows[0]), *("".join(row) for row in history))


@pytest.mark.parametrize("name", WALKS)
def test_with_history_the_model_is_nearly_always_found(name):
    rng = random.Random(7)
    found = [model(plausible(name, rng)) for _ in range(200)]
    assert found.count(name) >= 190
