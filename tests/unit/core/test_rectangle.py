"""A rectangle of the Earth is read from its text, and knows what is in it."""

import pytest

from iotgw.core import rectangle
from iotgw.core.rectangle import Rectangle


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("45.8,5.9,47.9,10.5", Rectangle(45.8, 5.9, 47.9, 10.5)),
        ("-90,-180,90,180", rectangle.WORLD),
        ("-20,170,-10,-175", Rectangle(-20, 170, -10, -175)),
        ("1,2,1,2", Rectangle(1, 2, 1, 2)),
    ],
)
def test_a_rectangle_is_its_four_sides(text, box):
    assert rectangle.read(text) == box


@pytest.mark.parametrize(
    "text",
    ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "nan,0,1,1", "0,0,inf,0", "1e3,0,1,1", "10,0,5,1", "0,0,91,0", "0,-181,1,0", "0,0,1,999", "0, 0, 1, 1",
     "٤,٤,٥,٥", "0,0,1,1\n", "0,0,1," + "1" * 10_000],
)  # fmt: skip
def test_what_is_none_is_refused_with_what_was_expected(text):
    with pytest.raises(ValueError, match="expected"):
        rectangle.read(text)


@pytest.mark.parametrize(
    ("box", "inside", "outside"),
    [
        (Rectangle(45, 5, 48, 10), [(45, 5), (48, 10), (47.4, 8.5)], [(44.9, 8), (47, 10.1), (47, 4.9), (-47, 8)]),
        (Rectangle(-20, 170, -10, -175), [(-15, 175), (-15, -178), (-15, 180), (-15, -180)], [(-15, 0), (-15, -170), (-15, 169)]),
    ],
)  # fmt: skip
def test_points_are_in_it_or_not(box, inside, outside):
    assert [point for point in inside if not box.holds(*point)] == []
    assert [point for point in outside if box.holds(*point)] == []


def test_one_across_the_date_line_is_as_wide_as_it_looks():
    assert Rectangle(-20, 170, -10, -175).width == 15
    assert Rectangle(0, 5, 1, 10).width == 5
