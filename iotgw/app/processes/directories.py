"""The data directories of several processes: one for each, below the gateway's. What an operator puts there once is there for all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from iotgw.app.processes.supervisor import OneOfSeveral
from iotgw.config.settings import Settings
from iotgw.core import private
from iotgw.store.manifest import KEY

TOKEN = "admin-token"


class Directories:
    """Those of ``processes``, below ``data_dir``."""

    def __init__(self, data_dir: Path, settings: Settings, processes: Sequence[OneOfSeveral]) -> None:
        self._data_dir = data_dir
        self._shared = [settings.certificates, settings.store.password_file]
        self._processes = processes

    def prepare(self) -> bool:
        """Make what is missing. Whether each has the key of the secrets: where there is none yet, the first process makes it, and the others
        get it from there."""
        for one in self._processes:
            private.make_directory(one.data_dir)
            for name in self._shared:
                if name and not Path(name).is_absolute():
                    _link(one.data_dir / name, self._data_dir / name)
        _link(self._data_dir / TOKEN, self._processes[0].data_dir / TOKEN)
        return self._hand_out_key()

    def _hand_out_key(self) -> bool:
        places = [self._data_dir / KEY, *(one.data_dir / KEY for one in self._processes)]
        there = next((each for each in places if each.exists()), None)
        if there is None:
            return False
        for place in places:
            if not place.exists():
                private.write_file(place, there.read_bytes())
        return True


def _link(place: Path, target: Path) -> None:
    """Have ``place`` lead to ``target``, unless something is there."""
    if not os.path.lexists(place):
        private.make_directory(place.parent)
        place.symlink_to(os.path.relpath(target, place.parent))
