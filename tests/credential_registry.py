"""A registry of credentials in memory."""

from iotgw.core.credential import KIND, CredentialSpec
from iotgw.core.secrets import sealed
from iotgw.core.specs import Resource
from iotgw.core.validate import convert


class Registry:
    """What `Credentials` needs of a registry; a secret is sealed by turning it round."""

    def __init__(self):
        self.resources = {}
        self.callbacks = []

    @staticmethod
    def seal(text):
        return "sealed:" + text[::-1]

    @staticmethod
    def unseal(text):
        assert text.startswith("sealed:")
        return text[7:][::-1]

    def list(self, kind, tenant=None):
        assert kind == KIND
        return list(self.resources.values())

    def watch(self, kind, callback):
        self.callbacks.append(callback)

    def put(self, name, tenant="default", **body):
        old = self.resources.get(name)
        body = {"type": "psk", "identity": name, **body}
        convert({**body, "name": name}, CredentialSpec)
        body = sealed(body, CredentialSpec, self.seal)
        new = self.resources[name] = Resource(KIND, "id-" + name, tenant, name, 1, 0, 0, body)
        for callback in self.callbacks:
            callback(old, new)

    def delete(self, name):
        old = self.resources.pop(name)
        for callback in self.callbacks:
            callback(old, None)
