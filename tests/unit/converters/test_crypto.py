"""AES in scripts: what OpenSSL makes of the same, and what node refuses."""

import json
from hashlib import sha256
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.padding import PKCS7
from pytest_twisted import ensureDeferred

from iotgw.core.errors import SettingsError
from iotgw.core.specs import ConverterSpec
from tests.unit.converters.conftest import convert, job, version

BOTH = pytest.mark.parametrize("engine", ["duktape", "quickjs"])
HEAD = "const crypto = require('crypto'); const hex = (text) => Buffer.from(text, 'hex');"
CIPHER = """
function run(given) {
  const made = crypto[given.call](given.name, hex(given.key), given.iv === null ? null : hex(given.iv), {authTagLength: given.size});
  if (given.padding === false) made.setAutoPadding(false);
  if (given.more) made.setAAD(hex(given.more));
  if (given.tag) made.setAuthTag(hex(given.tag));
  let out = '';
  for (const part of given.parts) out += made.update(part, 'hex', 'hex');
  out += made.final('hex');
  return out + (given.size && !given.tag ? made.getAuthTag().toString('hex') : '');
}"""


async def run(service, engine, *given):
    """What a script makes of ciphers: hex, or an error's text."""
    cases = json.dumps(given)
    script = (
        f"{HEAD} {CIPHER}\nconst cases = {cases};\n"
        "function decodeUplink(input) { const made = cases.map((one) => { try { return run(one); } catch (error) { return '' + error; } });\n"
        "  return {data: {v: JSON.stringify(made)}}; }"
    )
    if engine == "duktape":  # which has no arrows, let and for-of
        script = script.replace("const ", "var ").replace("let ", "var ")
        script = script.replace(
            "(text) => Buffer.from(text, 'hex')", "function (text) { return Buffer.from(text, 'hex'); }"
        )
        script = script.replace("(one) => {", "function (one) {")
        script = script.replace(
            "for (var part of given.parts) out += made.update(part, 'hex', 'hex');",
            "given.parts.forEach(function (part) { out += made.update(part, 'hex', 'hex'); });",
        )
    dialect, used = await service.compile(ConverterSpec(name="x", script=script, engine=engine))
    converter = version(script, dialect=dialect, engine=used)
    [made] = await convert(service, job(converter, b"\0", b'{"devEui": "A1"}'))
    assert made.error is None, made.error
    return json.loads(json.loads(made.outputs[0].body)["telemetry"][0]["values"]["v"])


