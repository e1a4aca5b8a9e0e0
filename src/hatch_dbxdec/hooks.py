"""The hook's registration only: hatchling imports this module for every project that has dbxdec installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatchling.plugin import hookimpl

if TYPE_CHECKING:
    from hatch_dbxdec.plugin import DbxdecBuildHook


@hookimpl
def hatch_register_build_hook() -> type[DbxdecBuildHook]:
    from hatch_dbxdec.plugin import DbxdecBuildHook

    return DbxdecBuildHook
