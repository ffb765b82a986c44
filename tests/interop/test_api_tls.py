"""The API over HTTPS, with files that are renewed while it is running."""

import json
import shutil
import socket
import ssl
import subprocess
import sys

import pytest

from tests.certificates import Authority
from tests.peers.gateway import ROOT, Gateway
from tests.peers.patience import HANGS
from tests.peers.process import wait_until


class Certified(Gateway):
    """A gateway with `[tls]`, whose files are in its directory of certificates."""

    def __init__(self, folder, authority):
        super().__init__(folder, settings='[tls]\ncertificate = "front.pem"\nkey = "front.key"\n')
        self.authority = authority
        self.certificates = self.data / "certificates"
        self.certificates.mkdir(parents=True)
        self.trusted = folder / "ca.pem"
        self.trusted.write_bytes(authority.pem())

    def install(self, *what):
        issued = self.authority.issue("localhost")
        for name, text in (("front.key", issued.key_pem()), ("front.pem", issued.pem())):
            if name in what:
                (self.certificates / name).write_bytes(text)
        return issued

    def open(self):
        context = ssl.create_default_context(cafile=self.trusted)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=HANGS)
        return context.wrap_socket(plain, server_hostname="localhost")

    def serial(self):
        """The number of the certificate that a new connection gets."""
        from cryptography import x509

        with self.open() as connection:
            return x509.load_der_x509_certificate(connection.getpeercert(True)).serial_number

    def ready(self):
        try:
            with self.open() as connection:
                return ask(connection, "/health/ready").startswith(b"HTTP/1.1 200")
        except OSError:
            return False


def ask(connection, path):
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection.recv(65536)


@pytest.fixture
def gateway(tmp_path):
    gateway = Certified(tmp_path / "gateway", Authority())
    gateway.install("front.pem", "front.key")
    issued = gateway.install("front.key", "front.pem")
    with gateway.start():
        assert gateway.serial() == issued.certificate.serial_number
        yield gateway


def test_renewed_files_are_used_for_new_connections_and_old_ones_go_on(gateway):
    old = gateway.serial()
    with gateway.open() as connection:
        assert b" 200 " in ask(connection, "/health/live")
        renewed = gateway.install("front.key", "front.pem").certificate.serial_number
        wait_until(lambda: gateway.serial() == renewed, 30, "the renewed certificate")
        assert renewed != old
        assert b" 200 " in ask(connection, "/health/live"), "it was open before"
    events = run(gateway, "events", "--type", "certificate", "--json")
    assert "the certificate was reloaded" in events


def test_a_key_that_doesn_t_fit_leaves_the_old_certificate_in_use(gateway):
    old = gateway.serial()
    gateway.install("front.key")
    wait_until(lambda: "stays in use" in run(gateway, "events", "--type", "certificate", "--json"), 30)
    assert gateway.serial() == old
    shutil.rmtree(gateway.certificates)
    assert gateway.serial() == old


def run(gateway, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "iotgw.ctl.main", *arguments],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "IOTGW_URL": f"https://localhost:{gateway.port}",
             "IOTGW_TOKEN": gateway.token, "SSL_CERT_FILE": str(gateway.trusted)},
        capture_output=True, text=True, timeout=HANGS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.dumps(done.stdout)


def test_a_start_without_a_usable_certificate_is_refused_in_one_line(tmp_path):
    gateway = Certified(tmp_path / "gateway", Authority())
    gateway.launch()
    assert gateway.wait_for_end() == 1
    assert "tls.certificate: expected certificates" in gateway.output
    assert "Traceback" not in gateway.output
