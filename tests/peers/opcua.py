"""A real OPC UA server: asyncua's, on a loop of its own, which a test may stop, freeze and start again."""

from __future__ import annotations

import asyncio
import datetime
import tempfile
import time
from pathlib import Path

from asyncua import Server, ua
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.defer import CancelledError

from iotgw.connect.asyncio_thread import AsyncioThread

from .process import free_port

SPACE = "urn:plant"
KINDS = {
    "speed": 0.0, "count": ua.Variant(1, ua.VariantType.Int16), "name": "pump", "on": False,
    "raw": b"\x01\x02", "when": datetime.datetime(2026, 1, 1), "list": [1.0, 2.0],
}  # fmt: skip


def certificate(uri, host="127.0.0.1", has_usages=True):
    """A self-signed certificate and its key as PEM text, with the URI and the usages that OPC UA wants; without ``has_usages`` only that
    for signatures."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uri)])
    now = datetime.datetime.now(datetime.UTC)
    usages = x509.KeyUsage(
        digital_signature=True, content_commitment=has_usages, key_encipherment=has_usages, data_encipherment=has_usages,
        key_agreement=False, key_cert_sign=True, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    names = [x509.UniformResourceIdentifier(uri), x509.DNSName(host)]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usages, critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return built.public_bytes(Encoding.PEM).decode(), private.decode()


async def _stopped(server):
    """Stop a server, which doesn't end where a client comes just then: it is left alone after some seconds."""
    stopping = asyncio.ensure_future(server.stop())
    await asyncio.wait((stopping,), timeout=5.0)
    if not stopping.done():
        stopping.cancel()


class OpcuaServer:
    """An async context manager. Objects ``Line1`` and ``Line2`` below a folder ``Plant``; ``calls`` are the arguments of each call of
    ``Line1``'s method ``double``. ``own`` is the server's certificate and key."""

    def __init__(self, own=None):
        self.port = free_port()
        self.own = own
        self.calls = []
        self.thread = AsyncioThread(reactor)
        self.server = None

    @property
    def url(self):
        return f"opc.tcp://127.0.0.1:{self.port}/plant"

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *exc):
        await self.stop()

    async def start(self):
        self._life = self.thread.run(asyncio.Event().wait()).addErrback(
            lambda failure: failure.trap(CancelledError)
        )
        await self.thread.run(self._start())

    async def stop(self):
        server, self.server = self.server, None
        if server is not None:
            await self.thread.run(_stopped(server))
        self._life.cancel()
        await self._life

    def freeze(self, seconds):
        """Answer nothing for some time; the connections stay."""
        self.thread.call(time.sleep, seconds)

    async def write(self, line, name, value, status=ua.StatusCodes.Good, source=None):
        """As the plant does."""
        node = self.nodes[line, name]
        variant = value if isinstance(value, ua.Variant) else ua.Variant(value, self.types[line, name])
        now = datetime.datetime.now(datetime.UTC)
        said = ua.DataValue(variant, ua.StatusCode(status), source or now, now)
        await self.thread.run(self.server.write_attribute_value(node.nodeid, said))

    async def read(self, line, name):
        return await self.thread.run(self.nodes[line, name].read_value())

    async def _start(self):
        self.server = server = Server()
        await server.init()
        server.set_endpoint(self.url)
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        if self.own is not None:
            await server.set_application_uri("urn:server")
            with tempfile.TemporaryDirectory() as folder:
                certificate, key = Path(folder) / "server.pem", Path(folder) / "server-key.pem"
                certificate.write_text(self.own[0])
                key.write_text(self.own[1])
                await server.load_certificate(certificate)
                await server.load_private_key(key)
            server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
        space = await server.register_namespace(SPACE)
        plant = await server.nodes.objects.add_folder(ua.NodeId("plant", space), "Plant")
        self.nodes, self.types = {}, {}
        for line in ("Line1", "Line2"):
            thing = await plant.add_object(ua.NodeId(line, space), line)
            for name, value in KINDS.items():
                id_ = ua.NodeId(f"{line}.{name}", space)
                node = await thing.add_variable(id_, name, value)
                await node.set_writable()
                self.nodes[line, name] = node
                self.types[line, name] = await node.read_data_type_as_variant_type()
            fixed = await thing.add_variable(ua.NodeId(f"{line}.fixed", space), "fixed", 7)
            self.nodes[line, "fixed"] = fixed
            self.types[line, "fixed"] = ua.VariantType.Int64
            await thing.add_property(ua.NodeId(f"{line}.serial", space), "serial", "S-1")
            double = ua.VariantType.Double
            await thing.add_method(
                ua.NodeId(f"{line}.double", space), "double", self._double, [double], [double]
            )
        await server.start()

    async def _double(self, parent, value):
        self.calls.append(value.Value)
        return [ua.Variant(value.Value * 2, ua.VariantType.Double)]
