"""A package of somebody else's, and its installation: what ``pip install`` leaves in a folder."""

import shutil
from pathlib import Path

MODULES = Path(__file__).parent / "iotgw_acme"
ENTRY_POINTS = """[iotgw.datasources]
acme-coap = iotgw_acme.coap:AcmeCoapType
acme-hook = iotgw_acme.hook:AcmeHookType

[iotgw.integrations]
acme-log = iotgw_acme.log:AcmeLogType
"""


def install(folder):
    """Modules, and the entry points in a ``dist-info`` beside them; ``folder`` is one to look for packages in."""
    shutil.copytree(MODULES, folder / MODULES.name, ignore=shutil.ignore_patterns("__pycache__"))
    info = folder / "iotgw_acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: iotgw-acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder
