"""Every option is read, checked and written down."""

import os
import re
import subprocess
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from tracker.settings import BadSetting, Settings, from_environment
from tracker.storage.keyfile import parse_keys

DOCUMENT = (Path(__file__).parents[1] / "docs" / "settings.md").read_text("utf-8")

OTHER_VALUES: dict[str, tuple[str, object]] = {
    "database_url": ("sqlite:////var/lib/tracker/tracker.db", "sqlite:////var/lib/tracker/tracker.db"),
    "base_url": ("https://t.example.com", "https://t.example.com"),
    "host": ("::1", "::1"),
    "port": ("0", 0),
    "secret_keys": ("1:AAAA", "1:AAAA"),
    "signing_key": ("1", 1),
    "trusted_proxies": ("127.0.0.1", "127.0.0.1"),
    "abuse_contact": ("mailto:abuse@example.com", "mailto:abuse@example.com"),
    "lift": ("no", "no"),
    "new_accounts": ("limited", "limited"),
    "limited_messages": ("0", 0),
    "metrics_token": ("a-token-of-some-length", "a-token-of-some-length"),
    "key_rate": ("1/second", "1/second"),
    "account_rate": ("20/hour", "20/hour"),
    "failure_rate": ("300/day", "300/day"),
    "worker": ("inline", "inline"),
    "journal_ceiling": ("1", 1),
    "queue_limit": ("1", 1),
    "head_seconds": ("1", 1),
    "body_seconds": ("1", 1),
    "connections": ("1", 1),
    "connections_per_address": ("1", 1),
    "drain_seconds": ("0", 0),
    "log_level": ("debug", "debug"),
    "log_format": ("json", "json"),
}

NAMES = [option.name for option in fields(Settings)]


def variable(name: str) -> str:
    return f"TRACKER_{name.upper()}"


@pytest.mark.parametrize("name", NAMES)
def test_option_is_read_from_the_environment(name: str) -> None:
    """From its own variable, and no other option moves."""
    written, read = OTHER_VALUES[name]
    settings = from_environment({variable(name): written})
    assert getattr(settings, name) == read
    assert getattr(Settings(), name) != read
    assert [other for other in NAMES if getattr(settings, other) != getattr(Settings(), other)] == [name]


def test_defaults_are_those_of_the_contract() -> None:
    """An empty environment serves this machine alone, from a file in this folder."""
    settings = from_environment({})
    assert settings == Settings()
    assert (settings.database_url, settings.base_url) == ("sqlite:///tracker.db", "http://127.0.0.1:8000")
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)


def test_what_is_given_goes_before_the_environment() -> None:
    """An option of the command line wins, and one that was not given changes nothing."""
    environment = {"TRACKER_PORT": "1", "TRACKER_HOST": "::1"}
    settings = from_environment(environment, port=2, host=None)
    assert (settings.port, settings.host) == (2, "::1")


