"""Nodes are upgraded one after the other: two versions work on one database side by side, either dies, and nothing is lost."""

import shutil

import pytest

from iotgw import __version__
from iotgw.store.postgres import schema
from tests.interop.test_nodes import Cluster
from tests.interop.test_postgres import Posting, more
from tests.peers.gateway import ROOT
from tests.peers.postgres import Postgres
from tests.peers.process import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.long]
NEXT = "0.2.0"
UPGRADE = """-- Programs of schema {latest} go on.
ALTER TABLE uplink ADD COLUMN colour text NOT NULL DEFAULT 'none';
CREATE TABLE shelf (id int PRIMARY KEY);
"""


@pytest.fixture
def newer(tmp_path):
    """The environment of a program that is one version, and one schema, ahead of this one."""
    folder = tmp_path / "newer"
    for name in ("iotgw", "twisted"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "static"))
    own = folder / "iotgw" / "__init__.py"
    own.write_text(own.read_text().replace(f'"{__version__}"', f'"{NEXT}"'))
    latest = max(schema.upgrades())
    upgrade = folder / "iotgw" / "store" / "postgres" / "schema" / f"{latest + 1}.sql"
    upgrade.write_text(UPGRADE.format(latest=latest))
    return {"PYTHONPATH": str(folder)}


def versions(node):
    return {each["name"]: each["version"] for each in node.api("GET", "/nodes").json["items"]}


def test_two_versions_work_side_by_side_and_take_over_from_each_other(tmp_path, newer):
    with Postgres() as server, Cluster(server, tmp_path) as cluster:
        a, b = cluster.nodes.values()
        with Posting(a) as to_a, Posting(b, "other") as to_b:
            more(to_a, to_b)
        assert a.api("POST", "/nodes/b/drain").status == 200
        wait_until(lambda: a.api("GET", "/nodes/b").json["state"] == "drained", what="b to be drained")
        b.stop()
        b._env.update(newer)
        b.launch()
        wait_until(lambda: versions(a)["b"] == NEXT, 60, what="the newer b")
        assert a.api("POST", "/nodes/b/resume").status == 200
        wait_until(b.ready, 60, what="b to take messages")
        assert cluster.asked("SELECT to_regclass('iotgw.shelf') IS NOT NULL") == [(True,)]
        assert versions(b) == {"a": __version__, "b": NEXT}

        with Posting(a, "third") as to_a2, Posting(b, "fourth") as to_b2:
            more(to_a2, to_b2)
            a.kill()
            a.start()  # the older program, on the newer one's schema
            b.kill()
            wait_until(lambda: cluster.owner(2) == "a", 60, what="the older one to adopt the newer one's partition")  # fmt: skip
            more(to_a2)
        b.start()
        wait_until(lambda: cluster.owner(2) == "b", 60, what="the partition to be handed back")
        a.kill()
        a._env.update(newer)
        wait_until(lambda: cluster.owner(1) == "b", 60, what="the newer one to adopt the older one's partition")  # fmt: skip
        a.start()
        wait_until(lambda: versions(b) == {"a": NEXT, "b": NEXT}, what="both to be upgraded")

        stored = cluster.stored()
        for name, posted in (("http", to_a), ("other", to_b), ("third", to_a2), ("fourth", to_b2)):
            assert posted.answered - stored[name] == set()
        wait_until(lambda: cluster.arrived() == cluster.stored(), what="all to arrive")
        twice = "SELECT count(*) - count(DISTINCT (part, uplink)) FROM iotgw.telemetry WHERE uplink <> 0"
        assert cluster.asked(twice) == [(0,)]
