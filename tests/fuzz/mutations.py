"""Seeded changes of bytes, of JSON-like data and of archives: the same seed gives the same input."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import warnings
import zipfile
from typing import Any

ODD_STRINGS = (
    *(
        "",
        " ",
        ".",
        "..",
        "../../../victim",
        "/etc/passwd",
        "C:\\x",
        "a/b",
        "a\\b",
        "\x00",
        "\x1b[2J",
        "a\nb",
        "::error::x",
    ),
    *(
        "${var.x}",
        "${",
        "{{job.id}}",
        "{{",
        "é",
        "\ud800",
        "x" * 5000,
        "[red]",
        "[/]",
        "%s%n",
        "null",
        "true",
        "-1",
        "1e999",
    ),
    *("dbxdec:x", "a:b", "src/x.py:1", "x:99999999999999999999", "2024-99-99", "${resources.jobs.sales.id}", "sales"),
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**63, 10**400, 0.5, 1e308, [], {}, [[]], {"": ""}, [None], {"a": {"b": {}}}),
    *({"$": "tuple", "v": 1}, {"$": "x"}, {"$": "date", "v": "x"}, {"literal": {"$": "secret", "v": ["a", "b"]}}),
    *({"task": "x", "output": "y"}, {"list": [{"item": True}]}, {"dict": {"a": {"literal": 1}}, "order": ["b"]}),
)


_ODD_BYTES = (b"\xff", b"\x00", b"\xef\xbb\xbf", b"[" * 2000, b"[" * 200_000, b"{", b'"', b"\n", b"-", b"9" * 50)


def odd(chance: random.Random) -> Any:
    """A value that is rarely right."""
    if chance.random() < 0.5:
        return chance.choice(ODD_STRINGS)
    if chance.random() < 0.05:
        deep: Any = 0
        for _ in range(chance.choice([50, 99, 101, 150])):
            deep = [deep] if chance.random() < 0.5 else {"a": deep}
        return deep
    return copy.deepcopy(chance.choice(ODD_VALUES))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything inside of JSON data."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key, item in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
            found += places(item, (*path, key))
    return found


def structure(chance: random.Random, value: Any) -> Any:
    """A copy of JSON data with a few things in it replaced, removed, doubled, renamed or moved."""
    changed = copy.deepcopy(value)
    for _ in range(chance.choice([1, 1, 1, 2, 3, 8])):
        known = places(changed)
        if not known:
            return odd(chance)
        *way, key = chance.choice(known)
        owner = changed
        for part in way:
            owner = owner[part]
        match chance.randrange(6):
            case 0:
                del owner[key]
            case 1 if isinstance(owner, dict):
                owner[chance.choice(ODD_STRINGS)] = owner.pop(key)
            case 2 if isinstance(owner, list):
                owner.insert(chance.randrange(len(owner) + 1), copy.deepcopy(owner[key]))
            case 3:
                *other, last = chance.choice(known)
                source = changed
                try:
                    for part in (*other, last):
                        source = source[part]
                except (LookupError, TypeError):
                    continue
                owner[key] = copy.deepcopy(source)
            case _:
                owner[key] = odd(chance)
    return changed


def octets(chance: random.Random, content: bytes) -> bytes:
    """A copy of bytes with a few of them changed, removed, doubled or cut off."""
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        at = chance.randrange(len(changed) + 1)
        length = min(chance.choice([1, 1, 2, 4, 30, 400]), len(changed) - at)
        match chance.randrange(7):
            case 0:
                changed[at : at + length] = chance.randbytes(length)
            case 1:
                del changed[at : at + length]
            case 2:
                changed[at:at] = changed[at : at + length]
            case 3:
                changed[at:at] = chance.choice(
                    [b"\xff", b"\x00", b"\xef\xbb\xbf", b"[" * 2000, b"{", b'"', b"\n", b"-", b"9" * 50]
                )
            case 4 if chance.random() < 0.3:
                del changed[at:]
            case 5 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case _:
                other = chance.randrange(len(changed) + 1)
                changed[at : at + length] = changed[other : other + length]
    return bytes(changed)


def text_of(value: Any) -> str:
    """JSON as a writer that does not care makes it."""
    try:
        return json.dumps(value)
    except (RecursionError, ValueError):
        return "[" * 3000


def archive(chance: random.Random, members: dict[str, bytes]) -> bytes:
    """A wheel of `members` in which names, kinds, content or the directory are not as they should be."""
    entries = [(zipfile.ZipInfo(name), content) for name, content in members.items()]
    for _ in range(chance.choice([1, 1, 2, 3])):
        at = chance.randrange(len(entries))
        member, content = entries[at]
        match chance.randrange(8):
            case 0:
                name = chance.choice([*ODD_STRINGS, f"../{member.filename}", f"/{member.filename}", "x.dist-info/a"])
                entries.append((zipfile.ZipInfo(name.encode("utf-8", "replace").decode() or "x"), content))
            case 1:
                entries.append((copy.copy(member), octets(chance, content)))
            case 2:
                entries[at] = (member, octets(chance, content))
            case 3:
                entries[at] = (member, b"\0" * chance.choice([0, 10**6, 3 * 10**7]))
            case 4:
                member.external_attr = chance.choice([0o120777, 0o010644, 0o040755, 0o020666]) << 16
            case 5:
                member.compress_type = chance.choice([zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_STORED])
            case 6:
                del entries[at]
                if not entries:
                    entries.append((zipfile.ZipInfo("x"), b""))
            case _:
                prefix = chance.choice(["another-1.dist-info/", "shop/", "a.data/scripts/"])
                entries.append((zipfile.ZipInfo(prefix + member.filename.rpartition("/")[2]), content))
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for member, content in entries:
            kind = member.compress_type or zipfile.ZIP_DEFLATED
            made.writestr(member, content, compress_type=kind)
    found = bytearray(buffer.getvalue())
    if chance.random() < 0.3:  # fields of the directory: flags, methods, sizes, places
        start = found.rindex(b"PK\x01\x02")
        place = start + chance.choice([4, 6, 8, 10, 16, 20, 24, 28, 30, 32, 38, 42])
        struct.pack_into(
            "<H", found, min(place, len(found) - 2), chance.choice([0, 1, 8, 99, 0xFFFF, chance.randrange(2**16)])
        )
    return bytes(found)
