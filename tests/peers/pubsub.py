"""Google's own fake of Pub/Sub, with the paths of its REST API, in a process of its own. What it holds outlives it."""

import base64
import json
from pathlib import Path

from .gateway import request
from .process import Process, accepts, free_port, missing

HOME = Path(__file__).parent / "pubsubserver" / "pubsubserver"


class Pubsub(Process):
    """``url`` is where it is, ``project`` the only project."""

    project = "plant"

    def __init__(self, folder, host="127.0.0.1"):
        self._host = host
        if not HOME.exists():
            missing("the Pub/Sub server isn't built; tests/install-peers large builds it")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        super().__init__([HOME, f"{host}:{self.port}", folder / "pubsub.jsonl"], folder / "pubsub.log")

    def ready(self):
        return accepts(self.port, self._host)

    @property
    def url(self):
        return f"http://{self._host}:{self.port}"

    @property
    def place(self):
        return {"project": self.project, "endpoint": self.url}

    def call(self, method, path, body=None):
        answer = request(method, f"{self.url}/v1/projects/{self.project}/{path}", body)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def subscribe(self, name, ordered=False):
        """A topic, and a subscription with its name."""
        self.call("PUT", f"topics/{name}", {})
        topic = f"projects/{self.project}/topics/{name}"
        wanted = {"topic": topic, "ackDeadlineSeconds": 10, "enableMessageOrdering": ordered}
        self.call("PUT", f"subscriptions/{name}", wanted)
        return name

    def publish(self, topic, *bodies, **more):
        messages = [{"data": base64.b64encode(body).decode(), **more} for body in bodies]
        return self.call("POST", f"topics/{topic}:publish", {"messages": messages})["messageIds"]

    def receive(self, subscription, enough):
        """The messages of a subscription, acknowledged, until ``enough(messages)``; ``data`` are bytes."""
        found = []
        while not enough(found):
            said = self.call("POST", f"subscriptions/{subscription}:pull", {"maxMessages": 1000})
            some = said.get("receivedMessages", [])
            found += [{**each["message"], "data": base64.b64decode(each["message"]["data"])} for each in some]
            if some:
                acks = {"ackIds": [each["ackId"] for each in some]}
                self.call("POST", f"subscriptions/{subscription}:acknowledge", acks)
        return found
