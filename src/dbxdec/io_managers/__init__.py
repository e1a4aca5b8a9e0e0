"""IoManagers: how results of tasks are stored and read back.

Importing this package imports no third-party library. A manager imports its own when it first reads or writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.contexts import InputContext, OutputContext, WriteResult
    from dbxdec.io_managers.delta.merge import DeltaMerge
    from dbxdec.io_managers.delta.polars.manager import PolarsDeltaIoManager
    from dbxdec.io_managers.delta.spark.catalog import SparkTableIoManager
    from dbxdec.io_managers.delta.spark.manager import SparkDeltaIoManager
    from dbxdec.io_managers.files.polars import PolarsCsvIoManager, PolarsNdjsonIoManager, PolarsParquetIoManager
    from dbxdec.io_managers.files.spark import SparkParquetIoManager

_HOME_OF = {
    "DeltaMerge": "delta.merge",
    "InputContext": "contexts",
    "IoManager": "base",
    "OutputContext": "contexts",
    "PolarsCsvIoManager": "files.polars",
    "PolarsDeltaIoManager": "delta.polars.manager",
    "PolarsNdjsonIoManager": "files.polars",
    "PolarsParquetIoManager": "files.polars",
    "SparkDeltaIoManager": "delta.spark.manager",
    "SparkParquetIoManager": "files.spark",
    "SparkTableIoManager": "delta.spark.catalog",
    "WriteResult": "contexts",
}

__all__ = [
    "DeltaMerge",
    "InputContext",
    "IoManager",
    "OutputContext",
    "PolarsCsvIoManager",
    "PolarsDeltaIoManager",
    "PolarsNdjsonIoManager",
    "PolarsParquetIoManager",
    "SparkDeltaIoManager",
    "SparkParquetIoManager",
    "SparkTableIoManager",
    "WriteResult",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
