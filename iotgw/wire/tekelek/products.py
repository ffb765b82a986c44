"""Tekelek's product codes: the first byte of each frame (workbook CF-5018-20, cell I13 of every sheet)."""

from __future__ import annotations

from msgspec import Struct


class Product(Struct, frozen=True):
    """A product: ``model`` as users know it, ``name`` with the variant.

    ``battery`` says what the battery field counts: ``percent`` or ``volts``. ``lte`` is what bit 6 of the
    status byte means, ``""`` when it is spare. ``value`` is what a sample measures: ``ullage`` in cm from
    the sensor down to the liquid, or the ``logger``'s own unit as its S26 register says. ``password`` is the
    factory default.
    """

    model: str
    name: str
    value: str = "ullage"
    battery: str = "volts"
    lte: str = ""
    reed_fault: bool = False
    energy: str = "lastError"

    @property
    def password(self) -> str:
        """The factory's password: the product's name, at most six characters."""
        return self.model[:6]


def _logger(model: str, name: str, **more: object) -> Product:
    return Product(model, name, value="logger", battery="percent", **more)  # type: ignore[arg-type]


def _tek822(name: str) -> Product:
    return _logger("TEK822", f"TEK822 {name}", lte="lte", reed_fault=True, energy="energyMah")


def _tek871(name: str, model: str = "TEK871") -> Product:
    return _logger(model, name, lte="lte", reed_fault=True, energy="energyMas")


def _tek811(model: str) -> Product:
    return Product(model, model, energy="word20")


PRODUCTS = {
    0: Product("TEK766", "TEK766"),
    2: Product("TEK586", "TEK586", lte="3g"),
    3: Product("TEK790", "TEK790"),
    5: Product("TEK733", "TEK733", lte="3g"),
    6: _logger("TEK643", "TEK643", lte="3g"),
    7: _tek811("TEK811"),
    8: _tek822("V1 NB"),
    9: Product("TEK733A", "TEK733A", lte="3g"),
    10: _tek871("TEK871 V1"),
    11: _tek811("TEK811A"),
    23: _tek822("V1 BTN"),
    24: _tek822("V2 NB"),
    25: _tek811("TEK811LR"),
    26: Product("TEK880", "TEK880"),
    27: _logger("TEK898", "TEK898 V2", lte="lte", reed_fault=True, energy="word20"),
    28: _logger("TEK898", "TEK898 V1", lte="lte", reed_fault=True, energy="word20"),
    29: _tek822("V1 P"),
    37: _tek822("V2 B"),
    38: _tek871("TEK871 V2"),
    41: _logger("TEK908", "TEK908", lte="lte", reed_fault=True, energy="word20"),
    42: _tek811("TEK811NP"),
    43: _tek811("TEK811LRNP"),
    44: _tek871("TEK871A", "TEK871A"),
    45: _tek871("TEK871ALR", "TEK871ALR"),
    255: Product("TEK764", "TEK764"),
}
