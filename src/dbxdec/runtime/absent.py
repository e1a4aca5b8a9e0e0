"""databricks-bundles where it is not installed: pipelines may use its dataclasses, which only the build needs.

A job's settings are written with them as well as with dicts. On a cluster there is the runtime alone, and the settings
are in the job's definition already: any name of the package may then be imported and called, and means nothing.
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
    """What stands for a class, an enum or an instance: attributes, calls and subscripts give it back."""

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
        """No settings: nobody reads them in a run."""
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
    """The last finder on `sys.meta_path`: it is asked only for what nobody else has.

    It is its own loader; the bases that importlib.abc has for both would double what a task needs to start.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        ours = fullname in (_PARENT, _PACKAGE) or fullname.startswith(_PACKAGE + ".")
        return ModuleSpec(fullname, self, is_package=True) if ours else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        # Of the parent only this one package is made up: others below it stay absent.
        return (ModuleType if spec.name == _PARENT else _Module)(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


_finder = _Finder()


def stand_in_for_bundles() -> None:
    """Let `databricks.bundles` be imported in this process, whether it is installed or not."""
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)
