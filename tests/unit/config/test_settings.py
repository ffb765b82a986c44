from pathlib import Path

import pytest

from iotgw.config import settings
from iotgw.core.errors import SettingsError

ROOT = Path(__file__).parents[3]


def load(tmp_path, text):
    path = tmp_path / "iotgw.toml"
    path.write_text(text)
    return settings.load(path)


def test_the_shipped_file_says_what_the_defaults_are():
    assert settings.load(ROOT / "etc" / "iotgw.toml") == settings.Settings()


def test_a_setting_takes_the_place_of_its_default(tmp_path):
    loaded = load(tmp_path, 'data-dir = "/x"\n[store]\nmax-age = 60.5\n')
    assert (loaded.data_dir, loaded.store.max_age) == ("/x", 60.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[store]\nmax-age = -1", "store.max-age: expected `float` > 0.0, got -1"),
        ("api = 3", "api: expected `str`"),
        ("colour = 1", "unknown field `colour`"),
        ('[log]\nlevel = "loud"', "log.level: expected"),
        ("[store\n", "expected TOML"),
        ('trusted-proxies = ["10.0.0.1", "nginx"]', "trusted-proxies[1]: expected an address or a network"),
        ('proxy-header = "via"', "proxy-header: expected one of "),
        ('api = "ssl:8443"\n[tls]\ncertificate = "a"\nkey = "b"', "tls: expected an `api` such as tcp:8443"),
        ('[tls]\ncertificate = "a"', "key"),
    ],
)
def test_a_wrong_setting_is_refused_with_path_value_and_expectation(tmp_path, text, said):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keep-last = -1", "backup.nas.keep-last: expected `int` >= 0, got -1 in "),
        ("keep = 1", "backup.nas: object contains unknown field `keep` in "),
        ("password = 123456", "backup.nas.password: expected `str`"),
        ("[colour]\nx = 1", "object contains unknown field `colour`"),
        ('[backup."a/b"]\nto = "/x"', "backup: expected plans' names"),
    ],
)
def test_no_secret_is_repeated_beside_what_is_wrong(tmp_path, text, said):
    plan = '[backup.nas]\nto = "sftp://a@b/c"\nprivate-key = "hush"\n'
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, plan + text)
    assert said in str(caught.value)
    assert not any(secret in str(caught.value) for secret in ("hush", "123456"))


def test_the_former_name_of_a_setting_still_works(tmp_path):
    assert load(tmp_path, 'proxies = ["10.0.0.1"]').trusted_proxies == ["10.0.0.1"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match="expected a readable file"):
        settings.load(tmp_path / "none.toml")
