"""Makes iotgw/wire/lwm2m/objects.json of folders of OMA's XML files: python tools/lwm2m_objects.py FOLDER...

LwM2M's own objects (0 to 9, 19, 21) and IPSO's (3200 to 3350) whose file carries the BSD-3 licence are taken.
"""

from __future__ import annotations

import sys
from pathlib import Path

from iotgw.wire.lwm2m.model_xml import models_of
from iotgw.wire.lwm2m.models import ObjectModel, table_of

WANTED = {*range(10), 19, 21, *range(3200, 3351)}
BSD = "Redistribution and use in source and binary forms"
TARGET = Path(__file__).parent.parent / "iotgw" / "wire" / "lwm2m" / "objects.json"


def main(folders: list[str]) -> None:
    """Write the table."""
    found: dict[tuple[int, str], ObjectModel] = {}
    for folder in folders:
        for file in sorted(Path(folder).glob("*.xml")):
            data = file.read_bytes()
            if BSD not in " ".join(data.decode("utf-8", "replace").split()):
                continue
            for model in models_of(data):
                if model.id in WANTED:
                    found[model.id, model.version] = model
    TARGET.write_bytes(table_of(found.values()) + b"\n")
    print(f"{len(found)} versions of {len({id for id, _ in found})} objects")


if __name__ == "__main__":
    main(sys.argv[1:])
