"""DTLS 1.2 as far as it is plain bytes: records, ClientHello, HelloVerifyRequest and its cookie."""
