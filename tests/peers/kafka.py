"""A Kafka broker (KRaft, one node) with four listeners: plain, with client certificates, with SASL over TLS, and with SASL alone."""

import subprocess
from pathlib import Path

from tests.certificates import Authority

from .patience import HANGS
from .process import Process, accepts, find, free_port, missing

HOME = Path(__file__).parent / "kafkabroker"
CLUSTER = "iotgwtestsiotgwtestsig"
USER, PASSWORD = "gateway", "open sesame"


class Kafka(Process):
    """``port`` is plain, and ``sasl`` asks for a user (PLAIN, SCRAM, and OAUTHBEARER with unsigned tokens), both at ``host``; the others are on loopback.
    ``mutual`` asks for a certificate of ``authority``."""

    def __init__(self, folder, host="127.0.0.1"):
        folder.mkdir(parents=True, exist_ok=True)
        libraries = HOME / "target" / "lib"
        if not libraries.is_dir():
            missing("the Kafka broker isn't there; tests/install-peers large fetches it")
        self.folder = folder
        self._host = host
        self.port, self.mutual, self.sasl, self.emulator, controller = (free_port() for _ in range(5))
        # as Event Hubs have it, and their emulator
        self.hub = f"Endpoint=sb://{host}:{self.sasl}/;SharedAccessKeyName=name;SharedAccessKey=a2V5="
        self.emulated = (
            f"Endpoint=sb://127.0.0.1:{self.emulator};SharedAccessKeyName=RootManageSharedAccessKey;"
            "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"
        )
        self.authority = Authority()
        server = self.authority.issue("broker", hosts=["127.0.0.1", "broker.example"])
        (folder / "server.keystore.pem").write_bytes(server.key_pem() + server.pem())
        (folder / "ca.pem").write_bytes(self.authority.pem())
        properties = folder / "server.properties"
        text = (HOME / "src" / "server.properties").read_text()
        for name, value in {
            "host": host, "port": self.port, "mutual": self.mutual, "sasl": self.sasl, "controller": controller, "folder": folder,
            "emulator": self.emulator, "hub": self.hub, "emulated": self.emulated,
        }.items():  # fmt: skip
            text = text.replace(f"{{{name}}}", str(value))
        properties.write_text(text)
        self._java = [find("java"), "-cp", f"{libraries}/*"]
        self._properties = properties
        super().__init__(
            [self._java[0], "-Xmx256m", *self._java[1:], "kafka.Kafka", properties],
            folder / "kafka.log",
            cwd=folder,
        )

    def launch(self):
        if not (self.folder / "data").exists():
            scram = [f"--add-scram=SCRAM-SHA-{size}=[name={USER},password={PASSWORD}]" for size in (256, 512)]
            format_ = ["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", self._properties, *scram]
            subprocess.run([*self._java, *map(str, format_)], check=True, timeout=HANGS, capture_output=True)
        return super().launch()

    def ready(self):
        return accepts(self.port, self._host) and accepts(self.sasl, self._host)

    @property
    def address(self):
        return f"{self._host}:{self.port}"

    @property
    def ca(self):
        return self.authority.pem().decode()

    def install_tools(self, folder):
        """Kafka's command-line tools, as its distribution has them."""
        for name, main in {
            "kafka-console-producer.sh": "kafka.tools.ConsoleProducer",
            "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
        }.items():
            tool = folder / name
            tool.write_text(f'#!/bin/sh\nexec {self._java[0]} -cp "{self._java[2]}" {main} "$@"\n')
            tool.chmod(0o755)