def test_environment_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is when it is asked."""
    monkeypatch.setenv("TRACKER_PORT", "4711")
    assert from_environment().port == 4711
    assert os.environ["TRACKER_PORT"] == "4711"


def test_settings_cannot_be_changed() -> None:
    """They hold for the life of a server."""
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://t.example.com/", "https://t.example.com"),
        ("HTTPS://T.Example.COM", "https://t.example.com"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://xn--e1afmkfd.xn--p1ai", "https://xn--e1afmkfd.xn--p1ai"),
        ("http://10.0.0.1:65535", "http://10.0.0.1:65535"),
    ],
)
def test_base_url_is_scheme_and_host(written: str, read: str) -> None:
    """In the one form that links are compared with."""
    assert from_environment({"TRACKER_BASE_URL": written}).base_url == read


def test_proxies_are_listed() -> None:
    """Spaces and a comma at the end do no harm."""
    settings = from_environment({"TRACKER_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8 ,2001:db8::/32,"})
    assert settings.proxies == ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"]
    assert Settings().proxies == []


@pytest.mark.parametrize(
    "network", ["10.0.0.0/8", "172.16.0.0/12", "fc00::/7", "fd00::/8", "fe80::/10", "2600::/20", "::ffff:10.0.0.0/104"]
)
def test_networks_an_operator_may_have_are_trusted(network: str) -> None:
    """Private ones whole, and what a provider announces."""
    assert Settings(trusted_proxies=network).proxies == [network]


def test_trust_in_strangers_says_why_it_is_refused() -> None:
    """Which network it is, what would follow, and what to write."""
    with pytest.raises(BadSetting, match=r"'0\.0\.0\.0/1'.*who the client is.*List the addresses of your proxies"):
        Settings(trusted_proxies="0.0.0.0/1,128.0.0.0/1")


BAD_VALUES = [
    ("base_url", ""),
    ("base_url", "t.example.com"),
    ("base_url", "https://"),
    ("base_url", "ftp://t.example.com"),
    ("base_url", "https://t.example.com/tracking"),
    ("base_url", "https://t.example.com?a=1"),
    ("base_url", "https://t.example.com#a"),
    ("base_url", "https://user@t.example.com"),
    ("base_url", "https://münchen.example"),
    ("base_url", "https://t.example.com, https://u.example.com"),
    ("base_url", "https://t.example.com>"),
    ("base_url", "https://t.example.com\r\n"),
    ("base_url", "https://t.example.com:0"),
    ("base_url", "https://t.example.com:65536"),
    ("base_url", "https://[::1"),
    ("base_url", "https://-t.example.com"),
    ("port", "eighty"),
    ("port", "-1"),
    ("port", "65536"),
    ("port", ""),
    ("trusted_proxies", "*"),
    ("trusted_proxies", "127.0.0.1,*"),
    ("trusted_proxies", "0.0.0.0/0"),
    ("trusted_proxies", "::/0"),
    ("trusted_proxies", "0.0.0.0/1,128.0.0.0/1"),
    ("trusted_proxies", "127.0.0.1, 8.0.0.0/7"),
    ("trusted_proxies", "::/1"),
    ("trusted_proxies", "2000::/19"),
    ("trusted_proxies", "fc00::/6"),
    ("trusted_proxies", "::ffff:0:0/96"),
    ("trusted_proxies", "::ffff:8.0.0.0/103"),
    ("trusted_proxies", "::/80"),
    ("trusted_proxies", "10.0.0.1/8"),
    ("trusted_proxies", "proxy.example.com"),
    ("new_accounts", "closed"),
    ("new_accounts", ""),
    ("limited_messages", "-1"),
    ("limited_messages", "some"),
    ("metrics_token", ""),
    ("metrics_token", "a" * 15),
    ("metrics_token", "a token with some spaces"),
    ("metrics_token", "a-tökén-of-some-length"),
    ("worker", "thread"),
    ("worker", ""),
    ("log_level", "INFO"),
    ("log_level", "loud"),
    ("log_format", "xml"),
    ("journal_ceiling", "0"),
    ("journal_ceiling", "many"),
    ("queue_limit", "0"),
    ("queue_limit", "1.5"),
    ("head_seconds", "0"),
    ("head_seconds", "61"),
    ("body_seconds", "0"),
    ("body_seconds", "601"),
    ("connections", "0"),
    ("connections_per_address", "0"),
    ("drain_seconds", "-1"),
    ("key_rate", ""),
    ("key_rate", "600"),
    ("key_rate", "600/"),
    ("key_rate", "0/minute"),
    ("key_rate", "-1/minute"),
    ("account_rate", "6 00/minute"),
    ("account_rate", "600 per minute"),
    ("account_rate", "600/week"),
    ("failure_rate", "1.5/minute"),
    ("failure_rate", "٣/minute"),
    ("drain_seconds", "6"),
]


@pytest.mark.parametrize(("name", "written"), BAD_VALUES)
def test_bad_value_is_named(name: str, written: str) -> None:
    """One line for an operator: which variable, what stands there, and what to write."""
    with pytest.raises(BadSetting, match=variable(name)) as refused:
        from_environment({variable(name): written})
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert re.search(r"must be|write|List|is no address", sentence)


def table() -> list[tuple[str, str, str]]:
    rows = re.findall(r"^\| `(TRACKER_\w+)` \| (.+?) \| (.+) \|$", DOCUMENT, re.MULTILINE)
    return [(name, default, sentence.replace("`", "")) for name, default, sentence in rows]


def test_document_lists_every_setting() -> None:
    """With the default and the sentence of the code, in its order."""
    expected = []
    for option in fields(Settings):
        default = option.default
        written = f"`{default}`" if default not in (None, "") else "none"
        expected.append((variable(option.name), written, option.metadata["sentence"]))
    assert table() == expected


def test_document_names_no_setting_that_is_none() -> None:
    """What stands in its text exists."""
    assert set(re.findall(r"TRACKER_\w+", DOCUMENT)) <= {variable(name) for name in NAMES}


def test_command_that_makes_a_key_makes_one() -> None:
    """As it is copied from the document."""
    command = re.search(r"^```sh\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert command is not None
    made = subprocess.run(["sh", "-c", command[1]], capture_output=True, text=True, check=True)
    assert [len(key.secret) for key in parse_keys(made.stdout).values()] == [32]
