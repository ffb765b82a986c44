"""What a package of yours needs to bring a type of datasource or integration: one module to import from."""

from __future__ import annotations

from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.ports.integrations import IntegrationContext
from iotgw.core.secrets import Secret
from iotgw.core.types import Type, Types
from iotgw.core.validate import convert

__all__ = ["DatasourceContext", "IntegrationContext", "Secret", "Type", "Types", "convert"]
