"""Digests of strings and files.

Each task needs one, and `hashlib` loads all of OpenSSL, which takes as long as a fifth of dbxdec's own start. The
interpreter has SHA-256 without that, as its `random` module has its own; where it was left out, hashlib has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

try:
    from _sha2 import sha256  # type: ignore[import-not-found]
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]  # before Python 3.12
    except ImportError:
        from hashlib import sha256


def of_text(text: str) -> str:
    """Return the SHA-256 of `text` in UTF-8, in hex: 64 digits."""
    return str(sha256(text.encode()).hexdigest())


def of_file(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, in hex. Raises OSError."""
    from hashlib import file_digest

    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


def in_record(content: bytes) -> str:
    """Return the digest of the content of a file as the RECORD of a wheel has it."""
    from base64 import urlsafe_b64encode

    return urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
