"""Real proxies: tinyproxy, which knows CONNECT, and microsocks, which knows SOCKS 5. ``asked`` are the places that they were
asked for."""

import re

from .process import Process, accepts, find, free_port


class Tinyproxy(Process):
    def __init__(self, folder, username="", password=""):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._written = folder / "tinyproxy.out"
        login = f"BasicAuth {username} {password}\n" if username else ""
        settings = folder / "tinyproxy.conf"
        settings.write_text(
            f'Port {self.port}\nListen 127.0.0.1\nTimeout 60\nLogLevel Connect\nLogFile "{self._written}"\n'
            f"MaxClients 50\nAllow 127.0.0.1\n{login}"
        )
        super().__init__([find("tinyproxy"), "-d", "-c", settings], folder / "tinyproxy.log")
        self.url = (
            f"http://{username}:{password}@127.0.0.1:{self.port}"
            if username
            else f"http://127.0.0.1:{self.port}"
        )

    def ready(self):
        return accepts(self.port)

    @property
    def asked(self):
        return re.findall(r"CONNECT (\S+) HTTP", self._written.read_text())


class Microsocks(Process):
    def __init__(self, folder, username="", password="", scheme="socks5h"):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        login = ["-u", username, "-P", password] if username else []
        super().__init__(
            [find("microsocks"), "-i", "127.0.0.1", "-p", self.port, *login], folder / "microsocks.log"
        )
        who = f"{username}:{password}@" if username else ""
        self.url = f"{scheme}://{who}127.0.0.1:{self.port}"

    def ready(self):
        return accepts(self.port)

    @property
    def asked(self):
        return re.findall(r"connected to (\S+)", self.log.read_text(errors="replace"))
