"""Real databases of time series and of logs: InfluxDB 1.6 of Debian; InfluxDB 1.8, VictoriaMetrics and VictoriaLogs built from their modules."""

import json
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from .process import HOME, Process, accepts, find, free_port, missing


class InfluxDb(Process):
    """InfluxDB 1 with the database ``iot``."""

    token = ""
    _more = ""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "influxdb.conf").write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{free_port()}"\n'
            f'[meta]\n  dir = "{folder}/meta"\n[data]\n  dir = "{folder}/data"\n  wal-dir = "{folder}/wal"\n'
            f'[http]\n  bind-address = "127.0.0.1:{self.port}"\n{self._more}[monitor]\n  store-enabled = false\n'
        )
        super().__init__([self._program(), "-config", folder / "influxdb.conf"], folder / "influxdb.log")

    def _program(self):
        return find("influxd")

    def ready(self):
        return accepts(self.port)

    def start(self):
        super().start()
        self.query("CREATE DATABASE iot")
        return self

    def query(self, text):
        """The series that a statement finds: ``(measurement, tags, rows)``, a row being a dict."""
        body = urlencode({"db": "iot", "epoch": "ms", "q": text}).encode()
        with urlopen(Request(f"{self.url}/query", body, {"Authorization": f"Token {self.token}"})) as answer:
            (result,) = json.load(answer)["results"]
        assert "error" not in result, result
        return [
            (
                each["name"],
                each.get("tags", {}),
                [dict(zip(each["columns"], row, strict=True)) for row in each["values"]],
            )
            for each in result.get("series", ())
        ]


class InfluxDbOfVersion2Api(InfluxDb):
    """InfluxDB 1.8, which is written to as InfluxDB 2 is, with a token."""

    token = "iotgw:no-secret"
    _more = "  auth-enabled = true\n"

    def _program(self):
        program = HOME / "influxdb" / "influxdb"
        if not program.exists():
            missing("InfluxDB 1.8 is not built; tests/install-peers soak builds it")
        return program

    def start(self):
        Process.start(self)
        self.query("CREATE USER iotgw WITH PASSWORD 'no-secret' WITH ALL PRIVILEGES")
        self.query("CREATE DATABASE iot")
        return self


class VictoriaMetrics(Process):
    """A single node of VictoriaMetrics."""

    def __init__(self, folder):
        program = HOME / "victoriametrics" / "victoriametrics"
        if not program.exists():
            missing("VictoriaMetrics is not built; tests/install-peers large builds it")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(
            [program, f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y",
             "-memory.allowedBytes=128MB"],
            folder / "victoriametrics.log",
        )  # fmt: skip

    def ready(self):
        return accepts(self.port)

    def samples(self):
        """All samples: ``(metric, device, values by time in ms)``."""
        urlopen(f"{self.url}/internal/force_flush").close()
        query = urlencode({"match[]": '{device!=""}'})
        with urlopen(f"{self.url}/api/v1/export?{query}") as answer:
            found = [json.loads(line) for line in answer]
        return [
            (
                each["metric"]["__name__"],
                each["metric"]["device"],
                dict(zip(each["timestamps"], each["values"], strict=True)),
            )
            for each in found
        ]


class VictoriaLogs(Process):
    """VictoriaLogs, which takes what Loki takes at ``url``, and what Splunk's collector takes at ``collector``."""

    def __init__(self, folder):
        program = HOME / "victorialogs" / "victorialogs"
        if not program.exists():
            missing("VictoriaLogs is not built; tests/install-peers large builds it")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.collector = self._place = f"http://127.0.0.1:{self.port}"
        self.url = f"{self._place}/insert"
        super().__init__(
            [program, f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y",
             "-memory.allowedBytes=128MB", "-loki.disableMessageParsing"],
            folder / "victorialogs.log",
        )  # fmt: skip

    def ready(self):
        return accepts(self.port)

    def found(self):
        """All that it has."""
        urlopen(f"{self._place}/internal/force_flush").close()
        query = urlencode({"query": "*", "limit": 10_000})
        with urlopen(f"{self._place}/select/logsql/query?{query}") as answer:
            return [json.loads(line) for line in answer]

    def lines(self):
        """All lines: ``(device, type, time, text)``."""
        return [(each.get("device", ""), each["type"], each["_time"], each["_msg"]) for each in self.found()]
