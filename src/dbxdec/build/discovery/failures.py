"""Explanations of failed imports of the project's modules: the line, and what to do."""

from __future__ import annotations

import builtins
import importlib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.authoring.recording import is_own
from dbxdec.errors import DbxdecError, Problem, SourceLocation, did_you_mean, nearest
from dbxdec.model.variables import JOINING, BundleVariable
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from types import FrameType

_AS_MAIN = "a module must be importable: keep such calls under `if __name__ == '__main__':` or in functions"
_CIRCLE = "two modules import each other: move what both need into a third one"
_OUTSIDE = (
    "the build and every task import the module: read files, services and the keyboard inside a task; a file of the "
    "package is at `pathlib.Path(__file__).with_name(...)`"
)
_RELATIVE = "one dot is the package that the module is in, each further dot the package above it"
_ARGUMENTS = "the build and the tasks have no such arguments: make it a parameter of the job"


@dataclass(frozen=True)
class Failures:
    """Explains exceptions.

    `root` is the folder of the imported files, `modules` the names of the project's modules, and `by_folder` its
    packages by their places in the tree.
    """

    root: str
    modules: frozenset[str]
    by_folder: Mapping[str, str]

    def explained(self, module: str, error: BaseException) -> list[Problem]:
        """Return the problems to report if the import of `module` ended with `error`."""
        where = self._innermost(error)
        if isinstance(error, DbxdecError):
            return [replace(p, where=p.where or where) for p in error.problems]
        if isinstance(error, SyntaxError):
            file = error.filename or _source_of(error) or module
            hint = "save the file as UTF-8" if "codec can't decode" in str(error.msg) else None
            return [Problem(f"{type(error).__name__}: {error.msg}", SourceLocation(file, error.lineno or 1), hint)]
        if isinstance(error, SystemExit):
            given = "" if error.code is None else repr(error.code)
            return [Problem(f"importing `{module}` ended the interpreter: sys.exit({given})", where, _AS_MAIN)]
        failed = f"importing `{self._broken(error) or module}` failed"
        if isinstance(error, ModuleNotFoundError):
            return [Problem(f"{failed}: {error}", where, self._not_found(error.name or ""))]
        if isinstance(error, ImportError | AttributeError | NameError):
            # Without Python's own suggestion, which its newer versions add.
            text = re.sub(r" \(/.*\)$", "", f"{type(error).__name__}: {error}")
            return [Problem(f"{failed}: {text}", where, self._misspelt(error))]
        import traceback

        text = "".join(traceback.format_exception_only(error)).strip()
        joined = JOINING if BundleVariable.__name__ in text else None
        return [Problem(f"{failed}: {text}", where, joined or _of_environment(error) or self._of_outside(error))]

    def _of_outside(self, error: BaseException) -> str | None:
        """Return a hint for what a module can't have when it is imported: files, services, arguments."""
        if isinstance(error, OSError | EOFError):
            return _OUTSIDE
        own = self._own_frames(error)
        return _ARGUMENTS if isinstance(error, IndexError) and own and "argv" in own[-1][0].f_code.co_names else None

    def _not_found(self, missing: str) -> str:
        for written, shipped in self.by_folder.items():
            if written == missing or written.startswith(f"{missing}."):
                return f"the wheel has the package without the folder: write `{shipped}` instead of `{written}`"
        root, (parent, _, name) = missing.partition(".")[0], missing.rpartition(".")
        if any(own.partition(".")[0] == root for own in self.modules):
            rules = "check .gitignore and the build's include and exclude"
            near = self._beside(parent, name) or self._elsewhere(name)
            return near or f"`{missing}` is not among the files of the wheel: {rules}"
        if path := getattr(sys.modules.get(parent), "__path__", None):
            import pkgutil

            known = nearest(name, [found.name for found in pkgutil.iter_modules(path)])
            return f"did you mean `{parent}.{known}`?" if known else f"the installed `{parent}` has no such module"
        return (
            f"install `{root}` where the wheel is built (`requires` of [build-system], or "
            "require-runtime-dependencies of the hook)"
        )

    def _beside(self, parent: str, name: str) -> str | None:
        """Return a hint that names the module or package beside `parent.name` with nearly the same name."""
        prefix = f"{parent}." if parent else ""
        packages = {own.rpartition(".")[0] for own in self.modules}
        known = {own[len(prefix) :] for own in self.modules | packages if own.startswith(prefix)}
        near = nearest(name, {own for own in known if own and "." not in own})
        return f"did you mean `{prefix}{near}`?" if near else None

    def _elsewhere(self, name: str) -> str | None:
        """Return a hint that names the only module of that name in another package."""
        found = [own for own in self.modules if own.rpartition(".")[2] == name]
        return f"did you mean `{found[0]}`?" if len(found) == 1 else None

    def _misspelt(self, error: ImportError | AttributeError | NameError) -> str | None:
        """Return a hint with the existing name that is closest to a missing one."""
        if "partially initialized module" in str(error):
            return _CIRCLE
        if isinstance(error, ImportError):
            missing = re.search(r"cannot import name '(\w+)'", str(error))
            if missing is None or error.name is None:
                return _RELATIVE if "relative import" in str(error) else None
            if home := _home_of(missing[1], error.name):
                return home
            near = did_you_mean(missing[1], _public(sys.modules.get(error.name)))
            return near or self._beside(error.name, missing[1]) or self._lacks(error.name, missing[1])
        if isinstance(error, AttributeError):
            home = _home_of(str(error.name), getattr(error.obj, "__name__", None))
            return home or did_you_mean(str(error.name), _public(error.obj))
        frames = self._own_frames(error)
        known = {
            *dir(builtins),
            *(frames[-1][0].f_globals if frames else ()),
            *(frames[-1][0].f_locals if frames else ()),
        }
        return did_you_mean(str(error.name), known - {error.name})

    def _lacks(self, module: str, name: str) -> str | None:
        """Return a hint for a name that a module of the project has not."""
        found = self._elsewhere(name)
        own = module in self.modules or any(one.startswith(f"{module}.") for one in self.modules)
        return found or (f"define `{name}` in `{module}`, or correct the name" if own else None)

    def _innermost(self, error: BaseException) -> SourceLocation | None:
        """Return the last line of the project's own code in the traceback."""
        own = self._own_frames(error)
        return SourceLocation(own[-1][0].f_code.co_filename, own[-1][1]) if own else None

    def _broken(self, error: BaseException) -> str | None:
        """Return the module whose import failed. If several modules import a broken one, it is one mistake."""
        bodies = [frame for frame, _ in self._own_frames(error) if frame.f_code.co_name == "<module>"]
        return str(bodies[-1].f_globals.get("__name__")) if bodies else None

    def _own_frames(self, error: BaseException) -> list[tuple[FrameType, int]]:
        import traceback

        return [
            (frame, line)
            for frame, line in traceback.walk_tb(error.__traceback__)
            if frame.f_code.co_filename.startswith(self.root) and not is_own(frame.f_globals)
        ]


