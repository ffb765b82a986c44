"""`iotgwctl export`, `diff` and `apply`: the configuration as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from iotgw.api.app import api_site
from iotgw.api.site import ApiSite
from iotgw.core.errors import SettingsError
from iotgw.core.references import STAND_IN, References, escaped
from iotgw.core.resources_file import read
from iotgw.ctl.client import CtlError
from iotgw.ctl.directory import files_of, write
from iotgw.ctl.named_secrets import NamedSecrets, read_secrets
from tests.unit.api.conftest import Bench
from tests.unit.api.test_configuration import document


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


def tree(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): path.read_text()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def made(tmp_path: Path) -> Path:
    (tmp_path / "made.json").write_text(json.dumps(document()))
    return tmp_path / "made.json"


@pytest.fixture
def other(monkeypatch: Any) -> Iterator[Any]:
    """``await other()`` starts an empty gateway beside the first, to which commands go from then on."""
    ports: list[Any] = []

    async def start() -> None:
        bench = Bench()
        site = ApiSite(api_site(bench.parts, None))
        ports.append(reactor.listenTCP(0, site, interface="127.0.0.1"))  # type: ignore[attr-defined]
        token, saved = bench.token("admin")
        await saved
        monkeypatch.setenv("IOTGW_URL", f"http://127.0.0.1:{ports[0].getHost().port}")
        monkeypatch.setenv("IOTGW_TOKEN", token)

    yield start
    for port in ports:
        pytest_twisted.blockon(port.stopListening())


@inline
async def test_an_export_makes_the_same_gateway_out_of_an_empty_one(
    run: Any, tmp_path: Path, made: Path, other: Any
) -> None:
    assert (await run("apply", str(made)))[0] == 0
    first, second, secrets = tmp_path / "one", tmp_path / "two", tmp_path / "secrets.env"
    code, out, _ = await run("export", str(first), "--secrets", str(secrets))
    assert code == 0
    assert out.splitlines()[-1] == f"3 secrets are in {secrets}; keep it out of git"
    assert (await run("diff", str(first), "--secrets", str(secrets)))[0] == 0
    await other()
    code, out, _ = await run("apply", str(first), "--secrets", str(secrets))
    assert (code, out.splitlines()[-1]) == (0, "8 created")
    again = tmp_path / "again.env"
    assert (await run("export", str(second), "--secrets", str(again)))[0] == 0
    assert tree(first) == tree(second)
    assert secrets.read_text() == again.read_text()
    assert "k1" in tree(first)["datasources/field.toml"]


@inline
async def test_an_export_has_scripts_as_files_their_vectors_beside_them_and_secrets_by_name(
    run: Any, tmp_path: Path, made: Path
) -> None:
    await run("apply", str(made))
    code, out, _ = await run("export", str(tmp_path / "out"))
    assert code == 0
    files = tree(tmp_path / "out")
    assert files["converters/mine.js"] == "function mine() {}"
    assert json.loads(files["converters/mine.tests.json"]) == document()["converter"][0]["tests"]
    assert files["datasources/field.toml"].splitlines() == [
        "[[datasource]]",
        'name = "field"',
        'type = "coap"',
        'routingKey = "k1"',
        'converter = "mine"',
        "",
        "[datasource.configuration]",
        "port = 5683",
        'preSharedKey = "env:IOTGW_DATASOURCE_FIELD_PRE_SHARED_KEY"',
    ]
    assert "hush" not in "".join(files.values())
    assert out.splitlines() == [
        f"2 converters, 1 credentials, 1 device-types, 1 device-groups, 1 datasources, 1 integrations, 1 devices in {tmp_path / 'out'}",
        "3 secrets are named, and to be set where it is applied:",
        "  IOTGW_CREDENTIAL_METER_SECRETS_0_VALUE",
        "  IOTGW_DATASOURCE_FIELD_PRE_SHARED_KEY",
        "  IOTGW_INTEGRATION_OUT_HEADERS_X_KEY",
    ]


@inline
async def test_an_export_of_many_secrets_lists_the_first(run: Any, tmp_path: Path) -> None:
    held = [
        f'[[credential]]\nname = "m{n}"\nidentity = "m{n}"\nsecrets = [{{ value = "hush-hush-{n}" }}]\n'
        for n in range(25)
    ]
    (tmp_path / "many.toml").write_text("".join(held))
    assert (await run("apply", str(tmp_path / "many.toml")))[0] == 0
    lines = (await run("export", str(tmp_path / "out")))[1].splitlines()
    assert lines[1] == "25 secrets are named, and to be set where it is applied:"
    assert (len(lines), lines[-1].split(",")[0]) == (23, "  and 5 more")


@inline
async def test_an_export_takes_away_what_it_does_not_write_again_and_leaves_others_files(
    run: Any, tmp_path: Path, made: Path
) -> None:
    await run("apply", str(made))
    out = tmp_path / "out"
    await run("export", str(out))
    (out / "README.md").write_text("mine")
    await run("delete", "integration", "out")
    code, told, _ = await run("export", str(out))
    assert "1 files of the export before are gone" in told
    assert (out / "README.md").exists() and not (out / "integrations" / "out.toml").exists()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "all.toml").write_text("")
    code, _, err = await run("export", str(tmp_path / "own"))
    assert code == 2
    assert "expected an empty directory, or one that an export wrote, got all.toml" in err


@inline
async def test_diff_says_what_differs_field_by_field_and_apply_changes_it(
    run: Any, tmp_path: Path, made: Path, bench: Any
) -> None:
    await run("apply", str(made))
    out = tmp_path / "out"
    await run("export", str(out))
    field = out / "datasources" / "field.toml"
    field.write_text(field.read_text().replace("5683", "5684"))
    (out / "converters" / "mine.js").write_text("function mine() {}\n// more\n")
    (out / "integrations" / "out.toml").unlink()
    (out / "device-types.toml").unlink()
    code, told, _ = await run("diff", str(out), "--keep-secrets")
    assert code == 1
    lines = told.splitlines()
    assert lines[0] == "converter mine:"
    assert lines[1] == "  script:"
    assert "    +// more" in lines
    assert "  configuration.port: 5683 → 5684" in lines
    assert "integration out: only at the gateway (`apply --prune` deletes it)" in lines
    assert lines[-1].startswith("2 changed, 2 deleted, 4 unchanged; state ")
    code, told, _ = await run("apply", str(out), "--keep-secrets", "--prune", "--dry-run")
    assert code == 0 and len(bench.registry.list("integration")) == 1
    state = lines[-1].rpartition(" ")[2]
    code, told, _ = await run("apply", str(out), "--keep-secrets", "--prune", "--if-state", state)
    assert (code, told.splitlines()[-1]) == (0, "2 changed, 2 deleted, 4 unchanged")
    assert bench.registry.list("integration") == []
    code, _, err = await run("apply", str(out), "--keep-secrets", "--prune", "--if-state", state)
    assert (code, "what the document was compared with has changed" in err) == (1, True)


@inline
async def test_a_directory_is_applied_as_a_whole_or_not_at_all(run: Any, tmp_path: Path, bench: Any) -> None:
    (tmp_path / "a.toml").write_text('[[device-type]]\nname = "meters"\n')
    (tmp_path / "b.toml").write_text('[[datasource]]\nname = "x"\ntype = "nonsense"\n')
    code, told, err = await run("apply", str(tmp_path))
    assert code == 1
    assert "refused" in told and err == "iotgwctl: nothing was changed\n"
    assert bench.registry.list("device-type") == []
    assert (await run("apply", str(tmp_path / "a.toml")))[0] == 0


@inline
async def test_a_secret_that_is_not_to_be_had_is_named_with_its_place(
    run: Any, tmp_path: Path, made: Path
) -> None:
    await run("apply", str(made))
    await run("export", str(tmp_path / "out"))
    code, _, err = await run("apply", str(tmp_path / "out"))
    assert code == 2
    assert err.strip() == (
        f"iotgwctl: {tmp_path}/out/credentials.toml: credential[0].secrets[0].value: expected the environment "
        "variable IOTGW_CREDENTIAL_METER_SECRETS_0_VALUE, which is not set"
    )


def test_references_are_looked_up_whole_and_within_a_text(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file\n")
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / "mqtt").write_text("from systemd")
    found = References({"A": "a", "B": "b"}, str(tmp_path / "units")).resolved(
        {
            "env": "env:A", "file": "file:key", "credential": "credential:mqtt", "not": "env: A", "no": "environment:A",
            "url": "http://x/?a=${env:A}&b=${env:B}&c=${c}", "literal": "literal:env:A", "list": ["env:B", 1, None],
        },
        tmp_path,
    )  # fmt: skip
    assert found == {
        "env": "a", "file": "from a file", "credential": "from systemd", "not": "env: A", "no": "environment:A",
        "url": "http://x/?a=a&b=b&c=${c}", "literal": "env:A", "list": ["b", 1, None],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("env:GONE", r"x\.y: expected the environment variable GONE, which is not set"),
        ("file:gone", "expected a readable file .*/gone: No such file or directory"),
        ("credential:gone", "expected systemd's credential gone, but CREDENTIALS_DIRECTORY is not set"),
        ("http://${env:GONE}", "expected the environment variable GONE"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        References({}, "").resolved({"y": text}, tmp_path, "x")
    assert References({}, "", "stand-in").resolved("env:GONE", tmp_path) == STAND_IN
    assert References({}, "", "keep").resolved("env:GONE", tmp_path) == "***"


@pytest.mark.parametrize(
    "text", ["env:A", "file:x", "credential:x", "literal:x", "a ${env:A} b", "plain", "env: A"]
)
def test_a_text_that_looks_like_a_reference_is_written_so_that_it_is_none(tmp_path: Path, text: str) -> None:
    assert References({}, "").resolved(escaped(text), tmp_path) == text


def test_in_scripts_nothing_is_a_reference(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        '[[converter]]\nname = "a"\nscript = "env:A"\ntests = [{ text = "env:A" }]'
    )
    assert read(tmp_path / "a.toml").converter[0]["script"] == "env:A"
    assert read(tmp_path).converter[0]["tests"] == [{"text": "env:A"}]


def test_a_name_twice_in_a_directory_is_said_with_both_places(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text('[[device-type]]\nname = "x"\n')
    with pytest.raises(SettingsError, match=r"b\.toml: device-type 'x' stands in .*a\.toml, too"):
        read(tmp_path)


def test_what_begins_with_a_dot_and_what_is_no_definition_is_not_read(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.toml").write_text("nonsense")
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "b.iotgw.json").write_text('{"device-type": [{"name": "x"}]}')
    assert read(tmp_path).device_type == [{"name": "x"}]


def test_names_that_no_file_can_have_and_nulls_come_back_as_they_were(tmp_path: Path) -> None:
    entries = [{"name": name, "type": "x"} for name in ("a b", "a?b", "A_b", ".hidden", "ü" * 200)]
    entries.append({"name": "null", "type": "x", "metadata": {"nothing": None, "text": 'two\r\nlines "'}})
    wanted = {
        "converter": [
            {"name": "c", "script": "a\r\nb\n", "files": {"lib/a.js": "1\n"}, "tests": [{"text": "x", "output": None}]},
            {"name": "d", "script": "", "files": {"../up.js": "2"}},
        ],
        "datasource": entries,
        "device": [{"name": "d-1", "latitude": 1.5}],
    }  # fmt: skip
    write(tmp_path, files_of(wanted))
    found = read(tmp_path)
    for kind, said in wanted.items():
        assert sorted(found.of(kind), key=repr) == sorted(said, key=repr)


def test_an_export_never_removes_what_lies_outside(tmp_path: Path) -> None:
    outside = tmp_path / "precious"
    outside.write_text("x")
    directory = tmp_path / "dir"
    directory.mkdir()
    (directory / ".iotgw-export").write_text("../precious\n/etc/hostname\n")
    assert write(directory, {}) == []
    assert outside.exists()


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CtlError, match="file"):
        write(tmp_path / "file", {"a.toml": ""})


def test_the_secrets_of_a_url_are_named_one_by_one(tmp_path: Path) -> None:
    secrets = NamedSecrets()
    shown = {
        "name": "out",
        "configuration": {"url": "https://me:***@h/?a=***&b={{ x }}", "key": "***", "s": "***"},
    }
    clear = {
        "name": "out",
        "configuration": {"url": "https://me:p'w@h/?a=1&b={{ x }}", "key": "two\nlines", "s": "***"},
    }
    entry = secrets.entry("integration", shown, clear)
    assert entry["configuration"] == {
        "url": "https://me:${env:IOTGW_INTEGRATION_OUT_URL_1}@h/?a=${env:IOTGW_INTEGRATION_OUT_URL_2}&b={{ x }}",
        "key": "env:IOTGW_INTEGRATION_OUT_KEY",
        "s": "***",
    }
    secrets.write(tmp_path / "secrets")
    known = read_secrets(tmp_path / "secrets")
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o600
    assert References(known, "").resolved(entry, tmp_path) == clear
    assert (
        NamedSecrets().entry("integration", shown, None)["configuration"]["key"]
        == "env:IOTGW_INTEGRATION_OUT_KEY"
    )


def test_two_places_that_sound_alike_get_names_of_their_own() -> None:
    secrets = NamedSecrets()
    secrets.entry("datasource", {"name": "a-b", "configuration": {"key": "***"}}, None)
    secrets.entry("datasource", {"name": "a_b", "configuration": {"key": "***"}}, None)
    assert secrets.names == ["IOTGW_DATASOURCE_A_B_KEY", "IOTGW_DATASOURCE_A_B_KEY_2"]


@pytest.mark.parametrize("link", ["converters", "converters/c.js"])
def test_an_export_writes_nothing_where_a_link_in_the_directory_leads(tmp_path: Path, link: str) -> None:
    converter = {"converter": [{"name": "c", "type": "UPLINK", "script": "first"}]}
    directory, outside = tmp_path / "export", tmp_path / "outside"
    outside.mkdir()
    (outside / "c.js").write_text("mine")
    write(directory, files_of(converter))
    for path in [*sorted(directory.glob(f"{link}/*")), directory / link]:
        path.rmdir() if path.is_dir() else path.unlink()
    (directory / link).symlink_to(outside if link == "converters" else outside / "c.js")
    with pytest.raises(CtlError, match="leads out of it"):
        write(directory, files_of(converter))
    assert [path.name for path in outside.iterdir()] == ["c.js"]
    assert (outside / "c.js").read_text() == "mine"
