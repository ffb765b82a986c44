"""An owner that commits as fast as it can: ``python -m tests.unit.store.postgres.owner URL PASSWORD_FILE [unfenced]``.

Each line of its input is the number of a partition. It takes it, says ``owns``, and commits until somebody else has it, which it says, too. With ``unfenced``
its commits ask for neither epoch nor number: that is how it would be without the fence.
"""

import sys
from pathlib import Path

from iotgw.store.postgres.connection import Address
from iotgw.store.postgres.fenced import FencedConnection
from iotgw.store.postgres.partition import Fenced, take
from iotgw.store.postgres.statements import BEAT

LEASE = 0.1
UNFENCED = BEAT.replace("AND owner_epoch = %s AND group_no = %s", "AND %s::bigint >= 0 AND %s::bigint >= 0")


def main(url, password_file, *options):
    statement = UNFENCED if options else BEAT
    address = Address(url, Path(password_file))
    for line in sys.stdin:
        connection = address.connect()
        mine = take(connection, int(line), "owner", lease=LEASE)
        database = FencedConnection(address, connection, mine, lambda problem: None, lambda: False)
        print("owns", flush=True)
        try:
            while True:
                database.commit(statement, ())
        except Fenced:
            print("fenced", flush=True)
        database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
