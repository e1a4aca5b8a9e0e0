"""The modules of a wheel that are pipelines: names from paths, with packages taken recursively."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from dbxdec.errors import DiscoveryError, Problem, did_you_mean
from dbxdec.support.files import write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_DEFAULT = "pipelines"
_AT_THE_TOP = re.compile(r"([^/.]+)(?:/__init__)?(?:\.pyc?|(?:\.[^/]+)?\.(?:so|pyd))")
# Modules of Python that a later version, which may be the one that builds, has no longer.
_FORMER = (
    "aifc asynchat asyncore audioop cgi cgitb chunk crypt distutils imghdr imp lib2to3 mailcap msilib nis nntplib "
    "ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib uu xdrlib"
)


def module_name(path: str) -> str | None:
    """Return the dotted name of the module at `path` in the wheel; None if it can't be imported by name."""
    if not path.endswith(".py"):
        return None
    parts = path.removesuffix(".py").split("/")
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts) if parts and all(part.isidentifier() for part in parts) else None


def by_folder(sources: Mapping[str, str]) -> dict[str, str]:
    """Return the packages of the wheel by their places in the tree, as in `import src.shop`, where these differ.

    `sources` maps paths in the wheel to paths in the project.
    """
    found = {}
    for path, source in sources.items():
        shipped, written = module_name(path), module_name(source)
        if shipped and written and written.endswith(f".{shipped}"):
            top = shipped.partition(".")[0]
            found[f"{written.removesuffix(shipped)}{top}"] = top
    return found


def hidden(paths: Iterable[str]) -> dict[str, str]:
    """Return the files of the wheel that can't be imported, with their modules: Python or dbxdec has one of that name.

    An installed wheel lies in site-packages, which Python searches after its own modules, and beside dbxdec.
    """
    taken = {*sys.stdlib_module_names, *_FORMER.split(), "dbxdec"}
    found = {path: match[1] for path in paths if (match := _AT_THE_TOP.fullmatch(path))}
    return {path: name for path, name in found.items() if name in taken}


def pipeline_modules(paths: Iterable[str], named: Sequence[str] | None) -> list[str]:
    """Return the modules to import, sorted: those `named`, or every `<package>.pipelines`, with everything below them.

    Raises DiscoveryError for a name that is not in the wheel, and if there is nothing to import.
    """
    paths = list(paths)
    modules = {name for path in paths if (name := module_name(path))}
    packages = {name.rpartition(".")[0] for name in modules} - {""}
    known = modules | packages | {part for name in packages for part in _parents(name)}
    if named is None:
        roots = [name for name in known if name.count(".") >= 1 and name.rpartition(".")[2] == _DEFAULT]
        if not any(path.endswith(".py") for path in paths):
            raise DiscoveryError(
                "the wheel has no Python module",
                hint="name the folder of the package, `packages` under [tool.hatch.build.targets.wheel], and look for "
                "a rule of .gitignore that matches it",
            )
        if not roots:
            raise DiscoveryError(
                "the wheel has no package `<package>.pipelines`, where dbxdec looks for pipelines",
                hint='name the modules that define jobs: `pipelines = ["my_package.my_module"]` under [tool.dbxdec]',
            )
    else:
        missing = [
            Problem(
                f"{name!r} is not among the modules of the wheel",
                f"tool.dbxdec.pipelines[{i}]",
                did_you_mean(name, sorted(known)) or "check .gitignore and the build's include and exclude settings",
            )
            for i, name in enumerate(named)
            if name not in known
        ]
        if missing:
            raise DiscoveryError(missing)
        roots = list(named)
    return sorted(
        name
        for name in modules
        if any(name == root or name.startswith(f"{root}.") for root in roots) and not name.endswith(".__main__")
    )


def left_out(paths: Iterable[str], named: Sequence[str] | None) -> dict[str, str]:
    """Return the Python files beside the pipelines that are not imported, by their path in the wheel, with the reason.

    No module name leads to them: a part of the path is not an identifier, or a package of the same name hides them.
    """
    paths = list(paths)
    packages = {name for path in paths if path.endswith("/__init__.py") and (name := module_name(path))}
    found = {}
    for path in paths:
        stem, dot, suffix = path.rpartition(".")
        if suffix.lower() != "py" or not dot:
            continue
        folders, file = stem.split("/")[:-1], stem.rpartition("/")[2]
        if not _is_below(folders, file, named):
            continue
        odd = [part for part in (*folders, file) if not part.isidentifier()]
        if odd:
            found[path] = f"`{odd[0]}` can't be the name of a module"
        elif suffix != "py":
            found[path] = f"modules end in `.py`, not in `.{suffix}`"
        elif file == "__main__":
            found[path] = "`__main__` is a program, not a module of pipelines"
        elif ".".join((*folders, file)) in packages:
            found[path] = f"the package of the same name, {stem}/, hides it"
    return found


def _is_below(folders: Sequence[str], file: str, named: Sequence[str] | None) -> bool:
    """Return whether a file is where dbxdec looks for pipelines, or would be if its path were that of a module."""
    if named is None:
        return _DEFAULT in folders[1:] or (bool(folders) and file == _DEFAULT)
    parts = [*folders, file]
    return any(parts[: len(root)] == root for root in (name.split(".") for name in named))


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def write_metadata(root: Path, project: str, version: str) -> Path:
    """Write metadata below `root`, by which `importlib.metadata` finds this project there. Return their folder."""
    folder = root / f"{re.sub(r'[-_.]+', '_', project)}-{version}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n")
    return folder
