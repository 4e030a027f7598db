"""Settings in layers: file, environment, command line; every error names where it came from."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from app.paths import Home
from app.settings import load
from engine.domain.values import Policy
from engine.settings import SettingError, Settings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, default=False)


def test_without_a_word_the_defaults_hold(home: Home) -> None:
    assert load(home, {}, {}) == Settings()


def test_the_file_is_laid_on_the_defaults(home: Home) -> None:
    home.settings.write_text(
        '[risk]\nmax_heat = 0.07\nmax_positions = 3\n[market]\nsymbols = ["SPY", "TSLA"]\n[approvals]\npolicy = "auto-paper"\n'
    )
    settings = load(home, {}, {})
    assert settings.risk.max_heat == Decimal("0.07"), "a number of the file must not pass through a float"
    assert settings.risk.max_positions == 3
    assert settings.market.symbols == ("SPY", "TSLA")
    assert settings.approvals.policy is Policy.AUTO_PAPER
    assert settings.exits == Settings().exits


def test_environment_is_laid_on_the_file_and_the_command_line_on_both(home: Home) -> None:
    home.settings.write_text("[intake]\nport = 1001\nburst = 11\nrate = 1.5\n")
    environ = {
        "STRIKEDESK_INTAKE__PORT": "1002",
        "STRIKEDESK_INTAKE__BURST": "12",
        "STRIKEDESK_HOME": "x",
        "PATH": "a__b",
    }
    settings = load(home, {"intake.port": "1003"}, environ)
    assert (settings.intake.port, settings.intake.burst, settings.intake.rate) == (1003, 12, 1.5)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[risk]\nmax_heat = 0.5\n", r"settings\.toml:2: risk\.max_heat: Input should be less than or equal to 0\.2"),
        (
            "# mine\n[risk]\n\nmax_haet = 0.05\n",
            r"settings\.toml:4: risk\.max_haet: no such setting \(did you mean risk\.max_heat\?\)",
        ),
        ("[rsk]\nx = 1\n", r"settings\.toml:2: rsk\.x: no such setting$"),
        ("[risk]\nmax_positions = true\n", r"settings\.toml:2: risk\.max_positions: Input should be a valid integer"),
        ("[risk]\nmax_heat = 2026-11-20\n", r"settings\.toml:2: risk\.max_heat: was not a text, a number or a list"),
        ("port = 1\n", r"settings\.toml:1: port: settings stand in a \[section\]"),
        ("[intake\n", r"settings\.toml: not TOML: .*line 1"),
        ("intake.port = -1\n", r"settings\.toml:1: intake\.port: Input should be greater"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line_and_key(home: Home, content: str, told: str) -> None:
    home.settings.write_text(content)
    with pytest.raises(SettingError, match=told):
        load(home, {}, {})


def test_a_file_that_cannot_be_read_is_told_by_name(home: Home) -> None:
    home.settings.mkdir()
    with pytest.raises(SettingError, match=r"settings\.toml: cannot be read"):
        load(home, {}, {})


def test_a_mistake_in_the_environment_names_the_variable(home: Home) -> None:
    with pytest.raises(SettingError, match=r"^STRIKEDESK_INTAKE__PRT: intake\.prt: no such setting .*intake\.port"):
        load(home, {}, {"STRIKEDESK_INTAKE__PRT": "1"})


def test_a_mistake_on_the_command_line_repeats_what_was_typed(home: Home) -> None:
    with pytest.raises(SettingError, match=r"^command line, intake\.port=70000: intake\.port: Input should be less"):
        load(home, {"intake.port": "70000"}, {})
