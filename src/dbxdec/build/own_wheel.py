"""dbxdec itself among the libraries of a build without a lock: in the version that has built it, and in no other.

Where that version came from an index, a task gets it from there. Where it did not, as an editable install, the one that
runs here is packed into a wheel.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import dbxdec
from dbxdec.errors import Problem
from dbxdec.model.locked import OWN
from dbxdec.records import dataclass
from dbxdec.support import digests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.model.manifest import Manifest

AMONG_LIBRARIES = re.compile(r"(?:.*/)?dbxdec(?=$|[-\[ <>=!~;@(])", re.IGNORECASE)
"""An extra library that is dbxdec: a requirement or a wheel."""
_PACKAGES = ("dbxdec", "hatch_dbxdec")
_MOMENT = (2020, 2, 2, 0, 0, 0)
_DEV = re.compile(r"\.dev\d")
_VERSION = re.compile(r"^Version: .*$", re.MULTILINE)
_WHEEL = "Wheel-Version: 1.0\nGenerator: dbxdec\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True)
class Own:
    """The library that is dbxdec: a requirement, or the name of a wheel whose `content` is to be written.

    There is no content if the wheel is there, and no library if nobody can tell one.
    """

    library: str | None = None
    content: bytes | None = None


def is_needed(manifest: Manifest) -> bool:
    """Return whether the tasks of a build get dbxdec from us: neither a pin nor an extra library has it."""
    if manifest.locked is not None:
        return any(OWN in pins.packages for pins in manifest.locked.pins.values())
    return not any(map(AMONG_LIBRARIES.match, manifest.libraries))


def library(manifest: Manifest, folder: Path, *, anew: bool) -> Own:
    """Return dbxdec as a library for the build of `manifest`. Other wheels of the build lie in `folder`.

    A wheel of the version that has built it may be among them already. With `anew` it does not count.
    """
    if not is_needed(manifest):
        return Own()
    version = manifest.generator.removeprefix("dbxdec ")
    there = [] if anew else sorted(folder.glob(f"dbxdec-{version}+dbx*-py3-none-any.whl"))
    if there:
        return Own(there[0].name)
    if version != dbxdec.__version__ or is_from_index():
        return Own() if _DEV.search(version) else Own(f"dbxdec=={version}")
    return Own(*(_packed(folder) or ()))


def warnings(manifest: Manifest) -> list[Problem]:
    """Return a warning if the tasks of a build may get another dbxdec than the one that builds."""
    found = _distribution()
    if not is_needed(manifest) or is_from_index() or (found is not None and found.read_text("METADATA") is not None):
        return []
    return [unknown(dbxdec.__version__)]


def unknown(version: str) -> Problem:
    """Return the warning for a version of dbxdec that has built a wheel, and that no library can name."""
    return Problem(
        f"dbxdec {version} has built this, and tasks get another version that their requirement admits: it is in no "
        "index, and is not installed here in a way in which it could be packed",
        hint="name a wheel of it: `extra-libraries` under [tool.dbxdec]",
    )


def is_from_index() -> bool:
    """Return whether the dbxdec that runs was installed by its version, and not from a folder, a file or a URL."""
    found = _distribution()
    if found is None or found.read_text("direct_url.json") is not None or _DEV.search(dbxdec.__version__):
        return False
    return Path(str(found.locate_file("dbxdec"))).resolve() == Path(dbxdec.__file__).resolve().parent


def source_folders(manifest: Manifest) -> list[str]:
    """Return the folders of the dbxdec that runs, if the build of `manifest` packs them."""
    return [str(folder) for folder in _folders()] if is_needed(manifest) and not is_from_index() else []


def _distribution() -> metadata.Distribution | None:
    """Return the distribution of the dbxdec that runs; None if what is installed is another one."""
    try:
        found = metadata.distribution("dbxdec")
    except metadata.PackageNotFoundError:
        return None
    return found if found.version == dbxdec.__version__ else None


def _folders() -> list[Path]:
    here = Path(dbxdec.__file__).parent
    return [folder for name in _PACKAGES if (folder := here.parent / name).is_dir()]


def _packed(folder: Path) -> tuple[str, bytes | None] | None:
    """Return the name and the content of a wheel of the dbxdec that runs; None if its metadata are missing.

    There is no content if `folder` has it already.
    """
    found = _distribution()
    text = found.read_text("METADATA") if found is not None else None
    if found is None or text is None:
        return None
    content = {path.relative_to(top.parent).as_posix(): path.read_bytes() for top in _folders() for path in _in(top)}
    each = (path.encode() + hashlib.sha256(content[path]).digest() for path in sorted(content))
    both = hashlib.sha256(text.encode() + b"".join(each))
    version = f"{dbxdec.__version__}+dbx{both.hexdigest()[:12]}"
    name = f"dbxdec-{version}-py3-none-any.whl"
    if (folder / name).is_file():
        return name, None
    info = f"dbxdec-{version}.dist-info"
    more = {"METADATA": _VERSION.sub(f"Version: {version}", text, count=1), "WHEEL": _WHEEL}
    more["entry_points.txt"] = found.read_text("entry_points.txt") or ""
    for file, written in more.items():
        content[f"{info}/{file}"] = written.encode()
    rows = [f"{path},sha256={digests.in_record(data)},{len(data)}" for path, data in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    target = io.BytesIO()
    # It is packed in each build after a change of dbxdec: storing takes a third of the time of compressing.
    with zipfile.ZipFile(target, "w") as archive:
        for path, data in content.items():
            member = zipfile.ZipInfo(path, _MOMENT)
            member.external_attr = 0o100644 << 16
            archive.writestr(member, data)
    return name, target.getvalue()


def _in(folder: Path) -> Iterator[Path]:
    for top, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (Path(top, name) for name in sorted(names) if not name.endswith(".pyc"))
