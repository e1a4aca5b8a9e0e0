"""Secrets of many shapes, and the forms in which strings have them."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape, quoteattr

import markupsafe

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda s: json.dumps(s)[1:-1],
    "JSON with its letters": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "repr": lambda s: repr(s)[1:-1],
    "repr in a longer one": lambda s: repr(f"{s} ' \"")[1:].rpartition(" \\' ")[0],
    "ascii": lambda s: ascii(s)[1:-1],
    "repr of bytes": lambda s: repr(s.encode())[2:-1],
    "a shell": lambda s: shlex.quote(s + " ")[1:-2],
    "a shell's backslash": lambda s: s.replace("'", r"'\''"),
    "in a URL": lambda s: quote(s, safe=""),
    "in a path of a URL": quote,
    "in a query": quote_plus,
    "in lower case": lambda s: re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), quote(s, safe="")),
    "HTML": html.escape,
    "markup": lambda s: str(markupsafe.escape(s)),
    "XML": escape,
    "an attribute": lambda s: quoteattr(s)[1:-1],
}


SHAPES = {
    "plain": "hunter2hunter2",
    "quotes": 'it\'s "quoted"',
    "backslashes": r"pa\ss\\wo\nrd",
    "lines": "-----BEGIN KEY-----\nc2VjcmV0bGluZQ==\nab\n-----END KEY-----\n",
    "lines of Windows": "first line\r\nsecond line\r\n",
    "tabs": "a\tb\tc\td\te",
    "letters": "pässwörd-größe",
    "emoji": "key 🔑 of 🚪",
    "URL": "https://user:p%40ss@host.example/path?sig=a%2Fb&x=1",
    "markup": "<a href='x'>&amp;</a>",
    "expression": r"(.*)[a-z]+?$^|\d{3}",
    "percent": "100%25 %s %(x)d {0}",
    "JSON": json.dumps({"type": "account", "private_key": "-----BEGIN\nabc\n-----END", "n": 1}),
    "base64": base64.b64encode(bytes(range(40))).decode(),
    "number": "4711471147",
    "spaces": "  padded secret  ",
    "long": "x1Y2" * 300,
    "control": "esc\x1b[31mape\x07\x00",
    "dollars": "${var.x} {{secrets/a/b}} $HOME",
    "surrogate": "byte\udcff\udcfeend",
}
