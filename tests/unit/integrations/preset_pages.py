"""What a preset's page shows, and what its integration sends.

A page has the command that adds the integration, and one block of text per request or PUBLISH that it makes of `MESSAGE`.
"""

import json
import re
import shlex
from pathlib import Path

from iotgw.core.epochs import Epochs
from iotgw.core.parts import PartEpochs
from iotgw.core.specs import IntegrationSpec
from iotgw.core.validate import convert
from iotgw.delivery.splitting import Pieces
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.payload import formatter
from iotgw.integrations.template import Template, for_topic
from iotgw.testing import telemetry

from .http_world import HttpWorld

PAGES = Path(__file__).parents[3] / "docs" / "integrations" / "presets"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.S | re.M)
SHOWN = ("Authorization", "Content-Type", "X-Auth-Token", "X-Scope-OrgID", "NGSILD-Tenant")


def message():
    """The message of the index page."""
    text = next(text for kind, text in BLOCK.findall((PAGES / "index.md").read_text()) if kind == "json")
    return json.dumps(json.loads(text)).encode()


def blocks(name, kind):
    return [text for each, text in BLOCK.findall((PAGES / f"{name}.md").read_text()) if each == kind]


def answers(name):
    """Preset and answers of the page's command."""
    (command,) = blocks(name, "sh")
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:3] == ["iotgwctl", "integration", "add"]
    given = [words[at + 1] for at, word in enumerate(words) if word == "--answer"]
    return words[words.index("--preset") + 1], dict(each.split("=", 1) for each in given)


def world(spec, says):
    """An integration of a spec, as `IntegrationRoutes.check` would save it, on a server that answers ``says``, and gives a token to who asks."""
    how = convert({**spec, "name": "one"}, IntegrationSpec)
    more = {"template": how.template} if "template" in spec else {}

    def answer(head, body):
        return (200, {"access_token": "t0ken", "expires_in": 60}) if wants_token(head) else says(head, body)

    return HttpWorld(answer, configuration=how.configuration, format=how.format, split=how.split, **more)


def wants_token(head):
    """Whether a request is for a token of OAuth 2.0."""
    return "/openid-connect/token " in head


def requests(made):
    """The requests that a world has seen, as pages show them, without those for tokens."""
    found = []
    for head, body in made.requests:
        if wants_token(head):
            continue
        first, *headers = head.splitlines()
        shown = [line for line in headers if line.split(":")[0] in SHOWN]
        found.append(
            "\n".join([first.removesuffix(" HTTP/1.1"), *shown, "", body.decode().rstrip("\n")]) + "\n"
        )
    return found


def published(spec, body):
    """What an MQTT integration publishes of a message, as pages show it."""
    how = convert({**spec, "name": "one"}, IntegrationSpec)
    names = RecordNames(PartEpochs(Epochs("E"), how.split), lambda id_: "src")
    topic = Template(how.configuration["topic"], "configuration.topic", names, for_topic)
    make = formatter(how, names)
    record = telemetry(1, "SN-001", "meter", body=body)
    pieces = Pieces(record, how.split, frozenset(how.route.wants))
    found = []
    for part in pieces:
        retained = " (retained)" if how.configuration.get("retain") else ""
        found.append(f"PUBLISH {topic.text(part)}{retained}\n\n{make(part).decode()}\n")
    return found
