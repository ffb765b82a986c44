"""CoAP (RFC 7252, 7641, 7959, 7967, 9175) as a sans-I/O engine.

Bytes and the time go in, bytes come out of the ``send`` that the owner passed; no socket, no clock, no
Twisted. From the wire upwards, each importing only what stands before it: `numbers`, `message` (codec), `timing`,
`timers`, `limits`, `peers`, `transmission` and `defence` (Echo and rate limit), `proving`, `exchange`, `deduplication`,
`message_layer`; `blockwise`, `upload`, `uploads`; `site` (resources), `observe`; `server` and `client`, the two roles;
`endpoint`, which puts all of it together, and `discovery`.
"""