def _source_of(error: SyntaxError) -> str | None:
    """Return the file that Python was reading; for a file with a NUL byte, its error has neither name nor line."""
    import traceback

    files = [
        frame.f_locals.get("source_path")
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__") == "importlib._bootstrap_external"
    ]
    return next((file for file in reversed(files) if isinstance(file, str)), None)


def _home_of(name: str, module: object) -> str | None:
    """Return a hint for a public name of dbxdec that another of its modules has than the one it was looked for in."""
    if not isinstance(module, str) or module.partition(".")[0] != "dbxdec":
        return None
    homes = ("dbxdec", "dbxdec.io_managers", "dbxdec.testing")
    found = next((home for home in homes if name in _public(importlib.import_module(home))), None)
    return found and f"it is in `{found}`: `from {found} import {name}`"


def _public(value: Any) -> Iterable[str]:
    """Return the public names of an object or a module; nothing if it can't list them."""
    try:
        return [name for name in {*dir(value), *getattr(value, "__all__", ())} if not name.startswith("_")]
    except Exception:  # noqa: BLE001 - the author's class may raise anything
        return ()


def _of_environment(error: BaseException) -> str | None:
    """Return a hint for an environment variable that the build lacks."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or not isinstance(error, KeyError) or trace.tb_frame.f_globals is not vars(os):
        return None
    name = error.args[0]
    return (
        f"the environment of the build has no `{name}`: read it inside a task, or give the build a value, "
        f'`discovery-env = {{{name} = "..."}}` under [tool.dbxdec]'
    )
