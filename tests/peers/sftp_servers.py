"""SFTP servers of other makers, each in the states that the tests ask for."""

import json
import sys
from pathlib import Path

from .process import Process, accepts, free_port
from .sshd import make_key

PROGRAMS = Path(__file__).parent


class SftpServer(Process):
    """A server with a key of its own, and one that may log in. ``root`` holds its files; ``base`` is where they are for
    who logs in."""

    user = "me"
    base = ""

    def prepare(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.root = folder / "files"
        self.root.mkdir(exist_ok=True)
        self.host_key, self.user_key = folder / "host_ed25519", folder / "user_ed25519"
        for key in (self.host_key, self.user_key):
            if not key.exists():
                make_key(key)
        self.authorized = folder / "authorized_keys"
        self.authorized.write_bytes(self.user_key.with_suffix(".pub").read_bytes())

    @property
    def host_public_key(self):
        return " ".join(self.host_key.with_suffix(".pub").read_text().split()[:2])

    def ready(self):
        return accepts(self.port)

    def configuration(self, **more):
        """The settings of a target that writes here."""
        path = more.pop("path", "{{ deviceName }}/{{ key }}.json")
        login = {} if "password" in more else {"privateKey": self.user_key.read_text()}
        return {
            "host": "127.0.0.1", "port": self.port, "username": self.user, "hostKeys": [self.host_public_key],
            "path": f"{self.base}{path}", **login, **more,
        }  # fmt: skip

    def files(self, pattern="**/*"):
        """What stands under a final name: neither written aside, nor a marker."""
        return sorted(
            path
            for path in self.root.glob(pattern)
            if path.is_file() and path.suffix not in (".part", ".done", ".sha256")
        )


class AsyncsshServer(SftpServer):
    """asyncssh's, without the operations in ``lacks``."""

    def __init__(self, folder, lacks=(), **more):
        self.prepare(folder)
        self._settings = folder / "settings.json"
        self._made = {
            "port": self.port, "root": str(self.root), "hostKey": str(self.host_key),
            "authorized": str(self.authorized), "lacks": list(lacks), **more,
        }  # fmt: skip
        self.change()
        super().__init__(
            [sys.executable, PROGRAMS / "asyncssh_server.py", self._settings], folder / "server.log"
        )

    def change(self, **more):
        """How it is from the next start on."""
        self._made |= more
        self._settings.write_text(json.dumps(self._made))
