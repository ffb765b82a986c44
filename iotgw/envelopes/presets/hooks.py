"""What no table says: checks of a platform's own signatures, and answers that carry a downlink. A preset names them."""

from __future__ import annotations

from collections.abc import Callable

from iotgw.envelopes.envelope import Envelope, Proof

Verify = Callable[[Proof, str], str]
"""``verify(proof, secret)``: what is wrong with a request's signature, without any secret; empty if nothing is. Never
raises."""

VERIFIERS: dict[str, Verify] = {}
REPLIES: dict[str, Callable[[], Envelope]] = {}
"""Envelopes whose ``load`` writes an answer."""
