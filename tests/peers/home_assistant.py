"""A real Home Assistant with its MQTT integration."""

from .process import HOME, Process, free_port, missing


class HomeAssistant(Process):
    """It discovers sensors at a broker, and publishes their states there."""

    def __init__(self, folder, broker_port):
        place = HOME / "homeassistant"
        if not (place / "venv" / ".installed").exists():
            missing("Home Assistant isn't there; tests/install-peers large fetches it")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "configuration.yaml").touch()
        command = [place / "venv" / "bin" / "python", place / "serve.py", folder, broker_port, free_port()]
        super().__init__(command, folder / "homeassistant.log")

    def ready(self):
        return "ready" in self.output
