"""A cable between a node and its databases, which can be cut: then nothing arrives in either direction, and nobody is told."""

import contextlib
import selectors
import socket
import threading

from tests.peers.process import free_port


class Cable:
    """``ports`` are this end's, at ``host``, one for each of the far ``ends``."""

    def __init__(self, ends, host="127.0.0.1"):
        self.ports = tuple(free_port() for _ in ends)
        self.is_cut = False
        self._selector = selectors.DefaultSelector()
        self._listeners = {}
        for port, end in zip(self.ports, ends, strict=True):
            listener = socket.create_server((host, port))
            self._listeners[listener] = end
            self._selector.register(listener, selectors.EVENT_READ)
        self._others = {}
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self, seconds):
        """Cut it for so long. ``seconds()`` waits."""
        self.is_cut = True
        try:
            seconds()
        finally:
            self.is_cut = False

    def _run(self):
        pause = threading.Event()
        while not self._is_over:
            if self.is_cut:
                pause.wait(0.02)
                continue
            for key, _ in self._selector.select(0.05):
                if key.fileobj in self._listeners:
                    self._accept(key.fileobj)
                elif key.fileobj in self._others:
                    self._carry(key.fileobj)

    def _accept(self, listener):
        near, _ = listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self._listeners[listener]))
        except OSError:
            near.close()
            return
        for one, other in ((near, far), (far, near)):
            self._others[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _carry(self, one):
        try:
            data = one.recv(1 << 16)
            if data:
                self._others[one].sendall(data)
                return
        except OSError:
            pass
        for end in (one, self._others[one]):
            self._selector.unregister(end)
            del self._others[end]
            end.close()

    def close(self):
        self._is_over = True
        self._thread.join()
        for each in (*self._listeners, *self._others):
            with contextlib.suppress(OSError):
                each.close()
