from __future__ import annotations

import json

import pytest

from engine.domain.values import Code
from engine.intake.reading import Unreadable, join, open_body, redacted

DEPTH = 6


@pytest.mark.parametrize(
    ("raw", "root", "tree"),
    [
        (b'{"a":1}', "$", {"a": 1}),
        (b' \r\n{"a":1}\n\n ', "$", {"a": 1}),
        (b'\xef\xbb\xbf{"a":1}', "$", {"a": 1}),
        ('{"a":"é🚀"}'.encode(), "$", {"a": "é🚀"}),
        (b'{"a":"\\ud83d\\ude80"}', "$", {"a": "🚀"}),
        (b'{"a":null,"b":true,"c":[1,-2.5e3,"x"]}', "$", {"a": None, "b": True, "c": [1, -2500.0, "x"]}),
        (b'"{\\"a\\":1}"', "$", {"a": 1}),
        (b'{"text":"{\\"a\\":1}"}', "$.text", {"a": 1}),
        (b'{"text":" {\\"a\\":1}\\n","x":1}', "$.text", {"a": 1}),
        (b'{"text":"{\\"data\\":{\\"a\\":1}}"}', "$.text.data", {"a": 1}),
        (b'{"data":{"a":1},"key":"k"}', "$.data", {"a": 1}),
        (b'{"data":{"a":1},"ticker":"SPY"}', "$", {"data": {"a": 1}, "ticker": "SPY"}),
        (b'{"text":"a note","ticker":"SPY"}', "$", {"text": "a note", "ticker": "SPY"}),
        (b'{"a":9223372036854775807}', "$", {"a": 2**63 - 1}),
    ],
)
def test_a_body_is_opened_out_of_its_wrappings(raw: bytes, root: str, tree: object) -> None:
    body = open_body(raw, DEPTH)
    assert (body.root, body.tree) == (root, tree)


@pytest.mark.parametrize(
    ("raw", "code", "path", "status"),
    [
        (b"", Code.NOT_JSON, "$", 400),
        (b" \n", Code.NOT_JSON, "$", 400),
        (b"{", Code.NOT_JSON, "$", 400),
        (b'{"a":1,}', Code.NOT_JSON, "$", 400),
        (b'{"a":1} x', Code.NOT_JSON, "$", 400),
        (b"{'a':1}", Code.NOT_JSON, "$", 400),
        (b'{"a":"\xff"}', Code.NOT_JSON, "$", 400),
        ('{"a":1}'.encode("utf-16"), Code.NOT_JSON, "$", 400),
        (b'{"price":{{close}}}', Code.NOT_JSON, "$", 400),
        (b'{"text":"{oops"}', Code.NOT_JSON, "$.text", 400),
        (b'{"price":448.2 * 0.995}', Code.UNKNOWN_FORM, "$", 400),
        (b'{"price":448.2*0.995}', Code.UNKNOWN_FORM, "$", 400),
        (b"[1]", Code.UNKNOWN_FORM, "$", 400),
        (b'"LONG"', Code.UNKNOWN_FORM, "$", 400),
        (b"AAPL,buy,150.25,10", Code.UNKNOWN_FORM, "$", 400),
        (b"SYMBOL=SPY;SIGNAL=sell", Code.UNKNOWN_FORM, "$", 400),
        (b"SPY broke resistance", Code.UNKNOWN_FORM, "$", 400),
        (b'{"text":"SPY broke resistance"}', Code.UNKNOWN_FORM, "$.text", 400),
        (b'{"text":"[]"}', Code.UNKNOWN_FORM, "$.text", 400),
        (b'{"a":{"b":[1,NaN]}}', Code.NOT_FINITE, "$.a.b[1]", 400),
        (b'{"a":Infinity}', Code.NOT_FINITE, "$.a", 400),
        (b'{"a":[{"b":-Infinity}]}', Code.NOT_FINITE, "$.a[0].b", 400),
        (b'{"a":1e999}', Code.NOT_FINITE, "$.a", 400),
        (b'{"text":"{\\"a\\":NaN}"}', Code.NOT_FINITE, "$.text.a", 400),
        (b'{"a":9223372036854775808}', Code.OUT_OF_RANGE, "$.a", 422),
        (b'{"a":' + b"9" * 5000 + b"}", Code.OUT_OF_RANGE, "$.a", 422),
        (b'{"a":-' + b"9" * 30 + b"}", Code.OUT_OF_RANGE, "$.a", 422),
        (b'{"a":1,"a":2}', Code.BAD_FIELD, "$.a", 400),
        (b'{"x":[{"a":1,"b":2,"a":1}]}', Code.BAD_FIELD, "$.x[0].a", 400),
        (b'{"a":"\\ud800"}', Code.BAD_FIELD, "$.a", 400),
        (b'{"a":"x\\u0000"}', Code.BAD_FIELD, "$.a", 400),
        (b'{"\\ud800":1}', Code.BAD_FIELD, '$["\\ud800"]', 400),
        (b'{"a":{"a":{"a":{"a":{"a":{"a":{"b":1}}}}}}}', Code.TOO_DEEP, "$.a.a.a.a.a.a", 400),
        (b'{"a":' + b"[" * 30000 + b"]" * 30000 + b"}", Code.TOO_DEEP, "$", 400),
    ],
)
def test_a_body_that_cannot_be_read_names_why_and_where(raw: bytes, code: Code, path: str, status: int) -> None:

    with pytest.raises(Unreadable) as error:
        open_body(raw, DEPTH)
    assert (error.value.refusal.code, error.value.refusal.path, error.value.status) == (code, path, status)


