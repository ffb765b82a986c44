"""`iotgwctl datasource add`: asks what a platform's datasource needs, saves it, and prints what to type in there."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from getpass import getpass
from typing import Any

from iotgw.core.secrets import SECRET_NAME
from iotgw.ctl.client import CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.table import printable

PLACES = ("server", "loginServer")


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("datasource", _add, "add a datasource for a platform, asking for what is missing")
    parser.add_argument("what", choices=("add",))
    parser.add_argument("--preset", default="", help="the platform, such as the-things-stack")
    parser.add_argument("--type", default="", choices=("http", "mqtt"), help="how it sends (http)")
    parser.add_argument("--name", default="", help="the datasource's name")
    parser.add_argument("--converter", help="the converter's name; none only stores")
    parser.add_argument(
        "--public", default="", metavar="URL", help="the gateway's URL as the platform sees it"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE",
        help="an answer given before it is asked for: host, secret, username, server, token, …",
    )  # fmt: skip


class Questions:
    """What is asked at a terminal, and what was answered before."""

    def __init__(
        self, given: dict[str, str], ask: Callable[[str], str], ask_hidden: Callable[[str], str]
    ) -> None:
        self._given = given
        self._ask = ask
        self._ask_hidden = ask_hidden

    def text(self, name: str, question: str, default: str = "") -> str:
        """An answer; the default for an empty one."""
        if name in self._given:
            return self._given[name]
        hint = f" [{default}]" if default else ""
        ask = self._ask_hidden if SECRET_NAME.search(name) else self._ask
        return ask(f"{question}{hint}: ").strip() or default

    def needed(self, name: str, question: str) -> str:
        """An answer that must not be empty."""
        found = self.text(name, question)
        if not found:
            raise CtlError(f"{name}: expected an answer")
        return found


def _add(context: Context) -> None:
    options = context.options
    given = {}
    for each in options.set:
        name, sign, value = each.partition("=")
        if not sign or not name:
            raise CtlError(f"--set: expected NAME=VALUE, got {each!r}")
        given[name] = value
    if sys.stdin.isatty():
        questions = Questions(given, input, getpass)
    else:
        questions = Questions(given, lambda question: "", lambda question: "")
    about = _chosen(context, questions)
    name = options.name or questions.text("name", "Name of the datasource", about["name"])
    converter = options.converter
    if converter is None:
        converter = questions.text("converter", "Converter (empty: messages are only stored)")
    configuration, told = configuration_of(about, questions)
    body: dict[str, Any] = {"name": name, "type": about["type"], "configuration": configuration}
    if converter:
        body["converter"] = converter
    made = context.client.call("POST", "/datasources", body)
    context.show({**made, "proof": told}, lambda made: _text(made, told, options.public or options.url))


def _chosen(context: Context, questions: Questions) -> dict[str, Any]:
    options = context.options
    type_ = options.type or "http"
    known = {each["name"]: each for each in context.client.get("/presets")["items"] if each["type"] == type_}
    asked = f"Platform ({', '.join(known)})"
    name = options.preset or questions.text("preset", asked)
    if name not in known:
        raise CtlError(f"preset: expected one of {', '.join(known)}, got {name!r}")
    found: dict[str, Any] = known[name]
    return found


def configuration_of(about: dict[str, Any], questions: Questions) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings, and headers to type in on the platform's side, with secrets made just now."""
    made: dict[str, Any] = {"preset": about["name"]}
    told: dict[str, str] = {}
    if about["type"] == "mqtt":
        made["host"] = questions.needed("host", "The broker's host")
        made["username"] = questions.text("username", "User name at the broker")
        made["password"] = questions.text("password", "Password at the broker")
        if questions.text("tls", "TLS (yes or no)", "yes").lower().startswith("y"):
            made["tls"] = {}
        return made, told
    is_signed = about["proof"] == "signature"
    if is_signed and questions.text("signs", "It signs its requests (yes or no)", "yes").lower().startswith(
        "y"
    ):
        made["secret"] = questions.needed("secret", "The key with which the platform signs")
    elif about["proof"] == "basic":
        username = questions.text("username", "User name that the platform sends", "platform")
        password = secrets.token_urlsafe(24)
        made["security"] = {"mode": "basic", "username": username, "password": password}
        told = {"User name": username, "Password": password}
    else:
        token = secrets.token_urlsafe(24)
        made["security"] = {"mode": "bearer", "token": token}
        told = {"Authorization": f"Bearer {token}"}
    if about["api"]:
        server = questions.text("server", "URL of the platform's API, for downlinks (empty: none)")
        if server:
            made["downlinkApi"] = _api(about["api"], server, questions)
    return made, told


def _api(names: list[str], server: str, questions: Questions) -> dict[str, Any]:
    api: dict[str, Any] = {"server": server, "values": {}, "secrets": {}}
    for name in names:
        if name == "loginServer":
            api["loginServer"] = questions.needed(name, "URL of the server that gives tokens")
        elif name not in PLACES:
            kind = "secrets" if SECRET_NAME.search(name) else "values"
            api[kind][name] = questions.needed(name, f"The API's {name}")
    return api


def _text(made: dict[str, Any], told: dict[str, str], gateway: str) -> str:
    """What to paste, for people."""
    setup = made.get("setup")
    lines = [f"datasource {made['name']} is saved"]
    if setup:
        base = gateway.rstrip("/")
        lines += ["", "On the platform's side:", f"  URL: {setup['url'].replace('{gateway}', base)}"]
        lines += [f"  {name}: {text}" for name, text in told.items()]
        lines += [
            f"  {name}: {text.replace('{gateway}', base)}" for name, text in setup.get("fields", {}).items()
        ]
        if setup.get("note"):
            lines += ["", setup["note"]]
        if told:
            lines += ["", "The secret above is shown this once."]
    return "\n".join(map(printable, lines))
