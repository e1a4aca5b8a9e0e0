"""Absent modules that may be meant for the project's: a script finds modules beside it, a package does not."""

from __future__ import annotations

import dis
import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, SourceLocation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from types import CodeType, FrameType


def problem(name: str, frame: FrameType, own: Collection[str], root: Path) -> Problem | None:
    """Return what to say of the absent module `name` if the project has one of that name near the importing module.

    `frame` runs the import statement, `own` are the modules below `root`. What the statement asks of the module tells
    `shop.kafka` from a package `kafka` of others.
    """
    importing = str(frame.f_globals.get("__name__"))
    known = {*own, *(parent for one in own for parent in _parents(one))}
    found = next((near for parent in _parents(importing) if (near := f"{parent}.{name}") in known), None)
    if found is None or found == importing:  # `shop.sources.stripe` is where `import stripe` belongs
        return None
    inner, names, alias = _asked(frame)
    module = ".".join(filter(None, (found, inner)))
    if module not in known or not all(f"{module}.{one}" in known or _has(root, module, one) for one in names):
        return None
    used = set(_used(frame.f_code, alias)) if alias else ()
    if used and not any(f"{module}.{one}" in known or _has(root, module, one) for one in used):
        return None
    return Problem(
        f"`{name}` is not installed, and no dependency of the project has that name, but the wheel has `{found}`",
        SourceLocation.of_frame(frame),
        f"import a module of the project by its whole name, `{found}`; name a package of others in "
        "[project.dependencies]",
    )


def _asked(frame: FrameType) -> tuple[str, tuple[str, ...], str | None]:
    """Return what the import statement that the frame runs asks of the module.

    That is `b.c` and `("d",)` of `from a.b.c import d`, and the name that `import a` gives it; nothing for a call that
    imports.
    """
    steps = _steps(frame.f_code)
    for before, step, after in zip(steps, steps[1:], steps[2:], strict=False):
        if step.opname == "IMPORT_NAME" and step.offset == frame.f_lasti:
            names = before.argval if isinstance(before.argval, tuple) else ()
            inner = str(step.argval).partition(".")[2]
            alias = None if names or inner else str(after.argval)
            return inner, tuple(name for name in names if name != "*"), alias
    return "", (), None


def _steps(code: CodeType) -> list[dis.Instruction]:
    return [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]


def _used(code: CodeType, name: str) -> Iterator[str]:
    """Yield the attributes of a global name that the code uses."""
    for step, following in itertools.pairwise(_steps(code)):
        is_it = step.opname in ("LOAD_NAME", "LOAD_GLOBAL") and step.argval == name
        if is_it and following.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            yield str(following.argval)
    for inner in code.co_consts:
        if isinstance(inner, type(code)):
            yield from _used(inner, name)


def _has(root: Path, module: str, name: str) -> bool:
    """Return whether the source of a module has the name."""
    place = root.joinpath(*module.split("."))
    files = (place.with_name(f"{place.name}.py"), place / "__init__.py")
    texts = (file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file())
    return any(re.search(rf"\b{re.escape(name)}\b", text) for text in texts)


def _parents(module: str) -> list[str]:
    """Return the packages that a module is in, the innermost first."""
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]
