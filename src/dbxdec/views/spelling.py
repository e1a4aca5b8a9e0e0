"""Literals of the manifest as an author writes them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from dbxdec.model.literals import TAG

if TYPE_CHECKING:
    from dbxdec.model.literals import Json


def written(form: Json) -> str:
    """Return tagged JSON as an author writes it: `${var.root}/x`, `2013-01-01`, `["UA", "AA"]`, `Colour.RED`."""
    match form:
        case None | bool():
            return repr(form)
        case str():
            return _quoted(form)
        case list():
            return f"[{', '.join(map(written, form))}]"
        case dict() if TAG in form:
            return _tagged(str(form[TAG]), form)
        case dict():
            return _mapping(list(form.items()))
    return json.dumps(form)


def _tagged(tag: str, form: dict[str, Json]) -> str:
    body: Any = form.get("v")
    match tag:
        case "tuple":
            return f"({', '.join(map(written, body))}{',' if len(body) == 1 else ''})"
        case "dict":
            return _mapping(body)
        case "template" | "date" | "decimal":
            return str(body)
        case "datetime":
            return f"{body} {form['tz']}" if "tz" in form else str(body)
        case "timedelta":
            import datetime as dt

            return str(dt.timedelta(*body))
        case "bytes":
            return repr(base64.b64decode(body))
        case "enum":
            return f"{body[0].rpartition(':')[2]}.{body[1]}"
        case "secret":
            return f"secret({', '.join(map(_quoted, body))})"
    return json.dumps(form, ensure_ascii=False)


def _mapping(items: list[Any]) -> str:
    return "{" + ", ".join(f"{_quoted(key)}: {written(item)}" for key, item in items) + "}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
