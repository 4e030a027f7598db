"""/docs: the OpenAPI description as one plain page. No script and nothing from another host, for tokens live here."""

from __future__ import annotations

from html import escape
from typing import Any

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "code{font:13px ui-monospace,monospace}td{padding:.2rem .8rem .2rem 0;vertical-align:top}"
    "section{border-top:1px solid #8884;padding:.6rem 0}h2{font-size:1rem;margin:.2rem 0}p{margin:.2rem 0}"
)
_CREDENTIALS = (
    "HMAC header X-Strikedesk-Signature, Authorization: Bearer, ?token= or secret in the body; each kind has its own"
)
_ANSWERS = {
    "202": "Kept. `receipt` is its seq in the ledger",
    "200": "A duplicate of `duplicate_of`",
    "400": "Not understood: `code`, `path` of the first bad field, `detail`",
    "401": "Credentials are missing or wrong",
    "408": "The body did not arrive in time",
    "413": "Too large",
    "422": "A value out of range",
    "429": "Too many requests, see Retry-After",
    "503": "The ledger is away: nothing was kept, see Retry-After",
}


def webhook_paths() -> dict[str, Any]:
    """OpenAPI of the webhook, which the framework never sees."""
    kinds = {
        "/webhook": "Any body; its kind is found from it",
        "/webhook/signal": "A signal, full or short, or an exit notice",
        "/webhook/phase": "A phase",
        "/webhook/trend": "A trend",
    }
    body = {
        "required": True,
        "content": {form: {"schema": {"type": "object"}} for form in ("application/json", "text/plain")},
    }
    answers = {status: {"description": text} for status, text in _ANSWERS.items()}
    return {
        path: {
            "post": {
                "tags": ["webhook"],
                "summary": summary,
                "description": _CREDENTIALS,
                "requestBody": body,
                "responses": answers,
            }
        }
        for path, summary in kinds.items()
    }


def page(schema: dict[str, Any]) -> str:
    """The whole description as HTML."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Strikedesk API</title>",
        f"<style>{_STYLE}</style><h1>Strikedesk API</h1>",
        '<p>Machine-readable: <a href="/openapi.json">/openapi.json</a>. Tokens go into <code>Authorization: Bearer</code>.</p>',
    ]
    for path, methods in sorted(schema["paths"].items()):
        for method, operation in methods.items():
            parts.append(_operation(schema, path, method, operation))
    return "".join(parts)


def _operation(schema: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    credential = ", ".join(name for entry in operation.get("security", []) for name in entry)
    rows = [
        _row(one["name"], one["in"], one["schema"], one.get("required", False))
        for one in operation.get("parameters", [])
    ]
    content = operation.get("requestBody", {}).get("content", {})
    rows += _fields(schema, content.get("application/json", {}).get("schema", {}))
    note = " · ".join(filter(None, [credential, operation.get("description", "")]))
    answers = " ".join(sorted(operation["responses"]))
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code> {escape(operation.get('summary', ''))}</h2>"
        f"<p>{escape(note)}</p><table>{''.join(rows)}</table><p>Answers: <code>{answers}</code></p></section>"
    )


def _fields(schema: dict[str, Any], body: dict[str, Any]) -> list[str]:
    for choice in (body, *body.get("anyOf", [])):
        name = choice.get("$ref", "").rpartition("/")[2]
        if name:
            model = schema["components"]["schemas"][name]
            needed = model.get("required", [])
            return [_row(field, "body", about, field in needed) for field, about in model["properties"].items()]
    return []


def _row(name: str, place: str, about: dict[str, Any], needed: bool) -> str:
    kinds = [about, *about.get("anyOf", [])]
    kind = " or ".join(
        str(one.get("enum") or one.get("const") or one["type"])
        for one in kinds
        if {"enum", "const", "type"} & one.keys()
    )
    return (
        f"<tr><td><code>{escape(name)}</code><td>{place}<td>{escape(kind)}<td>{'required' if needed else ''}"
        f"<td>{escape(about.get('description', ''))}"
    )
