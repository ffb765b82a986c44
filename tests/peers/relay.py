"""A relay between a device and a listener, which sees and may hold the datagrams of a DTLS session."""

import contextlib
import socket
import threading

HANDSHAKE, ALERT, APPLICATION_DATA = 22, 21, 23
_CLIENT_HELLO = 1


class Relay:
    """Passes datagrams between one device, which sends to ``port``, and a listener on loopback.

    ``hellos`` and ``alerts`` count the device's ClientHellos and the listener's alerts in the clear. With ``limit``, so
    many of the device's records of data pass, and what it sends after that is dropped until `resume`; ``held`` is set when
    the first one is.
    """

    def __init__(self, listener, limit=None):
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self._back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._back.bind(("127.0.0.1", 0))
        self.port = self._front.getsockname()[1]
        self._listener = "127.0.0.1", listener
        self._device = None
        self._limit = limit
        self._is_over = False
        self.held = threading.Event()
        self.hellos = self.alerts = 0
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._out, self._in)]

    def resume(self):
        """Let everything pass from now on."""
        self._limit = None

    def forge(self, data):
        """Send the device a datagram that isn't the listener's."""
        self._front.sendto(data, self._device)

    def _out(self):
        while True:
            data, device = self._front.recvfrom(65536)
            if self._is_over:
                return
            self._device = device
            is_data = data[:1] == bytes([APPLICATION_DATA])
            if self._limit == 0:
                self.held.set()
                continue
            if self._limit is not None and is_data:
                self._limit -= 1
            if data[:1] == bytes([HANDSHAKE]) and data[3:5] == b"\0\0" and data[13] == _CLIENT_HELLO:
                self.hellos += 1
            self._back.sendto(data, self._listener)

    def _in(self):
        while True:
            data, _ = self._back.recvfrom(65536)
            if self._is_over:
                return
            if data[:1] == bytes([ALERT]) and data[3:5] == b"\0\0":
                self.alerts += 1
            self._front.sendto(data, self._device)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self._is_over = True
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as waker:
            for one in (self._front, self._back):
                waker.sendto(b"", one.getsockname())
        for thread in self._threads:
            thread.join()
        self._front.close()
        self._back.close()
