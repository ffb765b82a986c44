"""`/openapi.json`: the description of the API, made from its routes and the Structs they name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from iotgw import __version__
from iotgw.api.auth import Permission
from iotgw.api.form_hints import describe
from iotgw.api.routes import OCTETS, Call, Reply, Route
from iotgw.core.ports.datasources import IDatasourceType
from iotgw.core.ports.integrations import IIntegrationType
from iotgw.core.types import Types

_REF = "#/components/schemas/{name}"
_VARIABLE = re.compile(r"<(?:path:)?(\w+)>")
_PATH = {
    "name": "Its name, percent-encoded; its id does where it has one.",
    "id": "Its id.",
    "number": "The version's number.",
    "device": "The device's name, percent-encoded.",
    "position": "The position of the dead letter, as the list has it.",
}
_IF_MATCH = "The entity tag (`ETag`) that it must still have: a change that came between is answered by 412."


class OpenApiRoutes:
    """The route of the description; ``routes`` are all the others."""

    def __init__(
        self,
        datasource_types: Types[IDatasourceType],
        integration_types: Types[IIntegrationType],
        routes: Sequence[Route],
    ) -> None:
        self._datasource_types = datasource_types
        self._integration_types = integration_types
        self._routes = routes
        self._text = b""

    def routes(self) -> list[Route]:
        """One."""
        summary = "This description"
        return [Route("GET", "/openapi.json", Permission.NONE, self.read, summary, answer=dict)]

    async def read(self, call: Call) -> Reply:
        """The document; it doesn't change while the process runs."""
        if not self._text:
            self._text = msgspec.json.format(msgspec.json.encode(self.document()))
        return Reply(content=self._text)

    def document(self) -> dict[str, Any]:
        """OpenAPI 3.1."""
        settings = {
            "datasource": {type_.name: type_.settings for type_ in self._datasource_types},
            "integration": {type_.name: type_.settings for type_ in self._integration_types},
        }
        structs = [
            each for route in self._routes for each in (*_structs(route.body), *_structs(route.answer))
        ]
        structs += [struct for of_kind in settings.values() for struct in of_kind.values()]
        unique = list(dict.fromkeys(structs))
        references, components = msgspec.json.schema_components(unique, ref_template=_REF)
        schema_of = dict(zip(unique, references, strict=True))
        components["Problem"] = _PROBLEM
        self._describe_types(components, schema_of, settings)
        describe(components)
        for route in self._routes:
            if isinstance(route.answer, tuple):
                schema_of[route.answer] = _joined(route.answer, components)
        paths: dict[str, Any] = {}
        for route in self._routes:
            path = "/api/v1" + _VARIABLE.sub(r"{\1}", route.path)
            paths.setdefault(path, {})[route.method.lower()] = _operation(route, schema_of)
        return {
            "openapi": "3.1.0",
            "info": {"title": "iotgw", "version": __version__, "license": {"name": "MIT"}},
            "security": [{"token": []}],
            "paths": dict(sorted(paths.items())),
            "components": {
                "schemas": dict(sorted(components.items())),
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
        }

    @staticmethod
    def _describe_types(
        components: dict[str, Any], schema_of: dict[Any, Any], settings: dict[str, dict[str, Any]]
    ) -> None:
        """What ``configuration`` may be, by ``type``."""
        for kind, of_kind in settings.items():
            properties = components[f"{kind.capitalize()}Spec"]["properties"]
            properties["type"] = {**properties["type"], "type": "string", "enum": sorted(of_kind)}
            if of_kind:
                choices = [{"title": name, **schema_of[struct]} for name, struct in sorted(of_kind.items())]
                properties["configuration"] = {
                    "anyOf": choices,
                    "description": properties["configuration"].get("description", "by type"),
                    "x-by-type": {
                        name: schema_of[struct]["$ref"] for name, struct in sorted(of_kind.items())
                    },
                }


def _structs(of: Any) -> tuple[Any, ...]:
    if of is None or of in (dict, bytes):
        return ()
    return of if isinstance(of, tuple) else (of,)


def _schema(of: Any, schema_of: dict[Any, Any]) -> dict[str, Any]:
    if of is dict:
        return {"type": "object"}
    schema: dict[str, Any] = schema_of[of]
    return schema


def _joined(structs: tuple[Any, ...], components: dict[str, Any]) -> dict[str, Any]:
    """A reference to the object that has what all of these have, and may have more."""
    parts = [components[struct.__name__] for struct in structs]
    name = structs[0].__name__.removesuffix("Spec") + "View"
    components[name] = {
        "title": name,
        "type": "object",
        "properties": {key: value for part in parts for key, value in part["properties"].items()},
        "required": list(dict.fromkeys(key for part in parts for key in part.get("required", ()))),
    }
    return {"$ref": _REF.format(name=name)}


def _operation(route: Route, schema_of: dict[Any, Any]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATH.get(name, ""),
            "schema": {"type": "string"},
        }
        for name in _VARIABLE.findall(route.path)
    ]
    for query in route.queries:
        parameters.append(
            {"name": query.name, "in": "query", "description": query.description, "schema": query.schema}
        )
    if route.method in ("PUT", "PATCH", "DELETE"):
        parameters.append(
            {"name": "If-Match", "in": "header", "description": _IF_MATCH, "schema": {"type": "string"}}
        )
    good: dict[str, Any] = {"description": "done"}
    if content := _content("application/json", route.answer, route.answer_text, schema_of):
        good["content"] = content
    operation: dict[str, Any] = {
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [route.path.split("/")[1]],
        "responses": {
            str(route.status): good,
            **({"201": good} if route.may_create else {}),
            "default": _PROBLEM_RESPONSE,
        },
    }
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {"content": _taken(route, schema_of)}
    if route.needs is Permission.NONE:
        operation["security"] = []
    else:
        operation["description"] = f"Needs the permission `{route.needs.value}`."
    return operation


def _taken(route: Route, schema_of: dict[Any, Any]) -> dict[str, Any]:
    """What may be in an operation's body."""
    if route.body is bytes:
        return {OCTETS: {"schema": {"type": "string", "format": "binary"}}}
    kind = "application/merge-patch+json" if route.method == "PATCH" else "application/json"
    return _content(kind, route.body, route.body_text, schema_of)


def _content(kind: str, of: Any, text: str, schema_of: dict[Any, Any]) -> dict[str, Any]:
    """What may be in a body: something in JSON, or a text of another media type."""
    found: dict[str, Any] = {} if of is None else {kind: {"schema": _schema(of, schema_of)}}
    return {**found, text: {"schema": {"type": "string"}}} if text else found


def operation_id(route: Route) -> str:
    """A unique name of an operation: ``postConvertersNameTest``."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+", route.path.replace("path:", "")) if word]
    return route.method.lower() + "".join(word[:1].upper() + word[1:] for word in words)


_PROBLEM = {
    "title": "Problem",
    "description": "RFC 9457",
    "type": "object",
    "required": ["title", "status"],
    "properties": {
        "type": {"type": "string", "description": "A URI that names the kind of problem."},
        "title": {"type": "string", "description": "The kind of problem in words."},
        "status": {"type": "integer", "description": "The status of the answer."},
        "detail": {"type": "string", "description": "What was expected, and what came."},
        "errors": {
            "description": "What is wrong with single fields: the path of each, and its problem.",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "problem": {"type": "string"}, "value": {}},
            },
        },
    },
}
_PROBLEM_RESPONSE = {
    "description": "why not",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