def test_a_body_wrapped_over_and_over_is_refused() -> None:
    text = '{"a":1}'
    for _ in range(5):
        text = json.dumps({"text": text})
    with pytest.raises(Unreadable) as error:
        open_body(text.encode(), 32)
    assert error.value.refusal.code is Code.TOO_DEEP


def test_credentials_of_every_level_come_along() -> None:
    inner = json.dumps({"secret": "inner", "ticker": "SPY", "nested": {"token": "not this"}})
    body = open_body(json.dumps({"text": inner, "Key": "outer", "token": 5, "password": ""}).encode(), 32)
    assert body.secrets == ("outer", "inner")


@pytest.mark.parametrize(
    ("names", "path"),
    [
        (("signal", "type"), "$.signal.type"),
        (("components", 2), "$.components[2]"),
        (("4h_bias",), "$.4h_bias"),
        (("a.b",), '$["a.b"]'),
        (("",), '$[""]'),
        (("x" * 65,), '$["' + "x" * 32 + '"]'),
    ],
)
def test_paths_are_plain_and_bounded(names: tuple[str | int, ...], path: str) -> None:
    assert join("$", *names) == path
    assert len(join("$", *["name"] * 100)) <= 201


@pytest.mark.parametrize(
    "body",
    [
        '{"secret":"hunter2-hunter2","a":1}',
        '{ "api_token" : "hunter2-hunter2"}',
        '{"KEY":"hunter2-hunter2"}',
        '{"text":"{\\"secret\\":\\"hunter2-hunter2\\"}"}',
        '{"secret":"hunter2-hunter2',
    ],
)
def test_a_kept_body_shows_no_credential(body: str) -> None:
    kept = redacted(body.encode(), 8192)
    assert "hunter2" not in kept
    assert "•••" in kept


def test_a_known_credential_is_blanked_wherever_it_stands() -> None:
    assert redacted(b'{"x":"hunter2-hunter2"}', 8192, ("hunter2-hunter2", "x")) == '{"x":"•••"}'


def test_a_kept_body_is_cut_and_can_be_stored() -> None:
    assert redacted(b"\x00\xff" + b"a" * 100, 6) == "\\x00\\xffaaaa"
