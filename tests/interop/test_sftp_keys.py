"""Keys and certificates as OpenSSH, PuTTY and OpenSSL write them. They are made for the run."""

import subprocess

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)
from pytest_twisted import ensureDeferred

from iotgw.connect.ssh_keys import load_certificate, load_key
from iotgw.core.errors import SettingsError
from tests.peers.patience import HANGS
from tests.peers.process import find
from tests.peers.sshd import Sshd, make_key

from .delivering import Delivering
from .test_sftp_algorithms import configured

KINDS = ["ed25519", "ecdsa", "rsa"]
FORMATS = ["openssh", "pem", "pkcs8", "ppk2", "ppk3"]


def run(*args, **how):
    subprocess.run([find(args[0]), *map(str, args[1:])], check=True, timeout=HANGS, **how)


def written(folder, kind, format_, passphrase):
    """A private key as text, and its public one."""
    path = folder / f"key-{kind}"
    make_key(path, kind, passphrase if format_ == "openssh" else "")
    public = path.with_suffix(".pub").read_text().split()[1]
    if format_ == "openssh":
        return path.read_text(), public
    if format_.startswith("ppk"):
        (folder / "pass").write_text(passphrase)
        options = ["--ppk-param", f"version={format_[3]},memory=512,passes=2"]
        run("puttygen", path, "-o", folder / "key.ppk", *options, "--new-passphrase", folder / "pass")
        return (folder / "key.ppk").read_text(), public
    key = load_ssh_private_key(path.read_bytes(), None)
    traditional = format_ == "pem" and kind != "ed25519"
    sealed = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    form = PrivateFormat.TraditionalOpenSSL if traditional else PrivateFormat.PKCS8
    return key.private_bytes(Encoding.PEM, form, sealed).decode(), public


@pytest.mark.parametrize("passphrase", ["", "öffne dich"])
@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_read_in_every_format(tmp_path, kind, format_, passphrase):
    text, public = written(tmp_path, kind, format_, passphrase)
    for given in (text, f"\n {text}\n\n", text.replace("\n", "\r\n"), text.replace("\n", "\\n")):
        key = load_key(given, passphrase)
        assert key.public().toString("OPENSSH").split()[1].decode() == public
        signature = key.sign(b"data")
        assert key.public().verify(signature, b"data")
    if passphrase:
        for wrong in ("", "wrong"):
            with pytest.raises(SettingsError) as caught:
                load_key(text, wrong)
            assert caught.value.path == "configuration.passphrase"


@pytest.mark.parametrize("format_", ["openssh", "pkcs8"])
def test_a_key_on_one_line_is_read(tmp_path, format_):
    text, public = written(tmp_path, "ed25519", format_, "")
    key = load_key(" ".join(text.split("\n")), "")
    assert key.public().toString("OPENSSH").split()[1].decode() == public


def refused(text, passphrase=""):
    with pytest.raises(SettingsError) as caught:
        load_key(text, passphrase)
    said = str(caught.value)
    assert caught.value.is_secret
    assert not any(len(word) > 30 and word in said for word in text.split())
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_a_public_key_in_place_of_the_private_one_is_refused_with_a_sentence(tmp_path, kind):
    path = tmp_path / "key"
    make_key(path, kind)
    public = path.with_suffix(".pub").read_text()
    run("ssh-keygen", "-e", "-f", path.with_suffix(".pub"), stdout=(tmp_path / "rfc4716").open("wb"))
    for text in (
        public,
        (tmp_path / "rfc4716").read_text(),
        "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----",
    ):
        assert "this is a public key; expected the private one" in refused(text)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_key_that_is_damaged_is_refused_without_repeating_it(tmp_path, format_):
    text, _ = written(tmp_path, "ecdsa", format_, "")
    lines = text.split("\n")
    refused("\n".join(lines[:3]))
    refused("\n".join(lines[:-3]))
    refused("\n".join([*lines[:-4], lines[-4][::-1], *lines[-3:]]))


def test_a_key_that_would_take_long_to_open_is_refused(tmp_path):
    text, _ = written(tmp_path, "ed25519", "ppk3", "x")
    assert "too much" in refused(text.replace("Argon2-Passes: 2", "Argon2-Passes: 100000"), "x")
    path = tmp_path / "slow"
    run("ssh-keygen", "-q", "-t", "ed25519", "-a", "1", "-N", "x", "-f", path)
    import base64

    lines = path.read_text().split("\n")
    data = base64.b64decode("".join(lines[1:-2]))
    place = data.index(b"bcrypt") + len("bcrypt") + 4 + 4 + 16
    data = data[:place] + b"\xff\xff\xff\xff" + data[place + 4 :]
    body = base64.b64encode(data).decode()
    assert "rounds" in refused("\n".join([lines[0], body, lines[-2]]), "x")
    text, _ = written(tmp_path, "rsa", "pkcs8", "x")
    body = base64.b64decode("".join(text.split("\n")[1:-2]))
    place = body.index(b"\x02\x02\x08\x00")  # 2048 iterations
    inner = body[:place] + b"\x02\x04\x7f\xff\xff\xff" + body[place + 4 :]
    grown = "\n".join(["-----BEGIN ENCRYPTED PRIVATE KEY-----", base64.b64encode(inner).decode(),
                       "-----END ENCRYPTED PRIVATE KEY-----"])  # fmt: skip
    refused(grown, "x")


@pytest.mark.root
@pytest.mark.parametrize("kind", KINDS)
@ensureDeferred
async def test_a_certificate_logs_in(tmp_path, kind):
    make_key(tmp_path / "authority")
    make_key(tmp_path / "key", kind)
    sign = ["ssh-keygen", "-q", "-s", tmp_path / "authority", "-I", "iotgw", "-V", "+1h"]
    run(*sign, "-n", "root", tmp_path / "key.pub")
    certificate = (tmp_path / "key-cert.pub").read_text()
    key = (tmp_path / "key").read_text()
    with Sshd(tmp_path / "sshd", more=f"TrustedUserCAKeys {tmp_path}/authority.pub") as server:
        configuration = configured(server, privateKey=key, certificate=certificate)
        async with Delivering("sftp", configuration=configuration) as world:
            assert (await world.service.check("i1"))["ok"]
        without = configured(server, privateKey=key)
        async with Delivering("sftp", configuration=without) as world:
            assert not (await world.service.check("i1"))["ok"]
    loaded = load_key(key, "")
    assert load_certificate("", loaded) is None
    make_key(tmp_path / "other")
    for text, with_key in (
        (certificate, None), ("nonsense", loaded), ((tmp_path / "key.pub").read_text(), loaded),
        (certificate, load_key((tmp_path / "other").read_text(), "")),
    ):  # fmt: skip
        with pytest.raises(SettingsError) as caught:
            load_certificate(text, with_key)
        assert caught.value.path == "configuration.certificate"


@pytest.mark.root
@ensureDeferred
async def test_where_a_certificate_is_not_taken_the_key_alone_is_offered(tmp_path):
    make_key(tmp_path / "authority")
    with Sshd(tmp_path / "sshd") as server:
        run(
            "ssh-keygen",
            "-q",
            "-s",
            tmp_path / "authority",
            "-I",
            "i",
            "-n",
            "root",
            server.user_key.with_suffix(".pub"),
        )
        certificate = server.user_key.with_name(f"{server.user_key.name}-cert.pub").read_text()
        async with Delivering("sftp", configuration=configured(server, certificate=certificate)) as world:
            assert (await world.service.check("i1"))["ok"]
