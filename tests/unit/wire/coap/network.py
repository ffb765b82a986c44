"""Endpoints joined by a network that delays, loses and repeats datagrams, all in its own time."""

from __future__ import annotations

import heapq
import itertools
from random import Random

from iotgw.wire.coap.endpoint import Endpoint
from iotgw.wire.coap.site import Site


class Network:
    def __init__(self, seed=1, loss=0.0, repeat=0.0, delay=0.05):
        self.now = 1000.0
        self.random = Random(seed)
        self.loss = loss
        self.repeat = repeat
        self.delay = delay
        self.endpoints = {}
        self.carried = []
        self._air = []
        self._order = itertools.count()

    def sender(self, name):
        """What puts a datagram of an address on its way."""

        def send(data, remote):
            self.carried.append((name, remote, data))
            for _ in range(2 if self.random.random() < self.repeat else 1):
                if self.random.random() >= self.loss:
                    arrival = self.now + self.delay * (0.5 + self.random.random())
                    heapq.heappush(self._air, (arrival, next(self._order), name, remote, data))

        return send

    def endpoint(self, name, site=None, **settings):
        """A new endpoint at an address of its own name."""
        send = self.sender(name)
        made = Endpoint(
            site or Site(), send, lambda: self.now, random=Random(self.random.random()), **settings
        )
        self.endpoints[name] = made
        return made

    def run(self, condition=lambda: False, seconds=1000.0):
        """Let time pass until something is true (or the time is over); returns whether it is."""
        end = self.now + seconds
        while not condition():
            due = [endpoint.poll(self.now) for endpoint in self.endpoints.values()]
            times = [time for time in due if time is not None]
            if self._air:
                times.append(self._air[0][0])
            if condition():
                break
            if not times or min(times) > end:
                self.now = end
                return condition()
            self.now = max(self.now, min(times))
            while self._air and self._air[0][0] <= self.now:
                _, _, source, target, data = heapq.heappop(self._air)
                self.endpoints[target].datagram(data, source, self.now)
        return True
