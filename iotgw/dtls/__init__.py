"""DTLS 1.2 for datagram datasources: datagrams and the time in, plaintext of known peers out.

It is sans-I/O like `iotgw.wire`, but stands on OpenSSL. `iotgw.dtls.layer` is its face.
"""
