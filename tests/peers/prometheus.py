"""A real Prometheus (Debian's), which scrapes every second."""

import json
import math
from urllib.parse import urlencode
from urllib.request import urlopen

from .process import Process, find, free_port

CONFIGURATION = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: iotgw
    authorization: {{credentials_file: {token}}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus(Process):
    """Scrapes a gateway as one of its tokens' owner, and evaluates ``rules``."""

    def __init__(self, folder, gateway, rules):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        token = gateway.data / "admin-token"
        configuration = CONFIGURATION.format(rules=rules, token=token, port=gateway.port)
        (folder / "prometheus.yml").write_text(configuration)
        super().__init__(
            [find("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            folder / "prometheus.log",
        )  # fmt: skip

    def ready(self):
        try:
            with urlopen(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        except OSError:
            return False

    def api(self, path, **query):
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(query)}") as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        """What an expression gives now: labels and value of each sample that is a number."""
        found = self.api("query", query=expression)["result"]
        return [(each["metric"], value) for each in found if not math.isnan(value := float(each["value"][1]))]
