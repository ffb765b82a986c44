"""The ``configuration`` of a datasource or an integration as it is saved, shown and compared: its secrets follow its
type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from iotgw.core.destination import to_keep
from iotgw.core.errors import SettingsError
from iotgw.core.ports.reactor import InThread
from iotgw.core.ports.registry import IRegistry
from iotgw.core.redaction import hidden
from iotgw.core.secrets import Vault, all_masked, clear_secrets, masked, revealed, sealed
from iotgw.core.specs import DatasourceSpec, IntegrationSpec, Resource
from iotgw.core.types import T, Types


async def looked_at(
    in_thread: InThread,
    types: Types[T],
    spec: DatasourceSpec | IntegrationSpec,
    stored: Resource | None,
    registry: IRegistry,
) -> Resource | None:
    """Have a configuration looked at in a thread, before it is judged in the reactor's: what takes long in that, such as the expressions of a
    preset, is remembered. Returns what is stored now in the place of ``stored``; raises NotFound."""
    template = spec.template if isinstance(spec, IntegrationSpec) else None
    await in_thread(types.look_at, spec.type, spec.configuration, template)
    return None if stored is None else registry.get(stored.kind, stored.id, stored.tenant)


def sealed_configuration(
    types: Types[T], spec: DatasourceSpec | IntegrationSpec, stored: Resource | None, vault: Vault
) -> dict[str, Any]:
    """The configuration as it may be saved, of a spec that comes in the place of a stored one; raises SettingsError.

    It is judged with the secrets that its masks stand for: a connection string says what a mask can't.
    """
    settings = types.get(spec.type).settings
    before: Any = None
    if stored is not None and stored.body["type"] == spec.type:
        before = stored.body.get("configuration")
    configuration: dict[str, Any] = sealed(spec.configuration, settings, vault, before, "configuration")
    clear = revealed(configuration, settings, vault.unseal)
    try:
        types.configure(spec.type, clear)
    except SettingsError as error:
        told = hidden(error.problem, clear_secrets(before, settings, vault.unseal))
        raise SettingsError(error.path, told, error.is_secret) from None
    if before is not None and (kept := to_keep(clear, before, settings, vault.unseal)) is not before:
        sealed(spec.configuration, settings, vault, kept, "configuration")  # raises where there is a mask
    return configuration


def with_masked_configuration(
    types: Types[T], body: dict[str, Any], unseal: Callable[[str], str]
) -> dict[str, Any]:
    """A stored body whose configuration has its secrets masked, even when its type is not installed any more."""
    configuration = body.get("configuration", {})
    try:
        shown = masked(configuration, types.get(body["type"]).settings, unseal)
    except SettingsError:
        shown = all_masked(configuration)
    return {**body, "configuration": shown}


def with_clear_configuration(
    types: Types[T], body: dict[str, Any], unseal: Callable[[str], str]
) -> dict[str, Any]:
    """A stored body whose configuration has its secrets in the clear."""
    settings = types.get(body["type"]).settings
    return {**body, "configuration": revealed(body["configuration"], settings, unseal)}