def some(name, count):
    """Bytes that look like chance, the same each time."""
    return b"".join(sha256(f"{name}{at}".encode()).digest() for at in range(count // 32 + 1))[:count]


def parts(data, *ends):
    """The data in hex, cut at these places."""
    places = [0, *ends, len(data)]
    return [data[start:end].hex() for start, end in pairwise(places)]


MODES = {"ecb": lambda iv: modes.ECB(), "cbc": modes.CBC, "ctr": modes.CTR}


@pytest.mark.parametrize("mode", MODES)
@BOTH
@ensureDeferred
async def test_it_encrypts_and_decrypts_as_openssl_does(service, engine, mode):
    given, wanted = [], []
    for bits in (128, 192, 256):
        for length in (0, 1, 15, 16, 17, 48, 61):
            key, data = some("key", bits // 8), some(f"data{length}", length)
            iv = b"" if mode == "ecb" else b"\xff" * 14 + some("iv", 2) if mode == "ctr" else some("iv", 16)
            cipher = Cipher(algorithms.AES(key), MODES[mode](iv)).encryptor()
            pad = PKCS7(128).padder()
            plain = data if mode == "ctr" else pad.update(data) + pad.finalize()
            secret = cipher.update(plain) + cipher.finalize()
            name = f"aes-{bits}-{mode}"
            common = {"name": name, "key": key.hex(), "iv": iv.hex() or None}
            given += [
                {**common, "call": "createCipheriv", "parts": parts(data, length // 3, length // 2)},
                {**common, "call": "createDecipheriv", "parts": parts(secret, len(secret) // 3)},
            ]
            wanted += [secret.hex(), data.hex()]
    assert await run(service, engine, *given) == wanted


@BOTH
@ensureDeferred
async def test_ccm_is_authenticated(service, engine):
    given, wanted = [], []
    for size, length, more in ((8, 20, 7), (16, 16, 0), (4, 0, 300), (8, 33, 14)):
        key, nonce, data, extra = some("k", 16), some("n", 13 - size // 8), some("d", length), some("a", more)
        sealed = AESCCM(key, size).encrypt(nonce, data, extra)
        secret, tag = sealed[:length], sealed[length:]
        common = {
            "name": "aes-128-ccm",
            "key": key.hex(),
            "iv": nonce.hex(),
            "size": size,
            "more": extra.hex(),
        }
        back = {**common, "call": "createDecipheriv", "parts": [secret.hex()]}
        given += [
            {**common, "call": "createCipheriv", "parts": [data.hex()]},
            {**back, "tag": tag.hex()},
            {**back, "tag": "00" * size},
        ]
        wanted += [sealed.hex(), data.hex(), "Error: Unsupported state or unable to authenticate data"]
    assert await run(service, engine, *given) == wanted


@BOTH
@ensureDeferred
async def test_what_node_refuses_is_refused(service, engine):
    block = {
        "call": "createDecipheriv",
        "name": "aes-128-cbc",
        "key": "00" * 16,
        "iv": "00" * 16,
        "parts": ["00" * 16],
    }
    refused = await run(
        service, engine, block, {**block, "parts": ["00" * 15]}, {**block, "key": "00"}, {**block, "iv": "00"},
        {**block, "call": "createCipheriv", "padding": False, "parts": ["00"]}, {**block, "name": "des"},
        {**block, "name": "aes-128-ccm", "iv": "00" * 12}, {**block, "call": "createHash"},
    )  # fmt: skip
    says = [
        "bad decrypt", "wrong final block length", "Invalid key length", "Invalid initialization vector", "wrong final block length",
        "expected AES in the mode", "Invalid authentication tag length", "crypto.createHash isn't there",
    ]  # fmt: skip
    assert [said in text for said, text in zip(says, refused, strict=True)] == [True] * len(says), refused


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("const fs = require('node:fs');", "there is no module 'fs': a converter reaches no files, network or processes"),
        ("const m = require('moment');", "there is no module 'moment': add it to the converter's files, in one file (\"moment.js\")"),
        ("const m = require('./bits');", "there is no module './bits': add it to the converter's files. There are"),
        ("const m = require('@aws-sdk/client-iot-data-plane');", "this is a function for AWS, so take the decoder in it alone"),
    ],
)  # fmt: skip
@ensureDeferred
async def test_a_module_that_is_not_there_says_what_to_do_when_the_script_is_saved(service, line, says):
    script = f"{line}\nfunction decodeUplink(input) {{ return {{data: {{a: 1}}}}; }}"
    with pytest.raises(SettingsError) as refused:
        await service.compile(ConverterSpec(name="x", script=script))
    assert says in str(refused.value)


@pytest.mark.parametrize("file", ["tiny.js", "tiny/index.js", "tiny"])
@ensureDeferred
async def test_a_module_by_its_name_is_the_file_of_that_name(service, file):
    script = (
        "var tiny = require('tiny');\nfunction decodeUplink(input) { return {data: {a: tiny(input.bytes)}}; }"
    )
    files = {file: "module.exports = function (bytes) { return bytes.length; };"}
    dialect, engine = await service.compile(ConverterSpec(name="x", script=script, files=files))
    [made] = await convert(
        service,
        job(version(script, dialect=dialect, engine=engine, files=files), b"abc", b'{"devEui": "A1"}'),
    )
    assert json.loads(made.outputs[0].body)["telemetry"][0]["values"] == {"a": 3}
