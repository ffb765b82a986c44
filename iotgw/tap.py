"""``twistd iotgw``: command-line options, and the service tree. The one place that knows every part."""

from __future__ import annotations

from pathlib import Path

from twisted.python import usage

from iotgw import settings as process_settings
from iotgw.errors import IotgwError


class Options(usage.Options):
    """Options of ``twistd iotgw``."""

    synopsis = "[--config FILE] [--data-dir DIR]"
    optParameters = [
        ["config", "c", None, "settings file (TOML); without one, the defaults hold"],
        ["data-dir", "d", None, "where everything is written; outranks the settings file"],
    ]

    def postOptions(self) -> None:
        """Read the settings; a wrong one ends the start with one line."""
        try:
            self.loaded = process_settings.load(self["config"])
        except IotgwError as error:
            raise usage.UsageError(str(error)) from error
        self.data_dir = Path(self["data-dir"] or self.loaded.data_dir).absolute()
        self.config_file = Path(self["config"]).absolute() if self["config"] else None
