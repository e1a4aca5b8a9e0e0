"""Replacement for databricks-bundles where it is not installed: only the build needs its dataclasses.

A job's settings are written with these dataclasses as well as with dicts. A cluster has only the runtime, and the
settings are already in the job's definition. So any name of the package may be imported and called, without an effect.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_PARENT, _PACKAGE = "databricks", "databricks.bundles"


class Inert:
    """A replacement for a class, an enum or an instance; attributes, calls and subscripts return it again."""

    def __getattr__(self, name: str) -> Inert:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: object, **kwargs: object) -> Inert:
        return self

    def __getitem__(self, item: object) -> Inert:
        return self

    def __or__(self, other: object) -> Inert:
        return self

    __ror__ = __or__

    def as_dict(self) -> dict[str, Any]:
        """Return no settings: nobody reads them in a run."""
        return {}

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return ()


INERT = Inert()


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return INERT


class _Finder:
    """The last finder on `sys.meta_path`, which is asked only for modules that no other finder has.

    It is its own loader. The bases that importlib.abc has for both would double a task's start-up time.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        ours = fullname in (_PARENT, _PACKAGE) or fullname.startswith(_PACKAGE + ".")
        return ModuleSpec(fullname, self, is_package=True) if ours else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        # Only this one package is made up in the parent: other packages in it stay absent.
        return (ModuleType if spec.name == _PARENT else _Module)(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the module has no code."""


_finder = _Finder()


def stand_in_for_bundles() -> None:
    """Make `databricks.bundles` importable in this process, whether it is installed or not."""
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)
