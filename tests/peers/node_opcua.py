"""A real OPC UA server from npm: node-opcua's."""

from .process import HOME, Process, accepts, find, free_port, missing


class NodeOpcua(Process):
    """One that is ready answers on its port; see ``nodeopcua/server.js`` for what it has."""

    def __init__(self, folder):
        place = HOME / "nodeopcua"
        if not (place / "node_modules" / "node-opcua-server").exists():
            missing("npm's node-opcua-server is not installed; tests/install-peers large installs it")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        command = [find("node"), place / "server.js", str(self.port), str(folder / "pki")]
        super().__init__(command, folder / "node-opcua.log")

    @property
    def url(self):
        return f"opc.tcp://127.0.0.1:{self.port}/plant"

    def ready(self):
        return accepts(self.port)
