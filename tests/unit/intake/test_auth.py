from __future__ import annotations

import hmac
from collections.abc import Callable

import pytest

from engine.intake import auth
from engine.intake.auth import CredentialError, Credentials, bearer, sign

OLD, NEW = "old-signal-secret-12345", "new-signal-secret-12345"
PHASE, API, TRADING = "phase-secret-1234567", "api-token-12345678901", "trading-token-1234567"
KNOWN = Credentials(signal=(OLD, NEW), phase=(PHASE,), api=(API,), trading=(TRADING,))
NOW = 1_795_186_800.0
BODY = b'{"ticker":"SPY"}'


@pytest.mark.parametrize(
    ("secret", "kinds"),
    [
        (OLD, {"signal"}),
        (NEW, {"signal"}),
        (PHASE, {"phase"}),
        (API, set()),
        (TRADING, set()),
        ("", set()),
        (OLD + " ", set()),
        (OLD[:-1], set()),
        (OLD.upper(), set()),
        ("\ud800", set()),
        ("é" * 20, set()),
    ],
)
def test_a_webhook_secret_opens_its_own_kind_only(secret: str, kinds: set[str]) -> None:
    assert KNOWN.webhook(secret) == kinds


@pytest.mark.parametrize(
    ("token", "reads", "acts"),
    [(API, True, False), (TRADING, True, True), (OLD, False, False), ("", False, False), ("\ud800é", False, False)],
)
def test_the_api_token_reads_and_the_trading_token_also_acts(token: str, reads: bool, acts: bool) -> None:
    assert KNOWN.may_read(token) is reads
    assert KNOWN.may_act(token) is acts


def test_without_credentials_every_door_is_shut() -> None:
    nobody = Credentials()
    assert nobody.webhook("") == nobody.webhook("anything at all 1234") == frozenset()
    assert not nobody.may_read("")
    assert not nobody.may_act("")
    assert nobody.signed(sign("", BODY, NOW), BODY, NOW, 300) == frozenset()


def test_one_secret_may_serve_all_three_webhooks() -> None:
    shared = Credentials(signal=(OLD,), phase=(OLD,), trend=(OLD,))
    assert shared.webhook(OLD) == {"signal", "phase", "trend"}


@pytest.mark.parametrize(
    "groups",
    [
        {"signal": ("tiny-one",)},
        {"api": ("",)},
        {"signal": (OLD,), "api": (OLD,)},
        {"api": (API,), "trading": (API,)},
        {"trend": (TRADING,), "trading": (TRADING,)},
    ],
)
def test_credentials_that_leave_a_door_open_are_refused(groups: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(CredentialError) as error:
        Credentials(**groups)
    assert all(secret not in str(error.value) for group in groups.values() for secret in group if secret)


def test_credentials_never_show_themselves() -> None:
    assert all(secret not in repr(KNOWN) for secret in (OLD, NEW, PHASE, API, TRADING))


def _header(*parts: str) -> str:
    return ",".join(parts)


GOOD = sign(NEW, BODY, NOW)
STAMP, SIGNATURE = GOOD.split(",")


@pytest.mark.parametrize(
    ("header", "kinds"),
    [
        (GOOD, {"signal"}),
        (sign(OLD, BODY, NOW), {"signal"}),
        (sign(PHASE, BODY, NOW), {"phase"}),
        (sign(API, BODY, NOW), set()),
        (sign(NEW, BODY, NOW - 299), {"signal"}),
        (sign(NEW, BODY, NOW + 299), {"signal"}),
        (sign(NEW, BODY, NOW - 301), set()),
        (sign(NEW, BODY, NOW + 301), set()),
        (sign(NEW, BODY + b" ", NOW), set()),
        (_header(SIGNATURE, STAMP), {"signal"}),
        (_header(STAMP, "v1=" + "0" * 64, SIGNATURE), {"signal"}),
        (_header(STAMP, " " + SIGNATURE), {"signal"}),
        (_header(STAMP, "v0=" + SIGNATURE[3:]), set()),
        (_header(STAMP), set()),
        (_header(SIGNATURE), set()),
        (_header("t=", SIGNATURE), set()),
        (_header("t=-1", SIGNATURE), set()),
        (_header("t=٣", SIGNATURE), set()),
        (_header("t=" + "9" * 13, SIGNATURE), set()),
        (_header(STAMP, "v1=" + "g" * 64), set()),
        (_header(STAMP, SIGNATURE[:-1]), set()),
        (_header(STAMP, *["v1=" + "0" * 64] * 8, SIGNATURE), set()),
        ("", set()),
        (",,,=,=", set()),
    ],
)
def test_a_signature_holds_for_its_body_its_key_and_its_time(header: str, kinds: set[str]) -> None:
    assert KNOWN.signed(header, BODY, NOW, 300) == kinds


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("BEARER abc", "abc"),
        ("Bearer ", None),
        ("Bearer", None),
        ("Basic abc", None),
        ("abc", None),
        ("", None),
    ],
)
def test_only_a_bearer_header_carries_a_token(header: str, token: str | None) -> None:
    assert bearer(header) == token


@pytest.mark.parametrize(
    ("check", "comparisons"),
    [
        (lambda: KNOWN.webhook(OLD), 3),
        (lambda: KNOWN.webhook("wrong"), 3),
        (lambda: KNOWN.may_read(API), 2),
        (lambda: KNOWN.may_read("wrong"), 2),
        (lambda: KNOWN.may_act("wrong"), 1),
        (lambda: KNOWN.signed(sign(OLD, BODY, NOW), BODY, NOW, 300), 3),
        (lambda: KNOWN.signed(sign("wrong", BODY, NOW), BODY, NOW, 300), 3),
    ],
)
def test_every_secret_is_compared_in_constant_time_whether_an_earlier_one_matched_or_not(
    monkeypatch: pytest.MonkeyPatch, check: Callable[[], object], comparisons: int
) -> None:
    lengths: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def counted(given: bytes, known: bytes) -> bool:
        lengths.append((len(given), len(known)))
        return real(given, known)

    monkeypatch.setattr(auth.hmac, "compare_digest", counted)
    check()
    assert lengths == [(32, 32)] * comparisons
