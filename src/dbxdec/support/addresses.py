"""Addresses, and the passwords and tokens in them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from dbxdec.support.patterns import pattern

_ADDRESS = pattern(r"[a-z][a-z0-9+.-]*://[^\s'\"]+", re.IGNORECASE)
# Parameters of addresses that let in whoever knows them.
_SECRET = pattern(
    r"(?:^|&)(?:[^=&]*(?:token|secret|passw|credential|signature|accesskey|apikey)[^=&]*|(?:[^=&]*[-_.])?(?:key|sig))=",
    re.IGNORECASE,
)


def secretive(text: str) -> str | None:
    """Return the first address in `text` that has a password or a token in it, for a message; None without one.

    One that a reference of the bundle puts there is not in the text.
    """
    found = (one[0] for one in _ADDRESS.finditer(text) if "${" not in one[0] and has_credentials(one[0]))
    return next(map(without_credentials, found), None)


def has_credentials(url: str) -> bool:
    """Return whether `url` has a password or a token in it.

    A user without a password may be a token, except over SSH. A user `git`, or one called as the first folder, is a
    name: Azure DevOps has such addresses.
    """
    try:
        parts = urlsplit(url)
        user, password = parts.username, parts.password
    except ValueError:
        return True
    over_http = parts.scheme.lower().rpartition("+")[2] in ("http", "https")
    is_name = user in ("git", parts.path.lstrip("/").partition("/")[0])
    return bool(password) or (over_http and bool(user) and not is_name) or _SECRET.search(parts.query) is not None


def without_credentials(url: str) -> str:
    """Return `url` for a message."""
    return re.sub(r"//[^/]*@", "//***@", url).partition("?")[0]
