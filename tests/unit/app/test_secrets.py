"""Secrets: made once, kept privately, never told."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest
from keyring.errors import KeyringLocked

from app.paths import Home
from app.secrets import NAMES, SERVICE, Secrets, SecretsError, find, load, platform_keychain
from engine.intake.auth import sign


class DictionaryKeychain:
    """A keychain as `keyring` backends are, kept in memory."""

    name = "a keychain"

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        self._open()
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._open()
        self.entries[service, username] = password

    def _open(self) -> None:
        if self.locked:
            raise KeyringLocked("the collection is locked")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, default=False)


def test_the_first_start_makes_five_different_secrets(home: Home) -> None:
    secrets = load(home)
    assert len(set(secrets.values())) == len(NAMES) == 5
    assert all(len(value) == 43 for value in secrets.values())
    assert secrets.kept == str(home.secrets)


def test_later_starts_find_the_same_secrets(home: Home) -> None:
    assert load(home) == load(home) == find(home)


def test_the_file_is_read_by_its_owner_alone(home: Home) -> None:
    load(home)
    assert stat.S_IMODE(home.secrets.stat().st_mode) == 0o600
    assert [path.name for path in home.root.iterdir()] == ["secrets.toml"]


def test_a_file_open_to_others_is_closed_again(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    first = load(home)
    home.secrets.chmod(0o644)
    with caplog.at_level("WARNING"):
        assert load(home) == first
    assert stat.S_IMODE(home.secrets.stat().st_mode) == 0o600
    assert "0644" in caplog.text


def test_looking_for_secrets_makes_none(home: Home) -> None:
    assert find(home) is None
    assert not home.secrets.exists()


def test_a_missing_secret_is_added_and_the_others_stay(home: Home) -> None:
    first = load(home)
    kept = [line for line in home.secrets.read_text().splitlines() if not line.startswith("trading_token")]
    home.secrets.write_text("\n".join([*kept, 'broker_password = "quoted \\" and long enough"']))
    second = load(home)
    assert second.trading_token != first.trading_token
    assert second.webhook_signal == first.webhook_signal
    assert tomllib.loads(home.secrets.read_text())["broker_password"] == 'quoted " and long enough'


def test_of_two_processes_that_start_at_once_both_speak_with_the_same_secrets(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    other: list[Secrets] = []
    token = "a-token-of-the-slower-process"

    def slow_source(_size: int) -> str:
        if not other:
            monkeypatch.undo()
            other.append(load(home))
        return token

    monkeypatch.setattr("app.secrets.random_source.token_urlsafe", slow_source)
    assert load(home) == other[0]
    assert token not in home.secrets.read_text()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("# mine\napi_token = half of it", "line 2"),
        ('api_token = """half of it', "end of document"),
        ("api_token = 12", "api_token was not a text"),
        ('api_token = "short"', "api_token was not a text of at least 16"),
    ],
)
def test_a_spoilt_file_is_told_by_name_and_never_quoted(home: Home, content: str, told: str) -> None:
    home.secrets.write_text(content)
    with pytest.raises(SecretsError) as caught:
        load(home)
    assert str(home.secrets) in str(caught.value)
    assert told in str(caught.value)
    assert "half" not in str(caught.value)


def test_a_file_that_is_no_text_is_told_by_name(home: Home) -> None:
    home.secrets.write_bytes(b"\xff\xfe")
    with pytest.raises(SecretsError, match="not TOML"):
        load(home)


def test_a_folder_in_the_files_place_is_told_by_name(home: Home) -> None:
    home.secrets.mkdir()
    with pytest.raises(SecretsError, match=r"secrets\.toml: cannot be read"):
        load(home)


def test_a_home_that_is_a_file_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(SecretsError, match=r"cannot be (read|written)"):
        load(Home(tmp_path / "home", default=False))


def test_the_default_home_keeps_its_secrets_in_the_keychain(tmp_path: Path) -> None:
    keychain = DictionaryKeychain()
    home = Home(tmp_path, default=True)
    assert find(home, lambda: keychain) is None
    secrets = load(home, lambda: keychain)
    assert keychain.entries == {(SERVICE, name): getattr(secrets, name) for name in NAMES}
    assert load(home, lambda: keychain) == secrets == find(home, lambda: keychain)
    assert not home.secrets.exists()
    assert secrets.kept == "a keychain"


def test_the_default_home_without_a_keychain_keeps_a_file(tmp_path: Path) -> None:
    home = Home(tmp_path, default=True)
    first = load(home, lambda: None)
    assert home.secrets.exists()
    assert load(home, DictionaryKeychain) == first, "a keychain that comes later must not change what senders know"


def test_another_home_never_asks_the_keychain(home: Home) -> None:
    def asked() -> DictionaryKeychain:
        raise AssertionError("the keychain was asked")

    assert load(home, asked) == find(home, asked)


@pytest.mark.parametrize("empty", [True, False])
def test_a_locked_keychain_is_told_and_nothing_is_made_elsewhere(tmp_path: Path, empty: bool) -> None:
    keychain, home = DictionaryKeychain(), Home(tmp_path, default=True)
    if not empty:
        load(home, lambda: keychain)
    keychain.locked = True
    with pytest.raises(SecretsError, match=r"a keychain.*did not answer \(KeyringLocked\)"):
        load(home, lambda: keychain)
    assert not home.secrets.exists()


def test_a_keychain_that_cannot_keep_is_told(tmp_path: Path) -> None:
    class ReadOnly(DictionaryKeychain):
        def set_password(self, service: str, username: str, password: str) -> None:
            raise KeyringLocked("read only")

    with pytest.raises(SecretsError, match="did not answer"):
        load(Home(tmp_path, default=True), ReadOnly)


def test_secrets_do_not_show_in_their_text(home: Home) -> None:
    secrets = load(home)
    assert not any(value in repr(secrets) or value in str(secrets) for value in secrets.values())


def test_every_secret_opens_its_own_door_only(home: Home) -> None:
    secrets = load(home)
    doors = secrets.credentials()
    assert doors.webhook(secrets.webhook_phase) == {"phase"}
    assert doors.signed(sign(secrets.webhook_trend, b"{}", 0), b"{}", 0, 300) == {"trend"}
    assert doors.may_read(secrets.api_token)
    assert not doors.may_act(secrets.api_token)
    assert doors.may_act(secrets.trading_token)
    assert not doors.may_read(secrets.webhook_signal)


def test_a_platform_without_a_keychain_has_none_and_a_real_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    from keyring.backends import fail, null

    class Real(null.Keyring):
        priority = 5.0  # type: ignore[assignment]

    real = Real()
    monkeypatch.setattr("keyring.get_keyring", fail.Keyring)
    assert platform_keychain() is None
    monkeypatch.setattr("keyring.get_keyring", lambda: real)
    assert platform_keychain() is real
