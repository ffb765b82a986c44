"""What a process calls messages of other nodes."""

from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.places import befores, is_walk, part_of, place, seq_of, walk, walk_of, walk_text

PARTS, SEQS = st.integers(1, 32_767), st.integers(0, (1 << 48) - 1)


@given(part=PARTS, seq=SEQS)
def test_a_place_has_its_partition_and_position_and_is_none_of_the_own(part, seq):
    assert (part_of(place(part, seq)), seq_of(place(part, seq))) == (part, seq)
    assert part_of(seq) == 0 and seq_of(seq) == seq
    assert not is_walk(place(part, seq))


@given(st.dictionaries(PARTS, SEQS, min_size=1, max_size=100))
def test_a_walk_comes_back_from_its_text(places):
    found = walk(places)
    assert is_walk(found) and befores(found) == places
    assert part_of(found) == 0
    assert walk_of(walk_text(found)) == found


def test_a_walk_that_is_at_its_end_everywhere_is_none():
    assert walk({}) == 0


@given(st.text(max_size=40) | st.from_regex(r"all-[0-9a-f]{1,40}", fullmatch=True))
def test_no_other_text_is_a_walk(text):
    found = walk_of(text)
    assert found is None or walk_text(found) == text
