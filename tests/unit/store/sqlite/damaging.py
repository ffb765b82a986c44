"""Damage to single pages of a database, as a disk does it."""

import sqlite3

LEAVES = (0x0D, 0x0A)
"""First bytes of the leaf pages of tables and of indexes."""


def pages_of(path, name, kind="leaf"):
    """The numbers of a table's or index's pages of a kind, in order, and the size of a page."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    found = connection.execute(
        "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = ? ORDER BY path", (name, kind)
    ).fetchall()
    connection.close()
    return [page for (page,) in found], size


def zero(path, name, pages=1, at=0.5):
    """Write zeros into leaf pages of a table or index, from this part of them on."""
    found, size = pages_of(path, name)
    assert len(found) > 2, f"{name} has only {len(found)} leaves"
    first = int(len(found) * at)
    with open(path, "r+b") as file:
        for page in found[first : first + pages]:
            file.seek((page - 1) * size)
            assert file.read(1)[0] in LEAVES
            file.seek((page - 1) * size)
            file.write(bytes(size))


def zero_all(path, name):
    """Write zeros into all pages of a table or index."""
    found, size = pages_of(path, name)
    inner, _ = pages_of(path, name, "internal")
    with open(path, "r+b") as file:
        for page in [*found, *inner]:
            file.seek((page - 1) * size)
            file.write(bytes(size))
