"""A registry for tests of credentials: short words for what the API does."""

from iotgw.core.credential import KIND
from iotgw.testing import MemoryRegistry, fired, save_credential


class Registry(MemoryRegistry):
    def put(self, name, tenant="default", **body):
        """Save a credential, new or in the place of the one of that name."""
        return fired(save_credential(self, name, tenant, **body))

    def drop(self, name):
        """Delete one by its name."""
        fired(self.delete(KIND, self.get(KIND, name).id))
