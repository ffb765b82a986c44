"""What scripts keep of their devices, in either database."""

from tests.contract.stores import Stored


class TestStates(Stored):
    def open(self):
        self.registry = self.backend.registry(self.clock)
        self.wait(self.registry.start())
        return self.backend.states(self.clock, self.registry)

    def close(self, states):
        self.wait(states.stop())
        self.wait(self.registry.stop())

    def test_it_keeps_its_port(self):
        assert {"get", "put", "stop"} <= {*dir(self.part)}

    def get(self, device, tenant="t", converter="bundled:a/b"):
        return self.part.get(tenant, converter, device)

    def test_a_state_is_there_at_once_and_after_a_restart(self):
        for count in range(3):
            self.part.put("t", "bundled:a/b", "d", b'{"n":%d}' % count)
        assert self.get("d") == b'{"n":2}'
        self.reopen()
        assert self.get("d") == b'{"n":2}'
        assert self.get("d", tenant="u") == self.get("d", converter="c") == self.get("e") == b""

    def test_a_state_changes_again_and_again(self):
        for count in range(3):
            self.part.put("t", "c", "d", b'{"n":%d}' % count)
            self.clock.advance(2.0)
            self.reopen()
            assert self.get("d", converter="c") == b'{"n":%d}' % count

    def test_a_state_that_is_dropped_has_nothing_in_it(self):
        self.part.put("t", "c", "d", b'{"n":1}')
        self.reopen()
        self.part.put("t", "c", "d", b"")
        assert self.get("d", converter="c") == b""
        self.reopen()
        assert self.get("d", converter="c") in (b"", b"{}")
