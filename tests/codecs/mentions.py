"""``python -m tests.codecs.mentions --corpus DIR``: which device types public collections have most, by how many of them.

A device type is a name of letters and digits (``LHT65``, ``DL-ATM41``) in the path of a file. It counts once for each collection
(a folder of DIR), and once for each folder. The library's LoRaWAN devices are picked by this (docs/converters/library.md).
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from pathlib import Path

NAME = re.compile(r"(?<![a-z0-9])([a-z]{2,6}[- ]?\d{2,5}[a-z]{0,4})(?![a-z0-9])")
_BANDS = re.compile(r"(?:eu|us|au|as|in|kr|cn|ru|kz|ma)\d{3}|v\d+|mod\d+|ts013")


def mentions(root: Path) -> dict[str, tuple[int, int]]:
    """For each name: the collections, and the folders, that have it."""
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if not path.is_file() or len(relative.parts) < 2 or ".git" in relative.parts:
            continue
        for name in NAME.findall(" ".join(relative.parts[1:]).lower().replace("_", " ").replace("dl-", " ")):
            plain = name.replace("-", "").replace(" ", "")
            if not _BANDS.fullmatch(plain):
                found[plain].add((relative.parts[0], str(relative.parent)))
    return {name: (len({one for one, _ in places}), len(places)) for name, places in found.items()}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.codecs.mentions", description=__doc__)
    parser.add_argument(
        "--corpus", type=Path, required=True, help="a folder with checkouts of public collections"
    )
    parser.add_argument("--least", type=int, default=3, help="collections that a name must be in (3)")
    options = parser.parse_args()
    for name, (collections, folders) in sorted(
        mentions(options.corpus).items(), key=lambda one: (-one[1][0], -one[1][1], one[0])
    ):
        if collections >= options.least:
            print(f"{name:<14} {collections:>3} collections {folders:>4} folders")


if __name__ == "__main__":
    main()
