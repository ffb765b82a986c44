"""A campaign of ``kill -9`` against the gateway as its user runs it: ``make campaign ROUNDS=300``.

Devices of all kinds send without a pause, the gateway is killed and started again, and targets of all kinds note what
arrives and when. Afterwards the devices' own ledger is held against the journal and against each target. Nothing that
the gateway says of itself is taken as proof, and its accounts are checked against what the others know.

- `senders`: the devices, in a process that is not killed; each writes down what it sent and what was acknowledged.
- `sources`, `resources`: the datasources, and the file that a first start is given.
- `targets`: real servers with the arrivals that they saw.
- `chapter`: one data directory with its rounds; `kills`: the moments at which the gateway is killed.
- `cluster`: three nodes on one replicated database, which the ``faults`` befall: ``python -m tests.campaign.nodes --rounds 100``.
- `oracle`: what must hold; `stalls`: how long the machine kept the gateway from its work.
"""
