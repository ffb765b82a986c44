"""The resources file of a campaign's gateway: all datasources, their converter and key, and the integrations."""

import json

from .sources import BURST, SCRIPT, SOURCES

IDENTITY, SECRET = "field", "correct horse battery staple"


def configuration(source, ports):
    if source.type == "http":
        return {}
    if source.type == "mqtt":
        return {"host": "127.0.0.1", "port": ports["broker"], "topics": ["devices/+/up"]}
    where = {"interface": "127.0.0.1", "port": ports[source.port]}
    if source.name == "coaps":
        return {"interface": "127.0.0.1", "securityMode": "DTLS", "securePort": ports["coaps"]}
    if source.type in ("tcp", "udp"):
        where["handler"] = {"type": "JSON"}
    elif source.type.endswith("-coap"):
        where["path"] = source.path.split("/")[1]
    elif source.type == "tekelek":
        where["linger"] = 0.0
    return where


def text(ports, targets, overflow, when_away="auto", single=()):
    """The file, as TOML. ``overflow`` is what the integrations do when there is no more room; ``when_away`` that of all datasources.
    Those called in ``single`` are delivered to by one node."""
    parts = [
        table("converter", name="campaign", type="UPLINK", script=SCRIPT),
        table("credential", name="field", identity=IDENTITY, secrets=[{"value": SECRET}]),
    ]
    parts += (
        table("datasource", name=source.name, type=source.type, converter="campaign",
              **({"routingKey": source.key} if source.key else {}),
              **({"whenAway": when_away} if when_away != "auto" else {}),
              configuration=configuration(source, ports))
        for source in (*SOURCES.values(), BURST)
    )  # fmt: skip
    parts += (
        table(
            "integration",
            name=name,
            type=type,
            configuration=settings,
            retry={"initial": 0.1, "cap": 1.0},
            queue={"overflow": overflow},
            **({"single": True} if name in single else {}),
        )
        for name, type, settings in targets
    )
    return "\n".join(parts)


def names(targets):
    """What a first start has made of the file: the collections, and the names in each."""
    return {
        "converters": {"campaign"},
        "credentials": {"field"},
        "datasources": {*SOURCES, BURST.name},
        "integrations": {name for name, _, _ in targets},
    }


def table(kind, **values):
    return f"[[{kind}]]\n" + "".join(f"{name} = {value(of)}\n" for name, of in values.items())


def value(of):
    if isinstance(of, dict):
        return "{ " + ", ".join(f"{name} = {value(each)}" for name, each in of.items()) + " }"
    if isinstance(of, list):
        return "[" + ", ".join(map(value, of)) + "]"
    return json.dumps(of)
