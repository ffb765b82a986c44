"""The gateway as its user runs it: ``twistd iotgw`` in a process of its own, managed over its API."""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

from .dropped import WORDS
from .patience import HANGS
from .process import Process, free_port, wait_until

ROOT = Path(__file__).parents[2]


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)


def request(method, url, body=None, headers=None, timeout=HANGS):
    """One HTTP request; an error status is a response, not an exception."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    headers = dict(headers or {})
    if data is not None:
        headers.setdefault("Content-Type", "application/json")
    asked = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=timeout) as answer:
            return Response(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Response(error.code, error.headers, error.read())


class Gateway(Process):
    """A gateway with its data under ``folder``; it starts without any resource unless ``resources`` is a
    TOML text. ``network`` is a `tests.peers.network.Network` that it lives in; ``options``
    are further ones of ``twistd iotgw``."""

    def __init__(self, folder, resources="", settings="", twistd=None, env=None, network=None, options=()):
        self._host = "127.0.0.1" if network is None else network.near
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.port = free_port()
        (self.folder / "resources.toml").write_text(resources)
        self.config = self.folder / "iotgw.toml"
        top, _, tables = settings.partition("[")
        self.config.write_text(
            f'data-dir = "{self.data}"\napi = "tcp:{self.port}:interface={self._host}"\n{top}'
            + (f"[{tables}" if tables else "")
        )
        command = [twistd] if twistd else [sys.executable, "-c", _TWISTD]
        command = [*(network.command if network is not None else []), *command]
        super().__init__(
            [*command, "--nodaemon", "--pidfile=", "iotgw", "--config", self.config, *options],
            self.folder / "gateway.log",
            env={"PYTHONUNBUFFERED": "1", **({} if twistd else {"PYTHONPATH": str(ROOT)}), **(env or {})},
            cwd=self.folder,
        )

    def __exit__(self, *exc):
        super().__exit__(*exc)
        if exc[0] is None:
            assert WORDS not in self.output, self.output[self.output.index(WORDS) :][:4000]

    @property
    def url(self):
        return f"http://{self._host}:{self.port}"

    def ready(self):
        try:
            return request("GET", f"{self.url}/health/ready").status == 200
        except OSError:
            return False

    @property
    def token(self):
        return (self.data / "admin-token").read_text().strip()

    def api(self, method, path, body=None, headers=None):
        """A call of the API with the admin's token."""
        return request(
            method,
            f"{self.url}/api/v1{path}",
            body,
            {"Authorization": f"Bearer {self.token}", **(headers or {})},
        )

    def create(self, kind, **body):
        """Make a resource and return it; it must be accepted."""
        answer = self.api("POST", f"/{kind}", body)
        assert answer.status == 201, (answer.status, answer.body)
        return answer.json

    def post(self, key, body, headers=None, path=""):
        """An uplink over HTTP."""
        return request("POST", f"{self.url}/i/{key}{path}", body, headers)

    def messages(self, **query):
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return self.api("GET", f"/messages?{text}").json["items"]

    def all_messages(self, **query):
        """Every message, newest first, page by page."""
        found, before = [], ""
        while True:
            text = "&".join(
                f"{name}={value}" for name, value in {"limit": 1000, **query, **before_(before)}.items()
            )
            page = self.api("GET", f"/messages?{text}").json
            found += page["items"]
            before = page["next"]
            if not before:
                return found

    def message_when(self, state, seconds=20, **query):
        """The newest message as soon as it is in ``state``."""

        def there():
            items = self.messages(**query)
            return items[0] if items and items[0]["state"] == state else None

        return wait_until(there, seconds, f"a message that is {state}")


def before_(mark):
    return {"before": mark} if mark else {}


_TWISTD = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"
