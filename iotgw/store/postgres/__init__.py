"""The journal, the registry and downlinks on PostgreSQL.

A gateway appends to a *partition* of its own, by its own single writer, so positions are given as in a file. `partition` says who owns
one; every commit checks it. Texts that come from devices are ``bytea``, as PostgreSQL's ``text`` refuses NUL.
"""
