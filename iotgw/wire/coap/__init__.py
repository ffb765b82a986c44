"""CoAP (RFC 7252, 7641, 7959, 7967, 9175) as a sans-I/O engine.

Bytes and the time go in, bytes come out of the ``send`` that the owner passed; no socket, no clock, no
Twisted. From the wire upwards: `numbers`, `message` (codec), `timing`, `peers`, `deduplication`, `timers`,
`exchange` and `endpoint` (message layer), `server` (request layer), `blockwise`, `observe`, `client`,
`site` and `discovery` (resources), `defence` (Echo and rate limit).
"""
